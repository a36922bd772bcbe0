//! Where a store keeps its files and how much memory it takes.

use std::path::PathBuf;

/// Where a store keeps its files and how much memory it takes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The data directory; made when it is missing. One process at a time may use it.
    pub path: PathBuf,
    /// Bytes of messages kept in memory, so that joins and reads of active rooms need no disk. Default 64 MiB. Rooms that somebody is in
    /// stay in memory beyond it.
    pub cache_bytes_max: usize,
    /// Bytes of pages that the database keeps in memory. Default 8 MiB: more saves reads of the disk where many rooms are written at once.
    pub page_cache_bytes: usize,
    /// Operations that may wait for the disk. Default 65,536; beyond it, they are refused with `UNAVAILABLE`.
    pub queue_max: usize,
    /// Bytes of content that may wait for the disk. Default 64 MiB; beyond it, publishes are refused with `UNAVAILABLE`.
    pub queue_bytes_max: usize,
}

impl StoreConfig {
    /// The defaults, in the data directory `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_bytes_max: 64 * 1024 * 1024,
            page_cache_bytes: 8 * 1024 * 1024,
            queue_max: 65_536,
            queue_bytes_max: 64 * 1024 * 1024,
        }
    }
}
