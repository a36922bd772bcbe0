//! A connection's place among those that are not a client's yet.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

/// One of [`handshakes_max`](crate::FrontLimits::handshakes_max) places, kept until the connection is upgraded or ends, or one of its requests turns out to be a client's
/// that waits: a stream, a poll. Those are bounded as sessions are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(Option<Arc<Mutex<Option<OwnedSemaphorePermit>>>>);

impl Place {
    pub(crate) fn taken(permit: OwnedSemaphorePermit) -> Self {
        Self(Some(Arc::new(Mutex::new(Some(permit)))))
    }

    /// Gives the place to the next handshake.
    pub(crate) fn give_up(&self) {
        if let Some(place) = &self.0 {
            place.lock().take();
        }
    }
}
