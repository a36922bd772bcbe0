//! The one place that reads the clock for sessions and rooms.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nuncio_model::Now;

/// Reads both clocks.
pub fn now() -> Now {
    let unix_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    Now {
        instant: Instant::now(),
        unix_ms,
    }
}
