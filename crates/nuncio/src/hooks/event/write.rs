//! Writes what was recorded to the log, batch by batch.

use std::sync::Arc;
use std::time::Duration;

use nuncio_store::{Entry, EventLog, EventLogError};
use nuncio_transport::clock;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::recorder::{Recorder, Taken};
use crate::hooks::metrics::{HookMetrics, raise};

/// The one task that appends. What comes while a batch is written is the next batch.
pub(super) struct Writer {
    pub(super) recorder: Arc<Recorder>,
    pub(super) log: Arc<EventLog>,
    pub(super) metrics: HookMetrics,
    /// Told after each batch.
    pub(super) written: watch::Sender<()>,
}

/// Events in one transaction.
const BATCH_MAX: usize = 1024;
/// How long the log may be silent about the process being alive: the duration of what a killed process leaves behind is known to within this.
const TOUCH: Duration = Duration::from_secs(10);
/// Pause after a failed write.
const PAUSE: Duration = Duration::from_secs(1);
/// Attempts once the server ends: a disk that fails must not keep it.
const LAST_ATTEMPTS: u32 = 3;

impl Writer {
    pub(super) async fn run(self) {
        loop {
            match self.recorder.take(BATCH_MAX) {
                Taken::Some(happened) => {
                    let entries = happened.iter().map(super::happened::Happened::entry);
                    self.append(entries.collect()).await;
                }
                Taken::None => {
                    let arrived = self.recorder.arrived();
                    if tokio::time::timeout(TOUCH, arrived).await.is_err() {
                        self.touch().await;
                    }
                }
                Taken::Ended => return,
            }
        }
    }

    async fn append(&self, entries: Vec<Entry>) {
        let entries = Arc::new(entries);
        let mut failures = 0;
        while let Err(error) = self.try_append(entries.clone()).await {
            failures += 1;
            if failures == 1 {
                tracing::error!(%error, "events cannot be recorded: they wait in memory until they can; is the disk full?");
            }
            if self.recorder.is_ending() && failures >= LAST_ATTEMPTS {
                tracing::error!(
                    events = entries.len(),
                    "events are lost: they cannot be recorded"
                );
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if failures > 0 {
            tracing::info!("events are recorded again");
        }
        self.count();
        let _ = self.written.send(());
    }

    async fn try_append(&self, entries: Arc<Vec<Entry>>) -> Result<(), EventLogError> {
        let log = self.log.clone();
        let now_ms = clock::now().unix_ms;
        spawn_blocking(move || log.append(&entries, now_ms))
            .await
            .unwrap_or(Ok(()))
    }

    async fn touch(&self) {
        let log = self.log.clone();
        let now_ms = clock::now().unix_ms;
        // It is tried again with the next event, or in a while.
        let _ = spawn_blocking(move || log.touch(now_ms)).await;
    }

    fn count(&self) {
        let totals = self.log.totals();
        raise(&self.metrics.recorded, &totals.recorded);
        let dropped =
            self.recorder.dropped() + totals.dropped.load(std::sync::atomic::Ordering::Relaxed);
        self.metrics
            .dropped
            .inc_by(dropped.saturating_sub(self.metrics.dropped.get()));
        self.metrics.hold(totals);
    }
}
