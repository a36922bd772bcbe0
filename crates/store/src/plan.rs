//! What one commit brings, room by room.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use nuncio_hub::{Deliver, Done, RoomKey};
use nuncio_model::{
    HistoryLimits, IdempotencyKey, MessageId, Position, Publication, Published, UserId,
};
use redb::{Database, Table};

use crate::blocks::Blocks;
use crate::cache::{Entry, Kept};
use crate::encoding::{self, Block};
use crate::fault::Fault;
use crate::queue::Publish;
use crate::shared::Shared;
use crate::tables::{CONTENT_BYTES, MESSAGES, META, Meta, NEXT_ROOM, ROOMS, name_of};

/// The publications of one commit.
pub(crate) struct Plan {
    /// The new publications, by room.
    pub(crate) rooms: HashMap<RoomKey, RoomPlan, FixedState>,
    /// Who waits, in the order of the queue.
    pub(crate) answers: Vec<Answer>,
}

/// What one commit brings to one room.
pub(crate) struct RoomPlan {
    pub(crate) id: Option<u64>,
    pub(crate) blocks: Blocks,
    committed: Position,
    publications: Vec<(Arc<Publication>, Option<IdempotencyKey>)>,
    keys: HashSet<(Option<UserId>, IdempotencyKey), FixedState>,
}

/// Who waits for the commit.
pub(crate) struct Answer {
    pub(crate) key: RoomKey,
    pub(crate) kind: AnswerKind,
    pub(crate) done: Done<Published>,
    /// What it counts in the queue.
    pub(crate) bytes: usize,
}

/// What is answered.
pub(crate) enum AnswerKind {
    /// The publication, which is now delivered.
    New {
        publication: Arc<Publication>,
        idempotency_key: Option<IdempotencyKey>,
    },
    /// The answer that another publication of this commit, or of one before, got.
    Repeat {
        author: Option<UserId>,
        idempotency_key: IdempotencyKey,
    },
}

impl Plan {
    pub(crate) fn with_capacity(count: usize) -> Self {
        let rooms = HashMap::with_hasher(FixedState::with_seed(count as u64));
        Self {
            rooms,
            answers: Vec::with_capacity(count),
        }
    }

    /// Publications that are new.
    pub(crate) fn messages(&self) -> usize {
        self.rooms
            .values()
            .map(|room| room.publications.len())
            .sum()
    }

    /// Gives a publication its number.
    pub(crate) fn add<D: Deliver>(&mut self, shared: &Shared<D>, publish: Publish) {
        let bytes = publish.bytes();
        let Publish {
            key,
            submission,
            done,
        } = publish;
        let idempotency_key = submission.request.idempotency_key.clone();
        let author = submission.author.clone();
        let mut shard = shared.shards.of(&key).lock();
        let kept = kept(shard.get_mut(&key));
        let room = self
            .rooms
            .entry_ref(&key)
            .or_insert_with(|| RoomPlan::new(kept));
        let kind = match idempotency_key {
            Some(idempotency_key) if room.is_repeat(kept, author.as_ref(), &idempotency_key) => {
                AnswerKind::Repeat {
                    author,
                    idempotency_key,
                }
            }
            idempotency_key => {
                let id = MessageId::new(submission.now.unix_ms, shared.random.next_u128());
                let publication = Arc::new(room.number(kept.log.next(submission, id)));
                room.publications
                    .push((publication.clone(), idempotency_key.clone()));
                AnswerKind::New {
                    publication,
                    idempotency_key,
                }
            }
        };
        drop(shard);
        self.answers.push(Answer {
            key,
            kind,
            done,
            bytes,
        });
    }

    /// Commits everything that is new. The blocks of the rooms are then what is on disk.
    pub(crate) fn commit<D: Deliver>(
        &mut self,
        shared: &Shared<D>,
        database: &Database,
        meta: &mut Meta,
    ) -> Result<(), Fault> {
        let next_room = meta.next_room;
        let mut bytes = meta.content_bytes;
        let transaction = database.begin_write()?;
        {
            let mut rooms = transaction.open_table(ROOMS)?;
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut new: Vec<_> = self
                .rooms
                .iter_mut()
                .filter(|(_, room)| !room.publications.is_empty())
                .collect();
            // Neighbours on disk are written one after the other.
            new.sort_unstable_by_key(|(_, room)| room.id.unwrap_or(u64::MAX));
            for (key, room) in new {
                if room.id.is_none() {
                    rooms.insert(
                        name_of(key).as_slice(),
                        (meta.next_room, room.committed.epoch.to_bits(), 0),
                    )?;
                    room.id = Some(meta.next_room);
                    meta.next_room += 1;
                }
                let freed = room.trim(&mut messages, shared.limits(key))?;
                bytes = bytes.saturating_sub(freed) + room.append(&mut messages)?;
            }
            let mut table = transaction.open_table(META)?;
            table.insert(CONTENT_BYTES, bytes)?;
            if meta.next_room != next_room {
                table.insert(NEXT_ROOM, meta.next_room)?;
            }
        }
        transaction.commit()?;
        meta.content_bytes = bytes;
        Ok(())
    }
}

impl RoomPlan {
    fn new(kept: &mut Kept) -> Self {
        Self {
            id: kept.id,
            blocks: std::mem::take(&mut kept.blocks),
            committed: kept.log.position(),
            publications: Vec::new(),
            keys: HashSet::with_hasher(FixedState::with_seed(kept.log.position().epoch.to_bits())),
        }
    }

    fn is_repeat(&mut self, kept: &Kept, author: Option<&UserId>, key: &IdempotencyKey) -> bool {
        kept.log.repeat_of(author, key).is_some()
            || !self.keys.insert((author.cloned(), key.clone()))
    }

    /// The log gives the number after the last commit; this one may come later in the same commit.
    fn number(&self, mut publication: Publication) -> Publication {
        publication.position.seq += self.publications.len() as u64;
        publication
    }

    /// Removes what the limits no longer need, by what is committed: if this commit fails, nothing that clients may still ask for is gone.
    fn trim(&mut self, messages: &mut Messages<'_>, limits: &HistoryLimits) -> Result<u64, Fault> {
        let Some(id) = self.id else { return Ok(0) };
        let now_ms = self
            .publications
            .last()
            .map_or(0, |(publication, _)| publication.ts);
        let mut freed = 0;
        while let Some(block) = self.blocks.pop_expired(limits, now_ms) {
            messages.remove((id, block.first_seq))?;
        }
        while let Some(block) = self.blocks.pop_trimmed(limits, now_ms) {
            freed += block.bytes;
            if let Some(keys) = let_go(messages, id, &block, block.has_live_keys(limits, now_ms))? {
                self.blocks.push(keys);
            }
        }
        Ok(freed)
    }

    /// Writes the new publications as one block; returns their bytes.
    fn append(&mut self, messages: &mut Messages<'_>) -> Result<u64, Fault> {
        let id = self
            .id
            .expect("a room has its number before its first block");
        let new = self
            .publications
            .iter()
            .map(|(publication, key)| (&**publication, key.as_ref()));
        let (block, bytes) = encoding::encode(new);
        messages.insert((id, block.first_seq), bytes.as_slice())?;
        self.blocks.push(block);
        Ok(block.bytes)
    }
}

pub(crate) type Messages<'txn> = Table<'txn, (u64, u64), &'static [u8]>;

/// Removes a block's publications, and its keys too unless they are live; returns what remains.
pub(crate) fn let_go(
    messages: &mut Messages<'_>,
    room: u64,
    block: &Block,
    has_live_keys: bool,
) -> Result<Option<Block>, Fault> {
    let row = (room, block.first_seq);
    let Some(value) = messages
        .remove(row)?
        .map(|value| bytes::Bytes::copy_from_slice(value.value()))
    else {
        return Ok(None);
    };
    if !has_live_keys {
        return Ok(None);
    }
    let (block, entries) = match Block::decode(block.first_seq, &value) {
        Ok(decoded) => decoded,
        Err(reason) => {
            // It is on its way out; keeping the keys of a damaged block is not worth refusing everything else.
            tracing::error!(room, first_seq = block.first_seq, %reason, "a damaged block was removed");
            return Ok(None);
        }
    };
    let Some((keys, bytes)) = encoding::keys_only(&block, &entries) else {
        return Ok(None);
    };
    messages.insert(row, bytes.as_slice())?;
    Ok(Some(keys))
}

/// A room with a write on its way.
pub(crate) fn kept(entry: Option<&mut Entry>) -> &mut Kept {
    match entry {
        Some(Entry::Kept(kept)) => kept,
        Some(Entry::Loading(_)) | None => {
            unreachable!("a room with a write on its way stays in memory")
        }
    }
}
