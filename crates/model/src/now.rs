//! Time, as an argument.

use std::time::{Duration, Instant};

/// The present, read once by a driver and handed down: the core never reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Decides about deadlines.
    pub instant: Instant,
    /// Only labels: milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

impl Now {
    /// The same clock, `pause` later.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        let unix_ms = self.unix_ms + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        Self {
            instant: self.instant + pause,
            unix_ms,
        }
    }

    /// Whole seconds since the Unix epoch, as tokens count.
    pub const fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }
}
