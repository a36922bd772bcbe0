//! The tables of the database, format 1.
//!
//! ```text
//! meta      name             -> number        "format", "salt", "next room", "content bytes"
//! rooms     namespace, room  -> (number of the room, epoch, seq)
//! messages  (room, seq)      -> block         the key's seq is the block's first
//! journal   commit           -> blocks        what the last commits brought, not yet in messages
//! order, sessions            see `domain`     where clients recover their state
//! ```
//!
//! A room's last `seq` is the end of its last block, or `seq` of its row where that is higher: so a publication does not write it. The row is
//! written when the room gets its first publication, and when blocks at the end go.

use nuncio_hub::RoomKey;
use nuncio_model::{Epoch, Namespace, RoomName};
use redb::{Database, ReadableDatabase, TableDefinition, TableError, TableHandle};

use crate::fault::Fault;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const ROOMS: TableDefinition<'_, &[u8], (u64, u64, u64)> = TableDefinition::new("rooms");
pub(crate) const MESSAGES: TableDefinition<'_, (u64, u64), &[u8]> =
    TableDefinition::new("messages");
pub(crate) const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

pub(crate) const NEXT_ROOM: &str = "next room";
pub(crate) const CONTENT_BYTES: &str = "content bytes";
const FORMAT: &str = "format";
const SALT: &str = "salt";

/// The newest format that this version reads, and the one it writes.
pub(crate) const FORMAT_KNOWN: u64 = 1;

/// The numbers of the `meta` table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    /// Decides the epoch of rooms that have no row yet.
    pub(crate) salt: u64,
    /// The number that the next new room gets.
    pub(crate) next_room: u64,
    /// Bytes of content in all blocks: how large the file should be at least.
    pub(crate) content_bytes: u64,
}

/// Why a database is not a message store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatFault {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("format {0}")]
    Newer(u64),
    #[error("{0}")]
    Foreign(String),
}

/// Reads the format and the numbers; makes the tables in an empty database, with `fresh_salt`.
pub(crate) fn prepare(database: &Database, fresh_salt: u64) -> Result<Meta, FormatFault> {
    match read_meta(database)? {
        Some(meta) => Ok(meta),
        None => create(database, fresh_salt).map_err(FormatFault::Fault),
    }
}

fn read_meta(database: &Database) -> Result<Option<Meta>, FormatFault> {
    let transaction = database.begin_read().map_err(Fault::from)?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => {
            let mut others = transaction.list_tables().map_err(Fault::from)?;
            return match others.next() {
                None => Ok(None),
                Some(table) => Err(FormatFault::Foreign(format!(
                    "it has a table {:?}",
                    table.name()
                ))),
            };
        }
        Err(error @ TableError::Storage(_)) => return Err(FormatFault::Fault(error.into())),
        Err(error) => return Err(FormatFault::Foreign(error.to_string())),
    };
    let number = |name: &str| -> Result<u64, FormatFault> {
        let value = meta.get(name).map_err(Fault::from)?;
        value
            .map(|value| value.value())
            .ok_or_else(|| FormatFault::Foreign(format!("it has no {name:?}")))
    };
    match number(FORMAT)? {
        0 => Err(FormatFault::Foreign("it has format 0".into())),
        FORMAT_KNOWN => {
            let (salt, next_room) = (number(SALT)?, number(NEXT_ROOM)?);
            Ok(Some(Meta {
                salt,
                next_room,
                content_bytes: number(CONTENT_BYTES)?,
            }))
        }
        newer => Err(FormatFault::Newer(newer)),
    }
}

fn create(database: &Database, salt: u64) -> Result<Meta, Fault> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        for (name, number) in [
            (FORMAT, FORMAT_KNOWN),
            (SALT, salt),
            (NEXT_ROOM, 1),
            (CONTENT_BYTES, 0),
        ] {
            meta.insert(name, number)?;
        }
        transaction.open_table(ROOMS)?;
        transaction.open_table(MESSAGES)?;
        transaction.open_table(JOURNAL)?;
    }
    transaction.commit()?;
    Ok(Meta {
        salt,
        next_room: 1,
        content_bytes: 0,
    })
}

/// The key of a room's row: the length of the namespace in one byte, the namespace, the room.
pub(crate) fn name_of(key: &RoomKey) -> Vec<u8> {
    let namespace_len =
        u8::try_from(key.namespace.len()).expect("a namespace has at most 255 bytes");
    let mut name = Vec::with_capacity(1 + key.namespace.len() + key.room.len());
    name.push(namespace_len);
    name.extend_from_slice(key.namespace.as_bytes());
    name.extend_from_slice(key.room.as_bytes());
    name
}

/// The room of a row; `None` when no room has that name.
pub(crate) fn key_of(name: &[u8]) -> Option<RoomKey> {
    let (&namespace_len, rest) = name.split_first()?;
    let (namespace, room) = rest.split_at_checked(namespace_len.into())?;
    let namespace = Namespace::parse(std::str::from_utf8(namespace).ok()?).ok()?;
    let room = RoomName::parse(std::str::from_utf8(room).ok()?).ok()?;
    Some(RoomKey { namespace, room })
}

/// The epoch of a room before its first publication: always the same in one store, so that a look at a room writes nothing and still
/// a restart does not renew its epoch. FNV-1a over the salt and the name, mixed.
pub(crate) fn first_epoch(salt: u64, name: &[u8]) -> Epoch {
    let salt = salt.to_le_bytes();
    let hash = salt
        .iter()
        .chain(name)
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Epoch::from_random(mixed ^ (mixed >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_found_again_by_the_name_of_its_row() {
        let key = RoomKey {
            namespace: Namespace::parse("/chat").unwrap(),
            room: RoomName::parse("a").unwrap(),
        };
        let other = RoomKey {
            namespace: Namespace::parse("/c").unwrap(),
            room: RoomName::parse("hata").unwrap(),
        };

        assert_eq!(key_of(&name_of(&key)), Some(key.clone()));
        assert_ne!(name_of(&key), name_of(&other));
        assert_eq!(key_of(b""), None);
        assert_eq!(key_of(b"\x09/a"), None);
    }

    #[test]
    fn the_first_epoch_depends_on_the_store_and_on_the_room() {
        assert_eq!(first_epoch(1, b"a"), first_epoch(1, b"a"));
        assert_ne!(first_epoch(1, b"a"), first_epoch(2, b"a"));
        assert_ne!(first_epoch(1, b"a"), first_epoch(1, b"b"));
    }
}
