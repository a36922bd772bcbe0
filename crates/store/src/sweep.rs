//! Finds rooms that fell silent and whose history is too old: no publication comes that would trim them.

use nuncio_hub::{Deliver, RoomKey};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::encoding::Block;
use crate::fault::Fault;
use crate::shared::Shared;
use crate::tables::{CONTENT_BYTES, MESSAGES, META, ROOMS, key_of, name_of};

/// Where in the table of rooms the search goes on.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    after: Vec<u8>,
}

/// A room whose publications are all too old.
struct Silent {
    key: RoomKey,
    id: u64,
    epoch: u64,
    seq: u64,
}

impl Sweep {
    /// Looks at the next few rooms and empties the silent ones; returns the bytes that were in them. Rooms in memory are left alone: they are trimmed there, and on disk with their
    /// next publication.
    pub(crate) fn run<D: Deliver>(
        &mut self,
        shared: &Shared<D>,
        database: &Database,
        now_ms: u64,
    ) -> Result<u64, Fault> {
        let mut silent = self.next(shared, database, now_ms)?;
        silent.retain(|room| !shared.shards.of(&room.key).lock().contains_key(&room.key));
        if silent.is_empty() {
            Ok(0)
        } else {
            empty(database, &silent)
        }
    }

    fn next<D: Deliver>(
        &mut self,
        shared: &Shared<D>,
        database: &Database,
        now_ms: u64,
    ) -> Result<Vec<Silent>, Fault> {
        let transaction = database.begin_read()?;
        let rooms = transaction.open_table(ROOMS)?;
        let messages = transaction.open_table(MESSAGES)?;
        let mut silent = Vec::new();
        let mut last = Vec::new();
        for row in rooms.range(self.after.as_slice()..)?.take(ROOMS_PER_STEP) {
            let (name, row) = row?;
            last = name.value().to_vec();
            let (id, epoch, seq) = row.value();
            let Some(key) = key_of(&last) else { continue };
            let Some(block) = messages.range((id, 0)..=(id, u64::MAX))?.next_back() else {
                continue;
            };
            let (row, value) = block?;
            let Ok(block) = Block::decode_header(row.value().1, value.value()) else {
                continue;
            };
            let limits = shared.limits(&key);
            let kept_for = limits.age_max.max(limits.idempotency_ttl).as_millis() as u64;
            if block.newest_ts.saturating_add(kept_for) < now_ms {
                silent.push(Silent {
                    key,
                    id,
                    epoch,
                    seq: seq.max(block.last_seq()),
                });
            }
        }
        // The smallest name that is greater; from the start again at the end.
        if !last.is_empty() {
            last.push(0);
        }
        self.after = last;
        Ok(silent)
    }
}

fn empty(database: &Database, silent: &[Silent]) -> Result<u64, Fault> {
    let mut freed = 0;
    let transaction = database.begin_write()?;
    {
        let mut rooms = transaction.open_table(ROOMS)?;
        let mut messages = transaction.open_table(MESSAGES)?;
        for room in silent {
            messages.retain_in(
                (room.id, 0)..=(room.id, u64::MAX),
                |(_, first_seq), value| {
                    freed += Block::decode_header(first_seq, value).map_or(0, |block| block.bytes);
                    false
                },
            )?;
            rooms.insert(
                name_of(&room.key).as_slice(),
                (room.id, room.epoch, room.seq),
            )?;
        }
        let mut meta = transaction.open_table(META)?;
        let bytes = meta.get(CONTENT_BYTES)?.map_or(0, |bytes| bytes.value());
        meta.insert(CONTENT_BYTES, bytes.saturating_sub(freed))?;
    }
    transaction.commit()?;
    Ok(freed)
}

/// Rooms of one step: few enough that publishes do not wait for it.
const ROOMS_PER_STEP: usize = 256;
