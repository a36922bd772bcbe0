//! What lies under the database: a file, and two layers that keep a database that failed from doing harm.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::StoreError;

/// Where the bytes of a database are. Opened again after each I/O error, because redb gives a database up at the first.
pub trait Medium: fmt::Debug + Send + Sync + 'static {
    /// Opens the bytes once more. At most one of the backends that are open at the same time writes.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;
}

/// The file of a data directory, locked while this exists.
#[derive(Debug)]
pub(crate) struct DataFile {
    path: PathBuf,
    _lock: File,
}

impl DataFile {
    /// Makes and locks the directory.
    pub(crate) fn lock(directory: &Path) -> Result<Self, StoreError> {
        let io = |reason| StoreError::Io {
            path: directory.into(),
            reason,
        };
        fs::create_dir_all(directory).map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: directory.join("history.redb"),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
                path: directory.into(),
            }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// The database's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Medium for DataFile {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let is_new = !self.path.try_exists()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)?;
        if is_new {
            // The name of a new file is durable only when its directory is.
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(Unlocked(backend)))
    }
}

/// A file without redb's own lock: the data directory has one, which is held while the database is opened again.
#[derive(Debug)]
struct Unlocked(FileBackend);

impl StorageBackend for Unlocked {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Ends all access of one database to its medium, so that one that failed cannot write when it is dropped, beside its successor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fuse(Arc<AtomicBool>);

impl Fuse {
    /// From here on, every access fails.
    pub(crate) fn blow(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::Error::other("the database is being opened again"));
        }
        Ok(())
    }
}

/// A backend behind a fuse.
#[derive(Debug)]
pub(crate) struct Fused {
    pub(crate) inner: Box<dyn StorageBackend>,
    pub(crate) fuse: Fuse,
}

impl StorageBackend for Fused {
    fn len(&self) -> io::Result<u64> {
        self.fuse.check()?;
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fuse.check()?;
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fuse.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fuse.check()?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fuse.check()?;
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}

/// Reads from a backend and keeps what is written in memory: a database on a full disk can be repaired and read this way.
///
/// Only the repair writes, which is a few pages.
#[derive(Debug)]
pub(crate) struct Overlay {
    inner: Box<dyn StorageBackend>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the inner backend that still count: a shrink hides the rest for good.
    inner_len: u64,
    pages: HashMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(crate) fn new(inner: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = inner.len()?;
        let written = Mutex::new(Written {
            len,
            inner_len: len,
            pages: HashMap::new(),
        });
        Ok(Self { inner, written })
    }

    /// What the inner backend has at `offset`, zeros beyond its end.
    fn read_inner(&self, inner_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = inner_len.saturating_sub(offset).min(out.len() as u64) as usize;
        out[there..].fill(0);
        if there == 0 {
            Ok(())
        } else {
            self.inner.read(offset, &mut out[..there])
        }
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.lock();
        if offset + out.len() as u64 > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_inner(written.inner_len, offset, out)?;
        for (page, within, part) in parts(offset, out.len()) {
            if let Some(bytes) = written.pages.get(&page) {
                out[part.clone()].copy_from_slice(&bytes[within..within + part.len()]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.lock();
        if len < written.len {
            written.inner_len = written.inner_len.min(len);
            written.pages.retain(|page, _| page * PAGE < len);
            let last = len / PAGE;
            if let Some(bytes) = written.pages.get_mut(&last) {
                bytes[(len % PAGE) as usize..].fill(0);
            }
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock();
        written.len = written.len.max(offset + data.len() as u64);
        let inner_len = written.inner_len;
        for (page, within, part) in parts(offset, data.len()) {
            let mut bytes = match written.pages.remove(&page) {
                Some(bytes) => bytes,
                None => {
                    let mut bytes = vec![0; PAGE as usize].into_boxed_slice();
                    self.read_inner(inner_len, page * PAGE, &mut bytes)?;
                    bytes
                }
            };
            bytes[within..within + part.len()].copy_from_slice(&data[part]);
            written.pages.insert(page, bytes);
        }
        Ok(())
    }
}

/// Cuts a range of the file into pages: the page, where in it, and which part of the range.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let part = done..len.min(done + PAGE as usize - within);
        done = part.end;
        (!part.is_empty()).then_some((at / PAGE, within, part))
    })
}

const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    proptest! {
        #[test]
        fn an_overlay_reads_like_a_file_and_leaves_the_one_below_alone(steps in proptest::collection::vec(step(), 0..20)) {
            let below = InMemoryBackend::new();
            below.set_len(9_000).unwrap();
            below.write(0, &[7; 9_000]).unwrap();
            let overlay = Overlay::new(Box::new(below)).unwrap();
            let mut model = vec![7; 9_000];

            for step in steps {
                match step {
                    Step::Write(offset, data) => {
                        let end = offset as usize + data.len();
                        model.resize(model.len().max(end), 0);
                        model[offset as usize..end].copy_from_slice(&data);
                        overlay.write(offset, &data).unwrap();
                    }
                    Step::SetLen(len) => {
                        model.resize(len as usize, 0);
                        overlay.set_len(len).unwrap();
                    }
                }
            }

            let mut read = vec![0; model.len()];
            overlay.read(0, &mut read).unwrap();
            prop_assert!(read == model);
            let mut below = vec![0; 9_000];
            overlay.inner.read(0, &mut below).unwrap();
            prop_assert!(below == [7; 9_000]);
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (
                0u64..20_000,
                proptest::collection::vec(any::<u8>(), 1..6_000)
            )
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0u64..20_000).prop_map(Step::SetLen),
        ]
    }
}
