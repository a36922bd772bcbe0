//! A log of events for whoever must be told of them all: kept on disk until every reader has them.
//!
//! ```text
//! append ──> events 41 42 43 44 45 …            one transaction for a batch, then it may be read
//!                   ^        ^
//!            reader "b"   reader "a"            what all have read is dropped
//! ```
//!
//! An event may begin something (a connection) and another end it. What has begun and not ended is remembered beside the log, so that a process that dies
//! leaves a list of what its successor must end. Whatever has begun in the log ends in it, exactly once.

mod error;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::StoreError;
use crate::database::{self, Access, Databases};
use crate::fault::Fault;
use crate::medium::Medium;
use crate::tables::FormatFault;

pub use error::EventLogError;
use tables::{ALIVE, BYTES, EVENTS, FORMAT_KNOWN, Memory, NEXT, OneFile};

/// Events on disk, or in memory, in one order. Its methods block for as long as the disk takes.
#[derive(Debug)]
pub struct EventLog {
    databases: Databases,
    salt: u64,
    bytes_max: u64,
    lost: fn(&Begun, u64) -> Bytes,
    /// The batch whose commit failed: it may be there all the same.
    doubt: Mutex<Option<Doubt>>,
    totals: EventTotals,
}

/// What an [`EventLog`] did since it was opened, and what it holds.
#[derive(Debug, Default)]
pub struct EventTotals {
    /// Events taken in.
    pub recorded: AtomicU64,
    /// Events not taken in because the log was full.
    pub dropped: AtomicU64,
    /// Bytes of the events that wait for a reader.
    pub bytes: AtomicU64,
    /// Events that wait for the slowest reader.
    pub waiting: AtomicU64,
}

/// One thing to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something happened.
    Event(Bytes),
    /// Something began that ends later.
    Begin {
        /// Names it until it ends.
        key: Box<str>,
        /// What is told.
        event: Bytes,
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// It ended. Without its beginning in the log it is not told.
    End {
        /// As in the beginning.
        key: Box<str>,
        /// What is told.
        event: Bytes,
    },
}

/// What has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The number of its first event.
    pub number: u64,
    /// When it began, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was told.
    pub event: Bytes,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number: from 1, without gaps, never used twice.
    pub number: u64,
    /// The number of the event that began what this one begins or ends.
    pub begun: Option<u64>,
    /// What is told.
    pub event: Bytes,
}

/// A failed commit: how many entries it had, and where the log stood before.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    entries: usize,
    next: u64,
}

impl EventLog {
    /// Opens the log of a data directory, or makes it. `bytes_max` bounds the events that wait: beyond it new ones are dropped and counted, but for the ends
    /// of what has begun in the log. `lost` writes the end of what a process left behind that died; it gets the time when that was last alive, in
    /// milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError`], as [`Store::open`](crate::Store::open).
    pub fn open(
        directory: &Path,
        bytes_max: usize,
        lost: fn(&Begun, u64) -> Bytes,
    ) -> Result<Self, StoreError> {
        let file = OneFile::in_directory(directory)?;
        let path = file.path().to_owned();
        Self::open_at(&path, Arc::new(file), bytes_max, lost)
    }

    /// A log that ends with the process.
    pub fn in_memory(bytes_max: usize, lost: fn(&Begun, u64) -> Bytes) -> Self {
        Self::open_at(Path::new("memory"), Arc::new(Memory), bytes_max, lost)
            .unwrap_or_else(|error| unreachable!("memory fails no access: {error}"))
    }

    /// Opens a log on something else than a file: for tests that fail where a disk would.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        medium: Arc<dyn Medium>,
        bytes_max: usize,
        lost: fn(&Begun, u64) -> Bytes,
    ) -> Result<Self, StoreError> {
        Self::open_at(Path::new("events"), medium, bytes_max, lost)
    }

    fn open_at(
        path: &Path,
        medium: Arc<dyn Medium>,
        bytes_max: usize,
        lost: fn(&Begun, u64) -> Bytes,
    ) -> Result<Self, StoreError> {
        let (database, fuse) = database::open(&*medium, PAGE_CACHE_BYTES, Access::Full)
            .map_err(|fault| corrupt(path, &fault))?;
        let salt =
            tables::prepare(&database, crate::store::random()).map_err(|fault| match fault {
                FormatFault::Fault(fault) => corrupt(path, &fault),
                FormatFault::Newer(found) => StoreError::NewerFormat {
                    path: path.into(),
                    found,
                    known: FORMAT_KNOWN,
                },
                FormatFault::Foreign(reason) => StoreError::Corrupt {
                    path: path.into(),
                    reason,
                },
            })?;
        let log = Self {
            databases: Databases::new(medium, PAGE_CACHE_BYTES, database, fuse),
            salt,
            bytes_max: bytes_max as u64,
            lost,
            doubt: Mutex::default(),
            totals: EventTotals::default(),
        };
        log.end_lost().map_err(|error| corrupt(path, &error.0))?;
        Ok(log)
    }

    /// Differs from log to log: with the number it makes an id that no other event has.
    pub const fn salt(&self) -> u64 {
        self.salt
    }

    /// What it did, and what it holds.
    pub const fn totals(&self) -> &EventTotals {
        &self.totals
    }

    /// Sets who reads: others are forgotten, new ones begin with what is appended from here on. Returns the number that each reads next.
    ///
    /// # Errors
    /// [`EventLogError`]; nothing changed then.
    pub fn set_readers(&self, names: &[&str]) -> Result<Vec<u64>, EventLogError> {
        self.write(|tables| {
            let next = tables.number(NEXT)?;
            tables
                .readers
                .retain(|name, _| names.contains(&name))
                .map_err(Fault::from)?;
            let mut positions = Vec::new();
            for name in names {
                let known = tables.readers.get(name).map_err(Fault::from)?;
                let position = known.map_or(next, |position| position.value());
                tables.readers.insert(name, position).map_err(Fault::from)?;
                positions.push(position);
            }
            tables.drop_read()?;
            Ok(positions)
        })
    }

    /// Appends entries in one transaction, on disk when this returns. `now_ms` is kept as the time at which the process was last alive.
    ///
    /// # Errors
    /// [`EventLogError`]: it is not known whether the entries are there. The same ones must be tried again before any others; those that are there are then
    /// not appended twice.
    pub fn append(&self, entries: &[Entry], now_ms: u64) -> Result<(), EventLogError> {
        let mut doubt = self.doubt.lock();
        let (mut recorded, mut dropped) = (0, 0);
        let mut next_before = None;
        let result = self.write(|tables| {
            let next = tables.number(NEXT)?;
            let done = match *doubt {
                Some(Doubt {
                    entries,
                    next: before,
                }) if next != before => entries,
                Some(_) | None => 0,
            };
            next_before = Some(next);
            for entry in entries.iter().skip(done) {
                match self.append_one(tables, entry)? {
                    Appended::Recorded => recorded += 1,
                    Appended::Dropped => dropped += 1,
                    Appended::Unknown => {}
                }
            }
            tables.set(ALIVE, now_ms)
        });
        match &result {
            Ok(()) => {
                *doubt = None;
                self.totals.recorded.fetch_add(recorded, Ordering::Relaxed);
                self.totals.dropped.fetch_add(dropped, Ordering::Relaxed);
            }
            // A second failure says nothing new of the first batch.
            Err(_) if doubt.is_none() => {
                *doubt = next_before.map(|next| Doubt {
                    entries: entries.len(),
                    next,
                });
            }
            Err(_) => {}
        }
        result
    }

    fn append_one(
        &self,
        tables: &mut tables::Tables<'_>,
        entry: &Entry,
    ) -> Result<Appended, Fault> {
        let is_full = tables.number(BYTES)? >= self.bytes_max;
        match entry {
            Entry::Event(_) | Entry::Begin { .. } if is_full => Ok(Appended::Dropped),
            Entry::Event(event) => {
                tables.push(0, event)?;
                Ok(Appended::Recorded)
            }
            Entry::Begin { key, event, at_ms } => {
                if let Some(begun) = tables.take_live(key)? {
                    let alive = tables.number(ALIVE)?;
                    tables.push(begun.number, &(self.lost)(&begun, alive))?;
                }
                let number = tables.number(NEXT)?;
                tables.push(number, event)?;
                tables.set_live(key, number, *at_ms, event)?;
                Ok(Appended::Recorded)
            }
            Entry::End { key, event } => match tables.take_live(key)? {
                Some(begun) => {
                    tables.push(begun.number, event)?;
                    Ok(Appended::Recorded)
                }
                None => Ok(Appended::Unknown),
            },
        }
    }

    /// Ends what the process before left behind.
    fn end_lost(&self) -> Result<(), EventLogError> {
        self.write(|tables| {
            let alive = tables.number(ALIVE)?;
            for begun in tables.take_all_live()? {
                tables.push(begun.number, &(self.lost)(&begun, alive))?;
            }
            Ok(())
        })
    }

    /// Notes that the process is alive, for the end of what it leaves behind if it dies.
    ///
    /// # Errors
    /// [`EventLogError`].
    pub fn touch(&self, now_ms: u64) -> Result<(), EventLogError> {
        self.write(|tables| tables.set(ALIVE, now_ms))
    }

    /// Reads events from a number on: at most `events_max` of them, and one at least, though it is larger than `bytes_max`.
    ///
    /// # Errors
    /// [`EventLogError`].
    pub fn read(
        &self,
        from: u64,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Logged>, EventLogError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let events = transaction.open_table(EVENTS)?;
            let (mut read, mut bytes) = (Vec::new(), 0);
            for row in events.range(from..)?.take(events_max) {
                let (number, row) = row?;
                let (begun, event) = row.value();
                bytes += event.len();
                if bytes > bytes_max && !read.is_empty() {
                    break;
                }
                read.push(Logged {
                    number: number.value(),
                    begun: (begun > 0).then_some(begun),
                    event: Bytes::copy_from_slice(event),
                });
            }
            Ok(read)
        })
    }

    /// Notes that a reader has everything before `next`, and drops what all readers have.
    ///
    /// # Errors
    /// [`EventLogError`]; it may be noted all the same.
    pub fn advance(&self, reader: &str, next: u64) -> Result<(), EventLogError> {
        self.write(|tables| {
            tables.readers.insert(reader, next).map_err(Fault::from)?;
            tables.drop_read()
        })
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut tables::Tables<'_>) -> Result<T, Fault>,
    ) -> Result<T, EventLogError> {
        let (result, held) = self.with(|database| {
            let transaction = database.begin_write()?;
            let mut tables = tables::Tables::open(&transaction)?;
            let result = change(&mut tables)?;
            let held = tables.held()?;
            drop(tables);
            transaction.commit()?;
            Ok((result, held))
        })?;
        self.totals.bytes.store(held.bytes, Ordering::Relaxed);
        self.totals.waiting.store(held.events, Ordering::Relaxed);
        Ok(result)
    }

    /// Uses the database; after an error it is opened again the next time.
    fn with<T>(&self, job: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, EventLogError> {
        let database = match self.databases.present() {
            (_, Some(database)) => database,
            (_, None) => self.databases.reopen(Access::Full).map_err(EventLogError)?,
        };
        job(&database).map_err(|fault| {
            self.databases.close_abruptly();
            EventLogError(fault)
        })
    }
}

enum Appended {
    Recorded,
    Dropped,
    /// The end of something whose beginning is not in the log.
    Unknown,
}

fn corrupt(path: &Path, fault: &Fault) -> StoreError {
    StoreError::Corrupt {
        path: PathBuf::from(path),
        reason: fault.to_string(),
    }
}

/// Pages that the database keeps in memory: the newest events are read soon after they are written.
const PAGE_CACHE_BYTES: usize = 4 * 1024 * 1024;
