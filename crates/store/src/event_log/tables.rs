//! The tables of an event log, format 1.
//!
//! ```text
//! meta      name      -> number                              "format", "salt", "next", "bytes", "alive"
//! events    number    -> (number of the first event, event)  0 where nothing begins or ends
//! live      key       -> (number, begun at, event)           begun and not ended
//! readers   name      -> number                              what each reads next
//! ```

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend, Table,
    TableDefinition, TableError, WriteTransaction,
};

use super::Begun;
use crate::StoreError;
use crate::fault::Fault;
use crate::medium::Medium;
use crate::tables::FormatFault;

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const EVENTS: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("events");
pub(super) const LIVE: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("live");
pub(super) const READERS: TableDefinition<'_, &str, u64> = TableDefinition::new("readers");

pub(super) const NEXT: &str = "next";
pub(super) const BYTES: &str = "bytes";
pub(super) const ALIVE: &str = "alive";
const FORMAT: &str = "format";
const SALT: &str = "salt";

/// The newest format that this version reads, and the one it writes.
pub(super) const FORMAT_KNOWN: u64 = 1;

/// What a row costs besides its event, about.
const ROW_BYTES: u64 = 32;

/// The tables of one transaction.
pub(super) struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    events: Table<'t, u64, (u64, &'static [u8])>,
    live: Table<'t, &'static str, (u64, u64, &'static [u8])>,
    pub(super) readers: Table<'t, &'static str, u64>,
}

/// What waits for readers.
pub(super) struct Held {
    pub(super) bytes: u64,
    pub(super) events: u64,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            events: transaction.open_table(EVENTS)?,
            live: transaction.open_table(LIVE)?,
            readers: transaction.open_table(READERS)?,
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Fault> {
        Ok(self.meta.get(name)?.map_or(0, |number| number.value()))
    }

    pub(super) fn set(&mut self, name: &str, number: u64) -> Result<(), Fault> {
        self.meta.insert(name, number)?;
        Ok(())
    }

    pub(super) fn held(&self) -> Result<Held, Fault> {
        Ok(Held {
            bytes: self.number(BYTES)?,
            events: self.events.len()?,
        })
    }

    /// Appends an event; `begun` is 0 where nothing begins or ends.
    pub(super) fn push(&mut self, begun: u64, event: &[u8]) -> Result<(), Fault> {
        let number = self.number(NEXT)?;
        self.events.insert(number, (begun, event))?;
        self.set(NEXT, number + 1)?;
        let bytes = self.number(BYTES)? + ROW_BYTES + event.len() as u64;
        self.set(BYTES, bytes)
    }

    pub(super) fn set_live(
        &mut self,
        key: &str,
        number: u64,
        at_ms: u64,
        event: &[u8],
    ) -> Result<(), Fault> {
        self.live.insert(key, (number, at_ms, event))?;
        Ok(())
    }

    pub(super) fn take_live(&mut self, key: &str) -> Result<Option<Begun>, Fault> {
        let row = self.live.remove(key)?;
        Ok(row.map(|row| begun(row.value())))
    }

    /// Takes out everything that has not ended, in the order in which it began.
    pub(super) fn take_all_live(&mut self) -> Result<Vec<Begun>, Fault> {
        let mut all = Vec::new();
        for row in self.live.iter()? {
            all.push(begun(row?.1.value()));
        }
        self.live.retain(|_, _| false)?;
        all.sort_by_key(|begun| begun.number);
        Ok(all)
    }

    /// Drops what every reader has read; without readers, everything.
    pub(super) fn drop_read(&mut self) -> Result<(), Fault> {
        let mut oldest = self.number(NEXT)?;
        for row in self.readers.iter()? {
            oldest = oldest.min(row?.1.value());
        }
        let mut freed = 0;
        let mut read = self.events.extract_from_if(..oldest, |_, (_, event)| {
            freed += ROW_BYTES + event.len() as u64;
            true
        })?;
        read.try_for_each(|row| row.map(drop))?;
        drop(read);
        let bytes = self.number(BYTES)?.saturating_sub(freed);
        self.set(BYTES, bytes)
    }
}

fn begun((number, at_ms, event): (u64, u64, &[u8])) -> Begun {
    Begun {
        number,
        at_ms,
        event: Bytes::copy_from_slice(event),
    }
}

/// Checks the format and returns the salt; makes the tables in an empty database, with `fresh_salt`.
pub(super) fn prepare(database: &Database, fresh_salt: u64) -> Result<u64, FormatFault> {
    let transaction = database.begin_read().map_err(Fault::from)?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => {
            drop(transaction);
            create(database, fresh_salt)?;
            return Ok(fresh_salt);
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
        FORMAT_KNOWN => number(SALT),
        0 => Err(FormatFault::Foreign("it has format 0".into())),
        newer => Err(FormatFault::Newer(newer)),
    }
}

fn create(database: &Database, salt: u64) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    for (name, number) in [
        (FORMAT, FORMAT_KNOWN),
        (SALT, salt),
        (NEXT, 1),
        (BYTES, 0),
        (ALIVE, 0),
    ] {
        tables.set(name, number)?;
    }
    drop(tables);
    transaction.commit()?;
    Ok(())
}

/// The file of a log in its data directory. It has redb's own lock.
#[derive(Debug)]
pub(super) struct OneFile(PathBuf);

impl OneFile {
    pub(super) fn in_directory(directory: &Path) -> Result<Self, StoreError> {
        let made = fs::create_dir_all(directory);
        made.map_err(|source| StoreError::Io {
            path: directory.into(),
            reason: source,
        })?;
        Ok(Self(directory.join("events.redb")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Medium for OneFile {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let is_new = !self.0.try_exists()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.0)?;
        if is_new {
            // The name of a new file is durable only when its directory is.
            File::open(self.0.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    }
}

/// Bytes that are gone when the database is closed.
#[derive(Debug)]
pub(super) struct Memory;

impl Medium for Memory {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(InMemoryBackend::new()))
    }
}
