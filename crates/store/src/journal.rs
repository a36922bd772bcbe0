//! The journal: what the last commits brought, one row per commit, until it is moved to the rooms' own blocks.
//!
//! A commit brings a message or two to each of many rooms. Written to the rooms' blocks at once, every message would cost a page of its own;
//! in one row they are neighbours. Each commit moves a few rooms, those that wait longest, so that a block gets the messages of many commits:
//!
//! ```text
//! commit 41   journal[41] = a: 7-8, c: 3      moved: b (3 messages since 12)      journal up to 14 goes: nobody waits since then
//! commit 42   journal[42] = a: 9, b: 5        moved: d (5 messages since 15)
//! ```
//!
//! Rooms with publications in the journal stay in memory, so readers of rooms on disk need not know of it. After a crash, it is moved as a whole.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_hub::{Deliver, RoomKey};
use nuncio_model::{IdempotencyKey, Publication};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use crate::blocks::Blocks;
use crate::encoding::Block;
use crate::fault::Fault;
use crate::plan::{RoomPlan, kept};
use crate::shared::Shared;
use crate::tables::{CONTENT_BYTES, JOURNAL, MESSAGES, META, ROOMS};

/// What is in the journal and not in blocks.
pub(crate) struct Journal {
    /// The number of the next commit.
    next: u64,
    pending: HashMap<RoomKey, Pending, FixedState>,
    /// The rooms by the commit since which they wait. Entries of rooms that need not wait any more are skipped.
    order: VecDeque<(u64, RoomKey)>,
    /// Content in `pending`.
    bytes: usize,
}

/// What one room has in the journal.
struct Pending {
    since: u64,
    publications: Vec<Keyed>,
}

/// A publication, and its idempotency key.
pub(crate) type Keyed = (Arc<Publication>, Option<IdempotencyKey>);

/// A room whose publications are moved by the next commit.
pub(crate) struct Due {
    pub(crate) key: RoomKey,
    pub(crate) id: u64,
    pub(crate) blocks: Blocks,
}

/// How many rooms are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Those that wait longest.
    Oldest,
    /// All.
    All,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let pending = HashMap::with_hasher(FixedState::with_seed(0));
        Self {
            next: 1,
            pending,
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The number of the next commit.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether everything is in blocks.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes out the rooms that the next commit moves. Their blocks are away until then.
    pub(crate) fn due<D: Deliver>(&mut self, shared: &Shared<D>, share: Share) -> Vec<Due> {
        let is_full = self.bytes > BYTES_MAX;
        let count = if is_full || share == Share::All {
            usize::MAX
        } else {
            self.pending.len() / COMMITS
        };
        let mut due = Vec::new();
        while due.len() < count {
            let Some((since, key)) = self.order.pop_front() else {
                break;
            };
            if self
                .pending
                .get(&key)
                .is_none_or(|pending| pending.since != since)
            {
                continue;
            }
            let mut shard = shared.shards.of(&key).lock();
            let kept = kept(shard.get_mut(&key));
            let Some(id) = kept.id else {
                unreachable!("a room in the journal has its row")
            };
            let blocks = std::mem::take(&mut kept.blocks);
            drop(shard);
            due.push(Due { key, id, blocks });
        }
        due
    }

    /// The commit since which the first of the rest waits; what is older in the journal may go with the next commit.
    pub(crate) fn oldest(&mut self) -> u64 {
        while let Some((since, key)) = self.order.front() {
            if self
                .pending
                .get(key)
                .is_some_and(|pending| pending.since == *since)
            {
                return *since;
            }
            self.order.pop_front();
        }
        self.next
    }

    /// What a room has in the journal.
    pub(crate) fn publications(&self, key: &RoomKey) -> &[Keyed] {
        self.pending
            .get(key)
            .map_or(&[], |pending| &pending.publications)
    }

    /// The commit is done: `due` is moved, what is new waits. A room in the journal stays in memory.
    pub(crate) fn committed<'a, D: Deliver>(
        &mut self,
        shared: &Shared<D>,
        due: Vec<Due>,
        new: impl Iterator<Item = (&'a RoomKey, &'a mut RoomPlan)>,
    ) {
        for Due { key, blocks, .. } in due {
            self.forget(&key);
            let mut shard = shared.shards.of(&key).lock();
            let kept = kept(shard.get_mut(&key));
            kept.blocks = blocks;
            kept.queued -= 1;
        }
        for (key, room) in new {
            let publications = std::mem::take(&mut room.publications);
            self.bytes += content(&publications);
            let mut shard = shared.shards.of(key).lock();
            let kept = kept(shard.get_mut(key));
            kept.id = room.id;
            match self.pending.get_mut(key) {
                Some(pending) => pending.publications.extend(publications),
                None => {
                    kept.queued += 1;
                    self.order.push_back((self.next, key.clone()));
                    self.pending.insert(
                        key.clone(),
                        Pending {
                            since: self.next,
                            publications,
                        },
                    );
                }
            }
        }
        self.next += 1;
    }

    /// A room's publications up to `seq` are in blocks, or gone; `true` when none is left of a room that had some.
    pub(crate) fn settle(&mut self, key: &RoomKey, seq: u64) -> bool {
        let Some(pending) = self.pending.get_mut(key) else {
            return false;
        };
        let before = content(&pending.publications);
        pending
            .publications
            .retain(|(publication, _)| publication.position.seq > seq);
        self.bytes -= before - content(&pending.publications);
        let is_over = pending.publications.is_empty();
        if is_over {
            self.pending.remove(key);
        }
        is_over
    }

    /// Rooms that a failed commit should have moved wait again.
    pub(crate) fn reorder(&mut self) {
        let mut order: Vec<_> = self
            .pending
            .iter()
            .map(|(key, pending)| (pending.since, key.clone()))
            .collect();
        order.sort_unstable_by_key(|(since, _)| *since);
        self.order = order.into();
    }

    fn forget(&mut self, key: &RoomKey) {
        if let Some(pending) = self.pending.remove(key) {
            self.bytes -= content(&pending.publications);
        }
    }
}

fn content(publications: &[Keyed]) -> usize {
    publications
        .iter()
        .map(|(publication, _)| publication.body.len())
        .sum()
}

/// Adds a room's new block to the row of a commit: the name's length in two bytes, the name, the block's first `seq`, its length in four bytes,
/// the block.
pub(crate) fn write(row: &mut Vec<u8>, name: &[u8], first_seq: u64, block: &[u8]) {
    let name_len = u16::try_from(name.len()).expect("a name has at most 511 bytes");
    let block_len = u32::try_from(block.len()).expect("the queue's bound is below 4 GiB");
    row.extend_from_slice(&name_len.to_le_bytes());
    row.extend_from_slice(name);
    row.extend_from_slice(&first_seq.to_le_bytes());
    row.extend_from_slice(&block_len.to_le_bytes());
    row.extend_from_slice(block);
}

/// Cuts the next room's block off a row: the name, the first `seq`, the block.
fn read<'a>(row: &mut &'a [u8]) -> Option<(&'a [u8], u64, &'a [u8])> {
    let mut take = |len: usize| {
        let (taken, rest) = row.split_at_checked(len)?;
        *row = rest;
        Some(taken)
    };
    let name_len = u16::from_le_bytes(take(2)?.try_into().ok()?);
    let name = take(name_len.into())?;
    let first_seq = u64::from_le_bytes(take(8)?.try_into().ok()?);
    let block_len = u32::from_le_bytes(take(4)?.try_into().ok()?);
    Some((name, first_seq, take(block_len as usize)?))
}

/// Moves what a crash left in the journal to the rooms' blocks. O(the journal), which is bounded.
pub(crate) fn replay(database: &Database) -> Result<(), Fault> {
    if database.begin_read()?.open_table(JOURNAL)?.is_empty()? {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let rooms = transaction.open_table(ROOMS)?;
        let mut messages = transaction.open_table(MESSAGES)?;
        let mut journal = transaction.open_table(JOURNAL)?;
        let mut bytes = 0;
        while let Some((number, row)) = journal.pop_first()? {
            let row = Bytes::copy_from_slice(row.value());
            let mut rest = &row[..];
            while let Some((name, first_seq, block)) = read(&mut rest) {
                let Some((id, _, seq)) = rooms.get(name)?.map(|row| row.value()) else {
                    continue;
                };
                let damaged = |reason| Fault::Damaged {
                    room: id,
                    first_seq,
                    reason,
                };
                let last = match messages.range((id, 0)..=(id, u64::MAX))?.next_back() {
                    None => seq,
                    Some(last) => {
                        let (last, value) = last?;
                        seq.max(
                            Block::decode_header(last.value().1, value.value())
                                .map_err(damaged)?
                                .last_seq(),
                        )
                    }
                };
                if first_seq > last {
                    bytes += Block::decode_header(first_seq, block)
                        .map_err(damaged)?
                        .bytes;
                    messages.insert((id, first_seq), block)?;
                }
            }
            if !rest.is_empty() {
                tracing::error!(commit = number.value(), "a row of the journal is damaged");
            }
        }
        let mut meta = transaction.open_table(META)?;
        let before = meta.get(CONTENT_BYTES)?.map_or(0, |bytes| bytes.value());
        meta.insert(CONTENT_BYTES, before + bytes)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A room waits for about so many commits. More of them save writes; what waits is in memory, and read at the next start after a crash.
const COMMITS: usize = 32;

/// Content in the journal at which all of it is moved.
const BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let mut row = Vec::new();
        write(&mut row, b"a", 7, b"block");
        write(&mut row, b"", 8, b"");

        let mut rest = &row[..];

        assert_eq!(read(&mut rest), Some((&b"a"[..], 7, &b"block"[..])));
        assert_eq!(read(&mut rest), Some((&b""[..], 8, &b""[..])));
        assert_eq!((read(&mut rest), rest.len()), (None, 0));
        assert_eq!(read(&mut &row[..10]), None, "a cut row ends");
    }
}
