//! A server: put together, run, drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nuncio_hub::{Broker, Durability, MemoryBroker, Notice, Policies, RoomPolicy};
use nuncio_session::Settings;
use nuncio_store::{Store, StoreBroker, StoreConfig, StoreError};
use nuncio_transport::{
    DeflateConfig, Encoders, Endpoints, Front, FrontLimits, Node, Outbox, Rooms, Shared, Timers,
    clock, flusher, random,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::Nuncio;
use crate::assets::Assets;
use crate::auth::{Authenticator, DemoSecretError};
use crate::config::{CheckedConfig, HistoryMode, Mode};
use crate::metrics::Metrics;
use crate::parking::Parking;
use crate::socketio;
use crate::tls::{self, TlsError};

/// Why a server cannot start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}{}", hint(.reason))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The data cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The demo's secret cannot be kept.
    #[error(transparent)]
    Secret(#[from] DemoSecretError),
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signal(io::Error),
}

fn hint(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, perhaps another nuncio, listens there: stop it, or choose another port with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need the right to bind them: choose a port above, such as 8080"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// A server that listens.
pub struct Server {
    app: Arc<Nuncio>,
    front: Arc<Front<Nuncio>>,
    drain: watch::Sender<bool>,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    store: Option<Arc<StoreBroker<Rooms>>>,
}

/// Pause between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);
/// How often a batch of connections is told to leave at a shutdown.
const DRAIN_BATCH: Duration = Duration::from_millis(100);
/// What clients are told to wait before they come back; they add jitter.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

impl Server {
    /// Opens the data and begins to listen; nothing is served before [`run`](Self::run).
    ///
    /// # Errors
    /// [`ServeError`] names what cannot be used, and the way out.
    pub async fn bind(config: CheckedConfig) -> Result<Self, ServeError> {
        let authenticator = Authenticator::from_config(&config)?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let seed = u64::from_le_bytes(random::bytes());
        let metrics = Arc::new(Metrics::new());
        let encoders = Arc::new(Encoders {
            deflate_threshold: config.config.deflate.threshold.0,
            socketio_deflate_threshold: config.config.socketio.deflate_threshold.0,
        });
        let policies = Arc::new(policies(&config));
        let rooms = Arc::new(Rooms::new(
            encoders.clone(),
            policies.clone(),
            config.room.clone(),
            config.workers,
            seed,
        ));
        let memory = Arc::new(MemoryBroker::new(rooms.clone(), policies.clone(), seed));
        let store = if config.config.store.enabled {
            let store = Store::open(StoreConfig::new(config.config.store.path.clone()))?;
            Some(Arc::new(store.into_broker(
                rooms.clone(),
                policies,
                seed,
                metrics.clone(),
            )))
        } else {
            None
        };
        let durable = store.clone().map(|store| store as Arc<dyn Broker>);
        let node = Arc::new(Node::new(rooms.clone(), memory, durable, seed));
        let listener = listen(config.config.server.listen).await?;
        let metrics_listener = match config
            .config
            .metrics
            .listen
            .filter(|_| config.config.metrics.enabled)
        {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let settings = Settings {
            connection: config.connection.clone(),
            rate: config.rate.clone(),
            history_max: config.history.messages_max as u32,
            ..Settings::default()
        };
        let (drain, drained) = watch::channel(false);
        let server = &config.config.server;
        let endpoints = Endpoints {
            websocket: Some(server.path.clone()),
            echo: server
                .echo
                .then(|| format!("{}/echo", server.path.trim_end_matches('/'))),
            deflate: config.config.deflate.enabled.then(DeflateConfig::default),
            socketio: socketio::endpoint(&config).into_iter().collect(),
            subprotocols: &["nuncio.v1"],
        };
        let limits = FrontLimits {
            handshakes_max: server.handshakes_max,
            head_bytes_max: server.head_bytes_max.0,
            head_timeout: server.head_timeout,
        };
        let health = store.clone();
        let app = Arc::new(Nuncio {
            parking: Parking::new(server.parked_max, server.parked_ttl),
            assets: if config.config.mode() == Mode::Demo {
                Assets::Served
            } else {
                Assets::Absent
            },
            store_is_healthy: Box::new(move || {
                health.as_ref().is_none_or(|store| store.is_healthy())
            }),
            config,
            node,
            authenticator,
            metrics,
            is_ready: AtomicBool::new(true),
            anonymous: parking_lot::Mutex::default(),
        });
        let timers = Arc::new(Timers::new(Instant::now()));
        let shared = Arc::new(Shared {
            app: app.clone(),
            rooms,
            timers,
            settings: Arc::new(settings),
            encoders,
        });
        let front = Arc::new(Front {
            shared,
            endpoints: Arc::new(endpoints),
            limits,
            tls,
            drain: drained,
        });
        Ok(Self {
            app,
            front,
            drain,
            listener,
            metrics_listener,
            store,
        })
    }

    /// The address it listens on; the port is real where 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process is told to end (SIGTERM, SIGINT), then drains. A second signal ends the process at once.
    ///
    /// # Errors
    /// [`ServeError::Signal`].
    pub async fn run(self) -> Result<(), ServeError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
        let told = async move {
            tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
            tokio::spawn(async move {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                tracing::warn!("a second signal: ending at once");
                std::process::exit(130);
            });
        };
        self.run_until(told).await;
        Ok(())
    }

    /// Serves until `end` is ready, then drains: readiness turns false, nobody new is let in, clients are told when to come back and closed with 1012 in
    /// paced batches, the store is flushed.
    pub async fn run_until(self, end: impl Future<Output = ()>) {
        let Self {
            app,
            front,
            drain,
            listener,
            metrics_listener,
            store,
        } = self;
        let shared = &front.shared;
        let mut tasks = tokio::task::JoinSet::new();
        for home in 0..shared.rooms.flushers().len() {
            tasks.spawn(flusher::run(shared.rooms.clone(), home));
        }
        let timers = shared.timers.clone();
        tasks.spawn(async move { timers.run().await });
        tasks.spawn(tick(app.clone()));
        if let Some(listener) = metrics_listener {
            tasks.spawn(serve_metrics(app.clone(), listener));
        }
        let accepting = tokio::spawn(front.clone().run(listener));
        end.await;
        tracing::info!("Shutting down...");
        app.is_ready.store(false, Ordering::Relaxed);
        let _ = drain.send(true);
        app.drain().await;
        accepting.abort();
        tasks.shutdown().await;
        if let Some(store) = store {
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
        tracing::info!("Server closed");
    }
}

impl Nuncio {
    /// Tells all clients to leave, so many a second as configured, and waits until they have, or until the time for it is over.
    async fn drain(&self) {
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
        outboxes
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

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let failed = |reason| ServeError::Listen { address, reason };
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()
    } else {
        tokio::net::TcpSocket::new_v6()
    }
    .map_err(failed)?;
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    // A reconnect storm fills the queue of the default length at once.
    socket.listen(4096).map_err(failed)
}

/// `/metrics` on an address of its own.
async fn serve_metrics(app: Arc<Nuncio>, listener: TcpListener) {
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

/// What rooms keep and announce, as configured.
fn policies(config: &CheckedConfig) -> Policies {
    let durability = if config.config.store.enabled {
        Durability::Durable
    } else {
        Durability::Memory
    };
    let default = RoomPolicy {
        history: config.history.clone(),
        ..RoomPolicy::new(durability)
    };
    let rules = config.config.rooms.0.iter().map(|rule| {
        let mut policy = default.clone();
        match rule.history {
            Some(HistoryMode::Durable) => policy.durability = Durability::Durable,
            Some(HistoryMode::Memory) => policy.durability = Durability::Memory,
            Some(HistoryMode::None) => {
                policy.durability = Durability::Memory;
                policy.history.messages_max = 0;
            }
            None => {}
        }
        if let Some(messages) = rule.messages {
            policy.history.messages_max = messages;
        }
        policy.presence = rule.presence;
        (rule.pattern.clone(), policy)
    });
    Policies::new(rules.collect(), default)
}
