//! The messages of an order domain that a client may have missed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Entry;

/// The newest messages, bounded in age and in bytes.
#[derive(Debug)]
pub(crate) struct DomainLog {
    entries: VecDeque<(Instant, Arc<Entry>)>,
    bytes: usize,
    bytes_max: usize,
    kept_for: Duration,
    /// The newest message that had to go for want of room, and when it was said. What went for its age was missed by nobody.
    dropped: Option<(u64, Instant)>,
}

impl DomainLog {
    pub(crate) const fn new(bytes_max: usize, kept_for: Duration) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            kept_for,
            dropped: None,
        }
    }

    /// Says that what came until then is not here, though somebody may have missed it.
    pub(crate) fn begin_after(&mut self, dropped: u64, at: Instant) {
        self.dropped = Some((dropped, at));
    }

    pub(crate) fn push(&mut self, at: Instant, entry: Arc<Entry>) {
        self.bytes += entry.bytes();
        self.entries.push_back((at, entry));
        while self.bytes > self.bytes_max {
            self.dropped = self.pop();
        }
    }

    /// Lets go of what is so old that everybody who is to return has it.
    pub(crate) fn trim(&mut self, now: Instant) {
        while let Some((at, _)) = self.entries.front()
            && *at + self.kept_for <= now
        {
            self.pop();
        }
        if self
            .dropped
            .is_some_and(|(_, at)| at + self.kept_for <= now)
        {
            self.dropped = None;
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// Whether everything is here that somebody missed who had all until `after`, and whose connection was found dead at `lost`: what was said more than
    /// `silence` before that had arrived.
    pub(crate) fn is_whole(&self, after: u64, lost: Instant, silence: Duration) -> bool {
        self.dropped
            .is_none_or(|(ordinal, at)| ordinal <= after || at + silence <= lost)
    }

    /// What follows a place, in order. O(log of the entries) to find it.
    pub(crate) fn after(&self, ordinal: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let start = self
            .entries
            .partition_point(|(_, entry)| entry.ordinal <= ordinal);
        self.entries.range(start..).map(|(_, entry)| entry)
    }

    /// The place of the oldest message that is here.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|(_, entry)| entry.ordinal)
    }

    /// The newest message that had to go for want of room, while somebody may miss it.
    pub(crate) fn dropped(&self) -> Option<u64> {
        self.dropped.map(|(ordinal, _)| ordinal)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn pop(&mut self) -> Option<(u64, Instant)> {
        let (at, entry) = self.entries.pop_front()?;
        self.bytes -= entry.bytes();
        Some((entry.ordinal, at))
    }
}
