//! A disk in memory that loses what was not synced, and fails on demand.
#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io;
use std::sync::{Arc, Mutex};

use nuncio_store::Medium;
use redb::StorageBackend;

/// A disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a reader sees.
    current: Vec<u8>,
    /// What is certain to survive a power failure.
    durable: Vec<u8>,
    /// What may or may not, sector by sector, in any combination.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Accesses until the power fails.
    accesses_left: Option<u64>,
    failure: Option<Failure>,
    opened: usize,
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Every write, for want of space.
    Full,
    /// Writing new places, for want of space; what is there can be overwritten.
    NoGrowth,
    /// The sync, although everything it should have secured is there.
    Sync,
    /// Everything, reads too.
    Dead,
}

impl Disk {
    pub(crate) fn fail(&self, failure: Option<Failure>) {
        self.0.lock().unwrap().failure = failure;
    }

    /// How often a database was opened on it.
    pub(crate) fn opened(&self) -> usize {
        self.0.lock().unwrap().opened
    }

    /// The power fails after so many more accesses.
    pub(crate) fn cut_power_after(&self, accesses: u64) {
        self.0.lock().unwrap().accesses_left = Some(accesses);
    }

    /// Whether the power has failed.
    pub(crate) fn is_dark(&self) -> bool {
        self.0.lock().unwrap().accesses_left == Some(0)
    }

    /// The disk after a power failure: of what was not synced, some sectors are there and some are not, as `random` decides.
    pub(crate) fn after_power_failure(&self, random: &mut impl FnMut() -> u64) -> Self {
        let state = self.0.lock().unwrap();
        let mut image = state.durable.clone();
        // All, none, or each sector for itself.
        let mode = random() % 4;
        for (offset, data) in &state.unsynced {
            for (sector, part) in data.chunks(SECTOR).enumerate() {
                let survives = match mode {
                    0 => false,
                    1 => true,
                    _ => random().is_multiple_of(2),
                };
                if survives {
                    write(&mut image, offset + sector * SECTOR, part);
                }
            }
        }
        Self(Arc::new(Mutex::new(State {
            current: image.clone(),
            durable: image,
            ..State::default()
        })))
    }

    fn access<T>(&self, access: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        match &mut state.accesses_left {
            Some(0) => return Err(io::Error::other("no power")),
            Some(left) => *left -= 1,
            None => {}
        }
        if state.failure == Some(Failure::Dead) {
            return Err(io::Error::other("dead disk"));
        }
        access(&mut state)
    }
}

impl Medium for Disk {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.access(|state| {
            state.opened += 1;
            Ok(())
        })?;
        Ok(Box::new(self.clone()))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.access(|state| Ok(state.current.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.access(|state| {
            let there = state
                .current
                .get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.access(|state| {
            let grows = len as usize > state.current.len();
            if grows && matches!(state.failure, Some(Failure::Full | Failure::NoGrowth)) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            // The size is taken as durable at once: a file that is shorter than its header says is another test.
            state.current.resize(len as usize, 0);
            state.durable.resize(len as usize, 0);
            state
                .unsynced
                .retain(|(offset, data)| offset + data.len() <= len as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.access(|state| {
            for (offset, data) in std::mem::take(&mut state.unsynced) {
                write(&mut state.durable, offset, &data);
            }
            if state.failure == Some(Failure::Sync) {
                Err(io::Error::other("sync failed"))
            } else {
                Ok(())
            }
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.access(|state| {
            if state.failure == Some(Failure::Full) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            write(&mut state.current, offset as usize, data);
            state.unsynced.push((offset as usize, data.to_vec()));
            Ok(())
        })
    }
}

fn write(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if image.len() < offset + data.len() {
        image.resize(offset + data.len(), 0);
    }
    image[offset..offset + data.len()].copy_from_slice(data);
}

const SECTOR: usize = 512;

/// Random bits from a seed (SplitMix64).
pub(crate) fn random_from(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
