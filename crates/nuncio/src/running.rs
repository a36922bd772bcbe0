//! A server at work: its background tasks, until it is told to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nuncio_store::StoreBroker;
use nuncio_transport::{Front, Rooms, clock, flusher};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::Nuncio;
use crate::handle::Handle;
use crate::hooks::Telling;

/// Pause between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);

/// What a server needs while it serves. Dropped, its tasks end at once.
pub(crate) struct Running {
    pub(crate) app: Arc<Nuncio>,
    pub(crate) handle: Handle,
    pub(crate) drain: watch::Sender<bool>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) store: Option<Arc<StoreBroker<Rooms>>>,
    pub(crate) telling: Option<Telling>,
}

impl Running {
    /// Starts what works in the background for all clients.
    pub(crate) fn start(&mut self, front: &Arc<Front<Nuncio>>) {
        let shared = &front.shared;
        for home in 0..shared.rooms.flushers().len() {
            self.tasks.spawn(flusher::run(shared.rooms.clone(), home));
        }
        let timers = shared.timers.clone();
        self.tasks.spawn(async move { timers.run().await });
        self.tasks.spawn(tick(self.app.clone()));
    }

    /// Serves until `end` is ready or the handle says so, then drains.
    pub(crate) async fn until(mut self, end: impl Future<Output = ()>) {
        tokio::select! {
            () = end => {}
            () = self.handle.told() => {}
        }
        self.handle.shutdown();
        tracing::info!("Shutting down...");
        self.app.is_ready.store(false, Ordering::Relaxed);
        let _ = self.drain.send(true);
        self.app.drain().await;
        self.tasks.shutdown().await;
        if let Some(telling) = self.telling.take() {
            telling.end().await;
        }
        if let Some(store) = self.store.take() {
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
        self.app.io.core.close();
        tracing::info!("Server closed");
        self.handle.stop();
    }
}

async fn tick(app: Arc<Nuncio>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        app.handle_timeout(clock::now());
    }
}

/// `/metrics` on an address of its own.
pub(crate) async fn serve_metrics(app: Arc<Nuncio>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let app = app.clone();
        tokio::spawn(async move {
            let service =
                hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let app = app.clone();
                    async move {
                        Ok::<_, std::convert::Infallible>(crate::routes::monitoring(
                            &app,
                            request.uri().path(),
                        ))
                    }
                });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection for metrics ended");
            }
        });
    }
}
