//! Writes that go through the rows of whole rooms: emptying them, and undoing what a failed commit may have left.

use nuncio_hub::RoomKey;
use nuncio_model::Position;
use redb::{Database, ReadableTable};

use crate::blocks::Blocks;
use crate::encoding::Block;
use crate::fault::Fault;
use crate::plan::let_go;
use crate::tables::{CONTENT_BYTES, MESSAGES, META, Meta, NEXT_ROOM, ROOMS, name_of};

/// A room whose rows are known again.
pub(crate) struct Undone {
    pub(crate) key: RoomKey,
    pub(crate) id: Option<u64>,
    pub(crate) blocks: Blocks,
}

/// Removes what is on disk beyond the positions that clients know. Writes in any case: so it also shows that writing works.
pub(crate) fn undo(
    database: &Database,
    unsure: Vec<(RoomKey, Position)>,
    meta: &Meta,
) -> Result<Vec<Undone>, Fault> {
    let mut undone = Vec::with_capacity(unsure.len());
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(META)?;
        table.insert(CONTENT_BYTES, meta.content_bytes)?;
        table.insert(NEXT_ROOM, meta.next_room)?;
        let mut rooms = transaction.open_table(ROOMS)?;
        let mut messages = transaction.open_table(MESSAGES)?;
        for (key, position) in unsure {
            let name = name_of(&key);
            let row = rooms.get(name.as_slice())?.map(|row| row.value());
            let mut blocks = Blocks::default();
            if let Some((id, epoch, _)) = row {
                rooms.insert(name.as_slice(), (id, epoch, position.seq))?;
                messages.retain_in((id, position.seq + 1)..=(id, u64::MAX), |_, _| false)?;
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
            undone.push(Undone {
                key,
                id: row.map(|(id, _, _)| id),
                blocks,
            });
        }
    }
    transaction.commit()?;
    Ok(undone)
}

/// Removes all publications of a room and returns their bytes; keys stay as long as they are live. `blocks` is then what is left.
pub(crate) fn clear(
    database: &Database,
    key: &RoomKey,
    id: u64,
    position: Position,
    blocks: &mut Blocks,
) -> Result<u64, Fault> {
    let mut freed = 0;
    let transaction = database.begin_write()?;
    {
        let mut messages = transaction.open_table(MESSAGES)?;
        while let Some(block) = blocks.pop_whole() {
            freed += block.bytes;
            // No clock comes with a clear: keys stay until the next publication, which has one.
            if let Some(keys) = let_go(&mut messages, id, &block, block.keys > 0)? {
                blocks.push(keys);
            }
        }
        let mut rooms = transaction.open_table(ROOMS)?;
        rooms.insert(
            name_of(key).as_slice(),
            (id, position.epoch.to_bits(), position.seq),
        )?;
    }
    transaction.commit()?;
    Ok(freed)
}
