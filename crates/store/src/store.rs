//! Opening a data directory.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nuncio_hub::{Deliver, Policies, Restored};
use nuncio_model::Namespace;
use redb::Database;

use crate::broker::StoreBroker;
use crate::database::{self, Access, Databases};
use crate::domain;
use crate::fault::Fault;
use crate::journal;
use crate::medium::{DataFile, Medium};
use crate::shared::Observer;
use crate::tables::{self, FORMAT_KNOWN, FormatFault, Meta};
use crate::{StoreConfig, StoreError};

/// An opened data directory.
///
/// While it exists, no other process can open the directory.
#[derive(Debug)]
pub struct Store {
    pub(crate) config: StoreConfig,
    pub(crate) databases: Databases,
    pub(crate) meta: Meta,
}

impl Store {
    /// Opens the data directory, or makes a new one. After a crash, the file is checked, which takes time in proportion to its size. A file
    /// that is mostly empty is made smaller.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed then.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let file = DataFile::lock(&config.path)?;
        let path = file.path().to_owned();
        Self::open_at(&path, Arc::new(file), config)
    }

    /// Opens a store on something else than a file: for tests that fail where a disk would.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(medium: Arc<dyn Medium>, config: StoreConfig) -> Result<Self, StoreError> {
        let path = config.path.clone();
        Self::open_at(&path, medium, config)
    }

    /// Reads what was kept of the order domain: its numbering, its messages, and the sessions of the namespaces that `covers` says yes to. All others are
    /// forgotten, because nobody keeps their messages from here on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn restore(&self, covers: impl Fn(&Namespace) -> bool) -> Result<Restored, StoreError> {
        let database = self.databases.present().1.ok_or(Fault::Closed);
        database
            .and_then(|database| domain::restore(&database, covers, random()))
            .map_err(|fault| error_of(self.config.path.clone(), fault))
    }

    /// Forgets the sessions of an order domain, where there is none any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_sessions(&self) -> Result<(), StoreError> {
        let database = self.databases.present().1.ok_or(Fault::Closed);
        database
            .and_then(|database| domain::forget_sessions(&database))
            .map_err(|fault| error_of(self.config.path.clone(), fault))
    }

    /// Makes the broker that keeps its rooms here, and starts its threads: a writer and two readers.
    ///
    /// It delivers to `rooms`. Rooms whose policy says so are kept in memory only. `seed` decides ids; it must differ from start to start.
    pub fn into_broker<D: Deliver>(
        self,
        rooms: Arc<D>,
        policies: Arc<Policies>,
        seed: u64,
        observer: Arc<dyn Observer>,
    ) -> StoreBroker<D> {
        StoreBroker::start(self, rooms, policies, seed, observer)
    }

    fn open_at(
        path: &Path,
        medium: Arc<dyn Medium>,
        config: StoreConfig,
    ) -> Result<Self, StoreError> {
        let fault = |fault| error_of(path.into(), fault);
        let file_len = medium
            .open()
            .and_then(|bytes| bytes.len())
            .map_err(|reason| StoreError::Io {
                path: path.into(),
                reason,
            })?;
        let (mut database, fuse) =
            database::open(&*medium, config.page_cache_bytes, Access::Full).map_err(fault)?;
        let meta = tables::prepare(&database, random()).map_err(|error| match error {
            FormatFault::Fault(error) => fault(error),
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
        journal::replay(&database).map_err(fault)?;
        if is_worth_compacting(file_len, meta.content_bytes) {
            compact(&mut database, path);
        }
        let databases = Databases::new(medium, config.page_cache_bytes, database, fuse);
        Ok(Self {
            config,
            databases,
            meta,
        })
    }
}

/// A file grows by doubling and never shrinks by itself. Compacting takes time in proportion to the content, so large contents are left alone.
const fn is_worth_compacting(file_len: u64, content_bytes: u64) -> bool {
    const MIB: u64 = 1024 * 1024;
    file_len > 64 * MIB && content_bytes < 64 * MIB && content_bytes < file_len / 16
}

fn compact(database: &mut Database, path: &Path) {
    match database.compact() {
        Ok(_) => tracing::info!(path = %path.display(), "the message store was made smaller"),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the message store could not be made smaller")
        }
    }
}

fn error_of(path: PathBuf, fault: Fault) -> StoreError {
    match fault {
        Fault::Database(redb::Error::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData =>
        {
            StoreError::Io {
                path,
                reason: source,
            }
        }
        other => StoreError::Corrupt {
            path,
            reason: other.to_string(),
        },
    }
}

/// Bits that differ from store to store; nothing secret depends on them.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_and_mostly_empty_files_are_compacted() {
        const MIB: u64 = 1024 * 1024;

        assert!(is_worth_compacting(512 * MIB, MIB));
        assert!(!is_worth_compacting(512 * MIB, 40 * MIB));
        assert!(!is_worth_compacting(32 * MIB, 0));
        assert!(
            !is_worth_compacting(64 * 1024 * MIB, 100 * MIB),
            "it would take too long"
        );
    }
}
