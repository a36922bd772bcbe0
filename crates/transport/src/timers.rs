//! Deadlines of connections: one task and one ordered map for all of them, no timer of the runtime per connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::sink::Outbox;

/// Wakes connections' tasks when their deadlines come: 8 bytes for each deadline.
///
/// Deadlines within two seconds are kept to the millisecond, later ones are rounded up, so that thousands share one entry.
#[derive(Debug)]
pub struct Timers {
    start: Instant,
    due: Mutex<BTreeMap<u64, Vec<Weak<Outbox>>>>,
    earlier: Notify,
}

/// Rounding of far deadlines, in milliseconds.
const COARSE_MS: u64 = 64;
const FAR: Duration = Duration::from_secs(2);

impl Timers {
    /// No deadlines yet. `start` is the instant that deadlines are counted from.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            due: Mutex::default(),
            earlier: Notify::new(),
        }
    }

    /// Wakes the task of `outbox` at `at`, or a little later. A connection that is gone by then is not kept for it.
    pub fn arm(&self, at: Instant, now: Instant, outbox: &Arc<Outbox>) {
        let ms = at
            .saturating_duration_since(self.start)
            .as_nanos()
            .div_ceil(1_000_000) as u64;
        let far = at.saturating_duration_since(now) > FAR;
        let key = if far {
            ms.next_multiple_of(COARSE_MS)
        } else {
            ms
        };
        let mut due = self.due.lock();
        let first = due.first_key_value().is_none_or(|(first, _)| key < *first);
        due.entry(key).or_default().push(Arc::downgrade(outbox));
        drop(due);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Wakes tasks as their deadlines come, for ever.
    pub async fn run(&self) {
        loop {
            let next = self
                .due
                .lock()
                .first_key_value()
                .map(|(ms, _)| self.start + Duration::from_millis(*ms));
            match next {
                None => self.earlier.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => self.wake(Instant::now()),
                        () = self.earlier.notified() => {}
                    }
                }
            }
        }
    }

    fn wake(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.start).as_millis() as u64;
        loop {
            let mut due = self.due.lock();
            let Some(first) = due.first_entry().filter(|first| *first.key() <= ms) else {
                return;
            };
            let outboxes = first.remove();
            drop(due);
            for outbox in outboxes.iter().filter_map(Weak::upgrade) {
                outbox.wake();
            }
        }
    }
}
