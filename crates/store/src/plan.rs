//! What one commit brings, room by room.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use nuncio_hub::{Deliver, Done, Entry, RoomKey};
use nuncio_model::{
    HistoryLimits, IdempotencyKey, MessageId, Position, Publication, Published, UserId,
};
use redb::{Database, ReadableTable, Table, WriteTransaction};

use crate::cache::{self, Kept};
use crate::domain::OrderPlan;
use crate::encoding::{self, Block};
use crate::fault::Fault;
use crate::journal::{self, Due, Journal, Keyed};
use crate::queue::{Append, Publish, Write};
use crate::shared::Shared;
use crate::tables::{CONTENT_BYTES, JOURNAL, MESSAGES, META, Meta, NEXT_ROOM, ROOMS, name_of};

/// The publications of one commit.
pub(crate) struct Plan {
    /// The new publications, by room.
    pub(crate) rooms: HashMap<RoomKey, RoomPlan, FixedState>,
    /// Messages of the order domain, and its sessions.
    pub(crate) order: OrderPlan,
    /// Who waits, in the order of the queue.
    pub(crate) answers: Vec<Waiting>,
}

/// Who waits for the commit, or what is handed over after it.
pub(crate) enum Waiting {
    /// A publisher.
    Publisher(Answer),
    /// An emit, and whoever waits for it.
    Emit(Emit),
    /// Somebody to whom it matters that everything before is on disk.
    Settle(Box<dyn FnOnce() + Send>),
}

/// An emit that has its place.
pub(crate) struct Emit {
    pub(crate) entry: Arc<Entry>,
    pub(crate) done: Done<()>,
    /// What it counts in the queue.
    pub(crate) bytes: usize,
}

/// What one commit brings to one room.
pub(crate) struct RoomPlan {
    pub(crate) id: Option<u64>,
    committed: Position,
    pub(crate) publications: Vec<Keyed>,
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
        /// Its place in the order of its namespace, where that has one.
        entry: Option<Arc<Entry>>,
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
            order: OrderPlan::default(),
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

    /// Emits of an order domain.
    pub(crate) fn emits(&self) -> usize {
        let emits = self.answers.iter();
        emits
            .filter(|waiting| matches!(waiting, Waiting::Emit(_)))
            .count()
    }

    /// Takes one write in; only those that share a commit with others come here.
    pub(crate) fn take<D: Deliver>(&mut self, shared: &Shared<D>, write: Write) {
        match write {
            Write::Publish(publish) => self.add(shared, publish),
            Write::Append(append) => {
                let Append { entry, done } = *append;
                let (bytes, domain) = (entry.bytes(), shared.rooms.domain());
                let domain = domain.expect("only what has an order hands emits over");
                let entry = self.order.add(domain, entry);
                self.answers
                    .push(Waiting::Emit(Emit { entry, done, bytes }));
            }
            Write::Keep { socket, record } => {
                self.order.records.insert(socket, record);
            }
            Write::Settle(kept) => self.answers.push(Waiting::Settle(kept)),
            Write::Clear(_) | Write::Sweep { .. } | Write::Reopen { .. } | Write::Flush(_) => {
                unreachable!("it is done by itself")
            }
        }
    }

    /// Gives a publication its number.
    fn add<D: Deliver>(&mut self, shared: &Shared<D>, publish: Publish) {
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
                let domain = shared.rooms.domain();
                let domain = domain.filter(|domain| domain.covers(&key.namespace));
                let entry = domain.map(|domain| {
                    self.order
                        .add(domain, Entry::of_publication(publication.clone()))
                });
                AnswerKind::New {
                    publication,
                    idempotency_key,
                    entry,
                }
            }
        };
        drop(shard);
        self.answers.push(Waiting::Publisher(Answer {
            key,
            kind,
            done,
            bytes,
        }));
    }

    /// Commits everything that is new, and moves the rooms that are `due` from the journal to their blocks.
    pub(crate) fn commit<D: Deliver>(
        &mut self,
        shared: &Shared<D>,
        database: &Database,
        meta: &mut Meta,
        journal: &mut Journal,
        due: &mut Vec<Due>,
    ) -> Result<(), Fault> {
        let transaction = database.begin_write()?;
        self.write_new(&transaction, meta, journal)?;
        if let Some(domain) = shared.rooms.domain() {
            self.order.write(&transaction, domain)?;
        }
        let mut bytes = meta.content_bytes;
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            // Neighbours on disk are written one after the other.
            due.sort_unstable_by_key(|due| due.id);
            for due in &mut *due {
                let publications = journal.publications(&due.key);
                let (freed, written) =
                    due.move_to_blocks(&mut messages, publications, shared.limits(&due.key))?;
                bytes = bytes.saturating_sub(freed) + written;
            }
            transaction.open_table(META)?.insert(CONTENT_BYTES, bytes)?;
        }
        transaction.commit()?;
        meta.content_bytes = bytes;
        journal.committed(shared, std::mem::take(due), self.new_rooms());
        Ok(())
    }

    /// Writes one row of the journal, the rows of new rooms, and removes what the journal no longer needs.
    fn write_new(
        &mut self,
        transaction: &WriteTransaction,
        meta: &mut Meta,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
        let mut rooms = transaction.open_table(ROOMS)?;
        let mut row = Vec::new();
        let next_room = meta.next_room;
        for (key, room) in self.new_rooms() {
            let name = name_of(key);
            if room.id.is_none() {
                rooms.insert(
                    name.as_slice(),
                    (meta.next_room, room.committed.epoch.to_bits(), 0),
                )?;
                room.id = Some(meta.next_room);
                meta.next_room += 1;
            }
            let (block, bytes) = encoding::encode(pairs(&room.publications));
            journal::write(&mut row, &name, block.first_seq, &bytes);
        }
        if meta.next_room != next_room {
            transaction
                .open_table(META)?
                .insert(NEXT_ROOM, meta.next_room)?;
        }
        let mut table = transaction.open_table(JOURNAL)?;
        if !row.is_empty() {
            table.insert(journal.next(), row.as_slice())?;
        }
        let oldest = journal.oldest();
        while table
            .first()?
            .is_some_and(|(number, _)| number.value() < oldest)
        {
            table.pop_first()?;
        }
        Ok(())
    }

    fn new_rooms(&mut self) -> impl Iterator<Item = (&RoomKey, &mut RoomPlan)> {
        self.rooms
            .iter_mut()
            .filter(|(_, room)| !room.publications.is_empty())
    }
}

impl Due {
    /// Writes a room's publications as one block, and removes what the limits no longer need. All of that is committed already: if this commit
    /// fails, nothing that clients may still ask for is gone. Returns the bytes removed and written.
    fn move_to_blocks(
        &mut self,
        messages: &mut Messages<'_>,
        publications: &[Keyed],
        limits: &HistoryLimits,
    ) -> Result<(u64, u64), Fault> {
        let now_ms = publications
            .last()
            .map_or(0, |(publication, _)| publication.ts);
        let mut freed = 0;
        while let Some(block) = self.blocks.pop_expired(limits, now_ms) {
            messages.remove((self.id, block.first_seq))?;
        }
        while let Some(block) = self
            .blocks
            .pop_trimmed(limits, now_ms, publications.len() as u64)
        {
            freed += block.bytes;
            if let Some(keys) = let_go(
                messages,
                self.id,
                &block,
                block.has_live_keys(limits, now_ms),
            )? {
                self.blocks.push(keys);
            }
        }
        // The newest is kept whatever the limits say: the end of its block is where the numbering goes on.
        let gone = publications
            .len()
            .saturating_sub(limits.messages_max.max(1));
        let (gone, kept) = publications.split_at(gone);
        self.append_keys(messages, gone)?;
        let (block, bytes) = encoding::encode(pairs(kept));
        messages.insert((self.id, block.first_seq), bytes.as_slice())?;
        self.blocks.push(block);
        Ok((freed, block.bytes))
    }

    /// Writes the keys of publications that are past the limits before they ever got to a block.
    pub(crate) fn append_keys(
        &mut self,
        messages: &mut Messages<'_>,
        gone: &[Keyed],
    ) -> Result<(), Fault> {
        if gone.iter().all(|(_, key)| key.is_none()) {
            return Ok(());
        }
        let (block, bytes) = encoding::encode(pairs(gone));
        messages.insert((self.id, block.first_seq), bytes.as_slice())?;
        if let Some(keys) = let_go(messages, self.id, &block, true)? {
            self.blocks.push(keys);
        }
        Ok(())
    }
}

fn pairs(
    publications: &[Keyed],
) -> impl ExactSizeIterator<Item = (&Publication, Option<&IdempotencyKey>)> + Clone {
    publications
        .iter()
        .map(|(publication, key)| (&**publication, key.as_ref()))
}

impl RoomPlan {
    fn new(kept: &Kept) -> Self {
        Self {
            id: kept.id,
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
pub(crate) fn kept(entry: Option<&mut cache::Entry>) -> &mut Kept {
    match entry {
        Some(cache::Entry::Kept(kept)) => kept,
        Some(cache::Entry::Loading(_)) | None => {
            unreachable!("a room with a write on its way stays in memory")
        }
    }
}
