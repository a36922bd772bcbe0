//! Stopping a server from elsewhere.

use tokio::sync::watch;

/// Stops a server gracefully, from any task. Clones are the same handle.
///
/// ```no_run
/// # async fn serve() -> Result<(), nuncio::ServeError> {
/// let server = nuncio::Server::builder().bind().await?;
/// let handle = server.handle();
/// let running = tokio::spawn(server.run());
/// // ... and when it is time:
/// handle.shutdown();
/// handle.stopped().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Handle(watch::Sender<Phase>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
    Stopped,
}

impl Default for Handle {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Handle {
    /// Begins to stop: clients are told when to come back, and closed. Returns at once; the second time it does nothing.
    pub fn shutdown(&self) {
        self.0.send_if_modified(|phase| {
            let serving = *phase == Phase::Serving;
            if serving {
                *phase = Phase::Stopping;
            }
            serving
        });
    }

    /// Whether the server is stopping, or has stopped.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow() != Phase::Serving
    }

    /// Waits until the server has stopped: all clients are gone, the store is flushed.
    pub async fn stopped(&self) {
        self.until(|phase| *phase == Phase::Stopped).await;
    }

    /// Waits until somebody wants it to stop.
    pub(crate) async fn told(&self) {
        self.until(|phase| *phase != Phase::Serving).await;
    }

    pub(crate) fn stop(&self) {
        self.0.send_replace(Phase::Stopped);
    }

    async fn until(&self, is_so: impl FnMut(&Phase) -> bool) {
        // The sender is this handle itself: it is not gone while somebody waits here.
        let _ = self.0.subscribe().wait_for(is_so).await;
    }
}
