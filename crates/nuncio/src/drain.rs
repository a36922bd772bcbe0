//! A shutdown: clients are told to leave, in paced batches.

use std::sync::Arc;
use std::time::Duration;

use nuncio_hub::Notice;
use nuncio_transport::Outbox;

use crate::app::Nuncio;

/// How often a batch of connections is told to leave at a shutdown.
const DRAIN_BATCH: Duration = Duration::from_millis(100);
/// What clients are told to wait before they come back; they add jitter.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

impl Nuncio {
    /// Tells all clients to leave, so many a second as configured, and waits until they have, or until the time for it is over.
    pub(crate) async fn drain(&self) {
        let timeout = self.config.config.server.drain_timeout;
        if tokio::time::timeout(timeout, self.dismiss()).await.is_err() {
            let left = self.metrics.connections.get();
            tracing::warn!(
                left,
                "the time to shut down is over: the connections that are left are dropped"
            );
        }
        // The last close frames are written by the connections' own tasks, which end after them.
        tokio::time::sleep(DRAIN_BATCH).await;
    }

    async fn dismiss(&self) {
        let rate = self.config.config.server.drain_rate;
        let batch = (rate as usize).div_ceil(10).max(1);
        for batch in self.outboxes().chunks(batch) {
            for outbox in batch {
                outbox.notify(Notice::Drain {
                    after: RECONNECT_AFTER,
                });
            }
            tokio::time::sleep(Duration::from_secs(batch.len() as u64) / rate).await;
        }
        while self.metrics.connections.get() > 0 {
            // Whoever was still in its handshake when the others were told.
            for outbox in self.outboxes() {
                outbox.notify(Notice::Drain {
                    after: RECONNECT_AFTER,
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The ways to all clients. Who becomes a session meanwhile is found twice rather than never.
    fn outboxes(&self) -> Vec<Arc<Outbox>> {
        let anonymous = self.anonymous.lock();
        let mut outboxes: Vec<_> = anonymous
            .values()
            .filter_map(std::sync::Weak::upgrade)
            .collect();
        drop(anonymous);
        let sockets = self.node.sockets(None).into_iter();
        outboxes.extend(sockets.map(|socket| socket.outbox.clone()));
        for clients in self.raw.lock().iter() {
            outboxes.extend(clients.outboxes());
        }
        outboxes
    }
}
