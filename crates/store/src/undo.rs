//! Writes that go through the rows of whole rooms: emptying them, and undoing what a failed commit may have left.

use hashbrown::HashSet;
use nuncio_hub::{Domain, RoomKey};
use nuncio_model::Position;
use redb::{Database, ReadableTable};

use crate::blocks::Blocks;
use crate::domain;
use crate::encoding::Block;
use crate::fault::Fault;
use crate::journal::{Due, Journal, Keyed};
use crate::plan::let_go;
use crate::tables::{CONTENT_BYTES, JOURNAL, MESSAGES, META, Meta, NEXT_ROOM, ROOMS, name_of};

/// A room whose rows are known again.
pub(crate) struct Undone {
    pub(crate) key: RoomKey,
    pub(crate) id: Option<u64>,
    /// What is not above it was cleared.
    pub(crate) row_seq: u64,
    pub(crate) blocks: Blocks,
}

/// Removes the commit that failed, if it is on disk after all, and reads what is there of the rooms it may have changed. Writes in any case: so it also shows that writing works.
pub(crate) fn undo(
    database: &Database,
    unsure: &HashSet<RoomKey>,
    journal: &Journal,
    meta: &Meta,
    domain: Option<&Domain>,
) -> Result<Vec<Undone>, Fault> {
    let mut undone = Vec::with_capacity(unsure.len());
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(META)?;
        table.insert(CONTENT_BYTES, meta.content_bytes)?;
        table.insert(NEXT_ROOM, meta.next_room)?;
        // The row of the commit that failed: what was refused stays refused.
        transaction
            .open_table(JOURNAL)?
            .retain_in(journal.next().., |_, _| false)?;
        let rooms = transaction.open_table(ROOMS)?;
        let messages = transaction.open_table(MESSAGES)?;
        for key in unsure {
            let row = rooms.get(name_of(key).as_slice())?.map(|row| row.value());
            let mut blocks = Blocks::default();
            if let Some((id, _, _)) = row {
                for row in messages.range((id, 0)..=(id, u64::MAX))? {
                    let (row, value) = row?;
                    let (_, first_seq) = row.value();
                    match Block::decode_header(first_seq, value.value()) {
                        Ok(block) => blocks.push(block),
                        Err(reason) => {
                            tracing::error!(room = id, first_seq, %reason, "a block is damaged")
                        }
                    }
                }
            }
            let (id, seq) = row.map_or((None, 0), |(id, _, seq)| (Some(id), seq));
            undone.push(Undone {
                key: key.clone(),
                id,
                row_seq: seq,
                blocks,
            });
        }
    }
    if let Some(domain) = domain {
        domain::undo(&transaction, domain)?;
    }
    transaction.commit()?;
    Ok(undone)
}

/// Removes all publications of a room and returns the bytes that were in its blocks; keys stay as long as they are live. `room` then has what is left.
pub(crate) fn clear(
    database: &Database,
    room: &mut Due,
    position: Position,
    in_journal: &[Keyed],
) -> Result<u64, Fault> {
    let mut freed = 0;
    let transaction = database.begin_write()?;
    {
        let mut messages = transaction.open_table(MESSAGES)?;
        while let Some(block) = room.blocks.pop_whole() {
            freed += block.bytes;
            // No clock comes with a clear: keys stay until the next publication, which has one.
            if let Some(keys) = let_go(&mut messages, room.id, &block, block.keys > 0)? {
                room.blocks.push(keys);
            }
        }
        room.append_keys(&mut messages, in_journal)?;
        let mut rooms = transaction.open_table(ROOMS)?;
        let row = (room.id, position.epoch.to_bits(), position.seq);
        rooms.insert(name_of(&room.key).as_slice(), row)?;
    }
    transaction.commit()?;
    Ok(freed)
}
