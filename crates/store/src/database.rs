//! The database at present: redb gives one up at the first I/O error, so it can be replaced while readers use it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use redb::{Database, StorageBackend};

use crate::fault::Fault;
use crate::medium::{Fuse, Fused, Medium, Overlay};

/// The database at present, and how to open it again.
#[derive(Debug)]
pub(crate) struct Databases {
    /// Gone once the store is closed: whatever still holds the broker then does not hold its data directory.
    medium: Mutex<Option<Arc<dyn Medium>>>,
    page_cache_bytes: usize,
    present: Mutex<Present>,
    changed: Condvar,
}

#[derive(Debug)]
struct Present {
    /// Grows with each attempt to open.
    generation: u64,
    /// The last of which a reader was told that no other comes for now.
    given_up: u64,
    database: Option<Arc<Database>>,
    fuse: Fuse,
}

/// What an opened database may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write.
    Full,
    /// Read what was committed; what opening itself must write stays in memory.
    Read,
}

impl Databases {
    /// Takes over a database that was just opened on `medium`.
    pub(crate) fn new(
        medium: Arc<dyn Medium>,
        page_cache_bytes: usize,
        database: Database,
        fuse: Fuse,
    ) -> Self {
        let present = Present {
            generation: 1,
            given_up: 0,
            database: Some(Arc::new(database)),
            fuse,
        };
        Self {
            medium: Mutex::new(Some(medium)),
            page_cache_bytes,
            present: Mutex::new(present),
            changed: Condvar::new(),
        }
    }

    /// The database at present, and which one in the row of them.
    pub(crate) fn present(&self) -> (u64, Option<Arc<Database>>) {
        let present = self.present.lock();
        (present.generation, present.database.clone())
    }

    /// Ends the present database and opens another.
    pub(crate) fn reopen(&self, access: Access) -> Result<Arc<Database>, Fault> {
        self.close_abruptly();
        let medium = self.medium.lock().clone().ok_or(Fault::Closed)?;
        let opened = open(&*medium, self.page_cache_bytes, access);
        let mut present = self.present.lock();
        present.generation += 1;
        let result = opened.map(|(database, fuse)| {
            let database = Arc::new(database);
            present.database = Some(database.clone());
            present.fuse = fuse;
            database
        });
        self.changed.notify_all();
        result
    }

    /// Says that no other database than this one comes for now.
    pub(crate) fn give_up(&self, generation: u64) {
        self.present.lock().given_up = generation;
        self.changed.notify_all();
    }

    /// Waits until another database than `generation` has been tried, or none will be for now; at most `patience`.
    pub(crate) fn wait_beyond(&self, generation: u64, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut present = self.present.lock();
        while present.generation <= generation && present.given_up < generation {
            if self.changed.wait_until(&mut present, deadline).timed_out() {
                return;
            }
        }
    }

    /// Closes the database for good, so that the next start need not check it, and gives its place up.
    pub(crate) fn close(&self) {
        let database = self.present.lock().database.take();
        drop(database);
        *self.medium.lock() = None;
    }

    /// Takes the database away from whoever uses it: from here on, it neither reads nor writes.
    pub(crate) fn close_abruptly(&self) {
        let mut present = self.present.lock();
        present.fuse.blow();
        let database = present.database.take();
        drop(present);
        drop(database);
    }
}

/// Opens the database on a medium; makes one in an empty medium.
pub(crate) fn open(
    medium: &dyn Medium,
    page_cache_bytes: usize,
    access: Access,
) -> Result<(Database, Fuse), Fault> {
    let io = |error| Fault::from(redb::StorageError::Io(error));
    let fuse = Fuse::default();
    let bytes = medium.open().map_err(io)?;
    let inner: Box<dyn StorageBackend> = match access {
        Access::Full => bytes,
        Access::Read => Box::new(Overlay::new(bytes).map_err(io)?),
    };
    let backend = Fused {
        inner,
        fuse: fuse.clone(),
    };
    let database = Database::builder()
        .set_cache_size(page_cache_bytes)
        .create_with_backend(backend)?;
    Ok((database, fuse))
}
