//! Why a store cannot be opened.

use std::io;
use std::path::PathBuf;

/// Why a store cannot be opened. Each says which path it is about and, where somebody can do something, what.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be created, read or written.
    #[error("cannot use {path} for the message store: {reason}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Another process, or another store of this one, has the directory open.
    #[error(
        "the data directory {path} is in use by another nuncio process; stop that one, or give this one another directory"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file is not a message store, or was damaged.
    #[error(
        "the message store {path} is damaged or not a message store ({reason}); move it away to start with an empty one, or restore a backup"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A later version of nuncio has written the file.
    #[error(
        "the message store {path} has format {found}, this version of nuncio knows up to {known}; run the version that wrote it, or a later one"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The newest format known.
        known: u64,
    },
}
