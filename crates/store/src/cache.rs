//! The rooms in memory.
//!
//! ```text
//!   (absent) --any operation--> Loading --reader done--> Loaded --idle, and memory is short--> (absent)
//!                               operations wait,         reads are answered at once,
//!                               in order                 writes go to the writer
//! ```
//!
//! A loaded room with an attachment, or with a write on its way, stays. So a reader never reads a room that the writer is changing.

use nuncio_hub::{Attached, Done, Log, Page, Since};
use nuncio_model::{HistoryQuery, Now};

use crate::blocks::Blocks;
use crate::load::Loaded;
use crate::queue::{Clear, Publish};

/// A room of the cache.
pub(crate) enum Entry {
    /// What came while a reader reads it, in order.
    Loading(Vec<Op>),
    /// In memory.
    Kept(Box<Kept>),
}

/// An operation on one room.
pub(crate) enum Op {
    Publish(Publish),
    Clear(Clear),
    Attach {
        since: Since,
        now: Now,
        done: Done<Attached>,
    },
    Detach {
        now: Now,
    },
    History {
        query: HistoryQuery,
        now: Now,
        done: Done<Page>,
    },
}

impl Op {
    /// What it counts in the bound of bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Publish(publish) => publish.bytes(),
            Self::Clear(_) | Self::Attach { .. } | Self::Detach { .. } | Self::History { .. } => 0,
        }
    }

    /// The clock when it came; 0 where it does not matter.
    pub(crate) const fn now_ms(&self) -> u64 {
        match self {
            Self::Publish(publish) => publish.submission.now.unix_ms,
            Self::Clear(_) => 0,
            Self::Attach { now, .. } | Self::Detach { now } | Self::History { now, .. } => {
                now.unix_ms
            }
        }
    }
}

/// A room in memory.
pub(crate) struct Kept {
    /// Its number on disk; `None` before its first publication is committed.
    pub(crate) id: Option<u64>,
    /// What clients see: exactly what is committed, within the limits.
    pub(crate) log: Log,
    /// What is on disk. Away while the writer works on it.
    pub(crate) blocks: Blocks,
    /// Members that came in.
    pub(crate) attachments: usize,
    /// Writes on their way, and one more while the writer does not know what a failed commit left behind.
    pub(crate) queued: usize,
    /// When it was used last, in ticks of the cache.
    pub(crate) used: u64,
    /// Bytes that it counts in the cache.
    pub(crate) charged: usize,
}

impl Kept {
    pub(crate) fn new(loaded: Loaded) -> Self {
        let Loaded { id, log, blocks } = loaded;
        Self {
            id,
            log,
            blocks,
            attachments: 0,
            queued: 0,
            used: 0,
            charged: 0,
        }
    }

    /// Whether it can be loaded again without anybody noticing.
    pub(crate) const fn is_idle(&self) -> bool {
        self.attachments == 0 && self.queued == 0
    }

    /// Bytes that it takes in memory, roughly.
    pub(crate) const fn size(&self) -> usize {
        const ROOM: usize = 600;
        const MESSAGE: usize = 250;
        ROOM + self.log.bytes() + MESSAGE * self.blocks.count() as usize
    }
}
