//! A server: put together, run, drained.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use nuncio_hub::{Broker, Deliver as _, Ledger, MemoryBroker};
use nuncio_session::Settings;
use nuncio_store::{Store, StoreBroker, StoreConfig, StoreError};
use nuncio_transport::{
    DeflateConfig, Encoders, Endpoints, Front, FrontLimits, Node, Rooms, Shared, Timers, clock,
    random,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api;
use crate::app::Nuncio;
use crate::assets::Assets;
use crate::auth::{
    Authenticator, DemoSecretError, RevocationFile, RevocationFileError, demo_api_key,
};
use crate::builder::ServerBuilder;
use crate::config::{ApiKey, CheckedConfig, Mode, Problems, Scope};
use crate::handle::Handle;
use crate::hooks::{Events, EventsError, Hooks};
use crate::io::{Hub, Io};
use crate::metrics::Metrics;
use crate::parking::Parking;
use crate::policies::policies;
use crate::running::{Running, serve_metrics};
use crate::tls::{self, TlsError};
use crate::{recovery, socketio, streams};

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
    /// What was asked for does not hold together.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The data cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The demo's secret cannot be kept.
    #[error(transparent)]
    Secret(#[from] DemoSecretError),
    /// The revoked tokens cannot be read.
    #[error(transparent)]
    Revocations(#[from] RevocationFileError),
    /// The certificates that backends are known by cannot be used.
    #[error("hooks cannot be set up: {0}")]
    Hooks(io::Error),
    /// Events for backends cannot be recorded.
    #[error(transparent)]
    Events(#[from] EventsError),
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

/// A server: its data is open, and nothing is served yet.
///
/// ```no_run
/// # async fn serve() -> Result<(), nuncio::ServeError> {
/// let server = nuncio::Server::builder()
///     .listen("127.0.0.1:8080")
///     .secret("a secret of 32 bytes or more, kept")
///     .store("./data")
///     .bind()
///     .await?;
/// server.run().await
/// # }
/// ```
pub struct Server {
    pub(crate) app: Arc<Nuncio>,
    pub(crate) shared: Arc<Shared<Nuncio>>,
    pub(crate) endpoints: Endpoints,
    limits: FrontLimits,
    tls: Option<TlsAcceptor>,
    handle: Handle,
    pub(crate) listeners: Option<Listeners>,
    store: Option<Arc<StoreBroker<Rooms>>>,
    events: Option<Events>,
}

/// The keys of the configuration; or the demo's own, which may do everything, as whoever uses a demo may anyway.
fn api_keys(config: &CheckedConfig) -> Result<Vec<ApiKey>, DemoSecretError> {
    let demo = demo_api_key(config)?;
    let demo = demo.map(|key| ApiKey {
        key,
        ..ApiKey::new("demo", "", [Scope::Admin])
    });
    Ok(config.api_keys.iter().cloned().chain(demo).collect())
}

/// Where a server that runs alone is reached.
pub(crate) struct Listeners {
    clients: TcpListener,
    metrics: Option<TcpListener>,
    api: Option<TcpListener>,
}

impl Server {
    /// Says piece by piece what the server is; see [`ServerBuilder`].
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Opens the data and begins to listen; nothing is served before [`run`](Self::run).
    ///
    /// # Errors
    /// [`ServeError`] names what cannot be used, and the way out.
    pub async fn bind(config: CheckedConfig) -> Result<Self, ServeError> {
        let mut server = Self::build(config)?;
        server.listen().await?;
        Ok(server)
    }

    /// Opens the data without listening: for a server inside another one, or one that listens when it [runs](Self::run).
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn build(config: CheckedConfig) -> Result<Self, ServeError> {
        Self::build_with(config, Io::new())
    }

    pub(crate) fn build_with(config: CheckedConfig, io: Io) -> Result<Self, ServeError> {
        let authenticator = Arc::new(Authenticator::from_config(&config)?);
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let seed = u64::from_le_bytes(random::bytes());
        let metrics = Arc::new(Metrics::new());
        let encoders = Arc::new(Encoders {
            deflate_threshold: config.config.deflate.threshold.0,
            socketio_deflate_threshold: config.config.socketio.deflate_threshold.0,
        });
        let policies = Arc::new(policies(&config));
        let store = if config.config.store.enabled {
            let path = config.config.store.path.clone();
            Some(Store::open(StoreConfig::new(path))?)
        } else {
            None
        };
        let domain = recovery::domain(&config, store.as_ref(), seed)?;
        let hooks = Hooks::from_config(&config, &metrics.hooks).map_err(ServeError::Hooks)?;
        let events = Events::from_config(&config, &metrics.hooks)?;
        let recorder = events.as_ref().map(|events| events.recorder.clone());
        let rooms = Rooms::new(
            encoders.clone(),
            policies.clone(),
            config.room.clone(),
            config.workers,
            seed,
        );
        let observer = recorder.clone().map(|recorder| recorder as _);
        let rooms = Arc::new(rooms.ordered_by(domain).observed_by(observer));
        let memory = Arc::new(MemoryBroker::new(rooms.clone(), policies.clone(), seed));
        let store = store.map(|store| {
            let broker = store.into_broker(rooms.clone(), policies, seed, metrics.clone());
            Arc::new(broker)
        });
        if let (Some(domain), Some(store)) = (rooms.domain(), &store) {
            domain.keep_in(&(store.clone() as Arc<dyn Ledger>));
        }
        let durable = store.clone().map(|store| store as Arc<dyn Broker>);
        let node = Arc::new(Node::new(rooms.clone(), memory, durable, seed));
        io.attach(Hub {
            node: node.clone(),
            rooms_max: config.connection.rooms_max,
            verifies: authenticator.is_on(),
        });
        let settings = Settings {
            connection: config.connection.clone(),
            rate: config.rate.clone(),
            history_max: config.history.messages_max as u32,
            ..Settings::default()
        };
        let server = &config.config.server;
        let endpoints = Endpoints {
            websocket: Some(server.path.clone()),
            echo: server
                .echo
                .then(|| format!("{}/echo", server.path.trim_end_matches('/'))),
            deflate: config.config.deflate.enabled.then(DeflateConfig::default),
            socketio: socketio::endpoint(&config).into_iter().collect(),
            raw: Vec::new(),
            streams: streams::endpoint(&config),
            subprotocols: &["nuncio.v1"],
        };
        let limits = FrontLimits {
            handshakes_max: server.handshakes_max,
            head_bytes_max: server.head_bytes_max.0,
            head_timeout: server.head_timeout,
        };
        let health = store.clone();
        let kept = config.config.store.enabled.then(|| {
            let revocations = authenticator.revocations();
            let now = clock::now().unix_s();
            RevocationFile::open(&config.config.store.path, revocations, now)
        });
        let revocation_file = kept.transpose()?;
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
            api_keys: api::Keyring::new(&api_keys(&config)?, &config.config.api),
            revocation_file,
            began: Instant::now(),
            shared: OnceLock::new(),
            config,
            node,
            authenticator,
            metrics,
            is_ready: AtomicBool::new(true),
            anonymous: parking_lot::Mutex::default(),
            io,
            raw: parking_lot::Mutex::default(),
            hooks,
            recorder,
        });
        let timers = Arc::new(Timers::new(Instant::now()));
        let shared = Arc::new(Shared {
            app: app.clone(),
            rooms,
            timers,
            settings: Arc::new(settings),
            encoders,
        });
        // Nobody else knows of it yet.
        let _ = app.shared.set(Arc::downgrade(&shared));
        Ok(Self {
            app,
            shared,
            endpoints,
            limits,
            tls,
            handle: Handle::default(),
            listeners: None,
            store,
            events,
        })
    }

    /// The key of the server API that the demo made for itself; `None` where it is no demo, or has keys in its configuration.
    ///
    /// # Errors
    /// [`ServeError::Secret`] when what it is made of cannot be read.
    pub fn demo_api_key(&self) -> Result<Option<crate::config::Secret>, ServeError> {
        Ok(demo_api_key(&self.app.config)?)
    }

    pub(crate) async fn listen(&mut self) -> Result<(), ServeError> {
        if self.listeners.is_some() {
            return Ok(());
        }
        let config = &self.app.config.config;
        let clients = listen(config.server.listen).await?;
        let metrics = match config.metrics.listen.filter(|_| config.metrics.enabled) {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let has_api = self.app.api_keys.is_some();
        let api = match config.api.listen.filter(|_| has_api) {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        self.listeners = Some(Listeners {
            clients,
            metrics,
            api,
        });
        Ok(())
    }

    /// The address it listens on; the port is real where 0 was asked for.
    ///
    /// # Errors
    /// `NotConnected` when it does not listen yet.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.listeners {
            Some(listeners) => listeners.clients.local_addr(),
            None => Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the server does not listen yet: make it with bind() instead of build()",
            )),
        }
    }

    /// The address that the server API has for itself, if it has one.
    pub fn api_address(&self) -> Option<SocketAddr> {
        let listener = self.listeners.as_ref()?.api.as_ref()?;
        listener.local_addr().ok()
    }

    /// Its namespaces: handlers for clients, and what is emitted to them.
    pub fn io(&self) -> &Io {
        &self.app.io
    }

    /// What stops it from elsewhere; may be cloned.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until the process is told to end (SIGTERM, SIGINT), then drains. A second signal ends the process at once.
    ///
    /// # Errors
    /// [`ServeError::Signal`]; and [`ServeError::Listen`], when it did not listen yet.
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
        self.run_until(told).await
    }

    /// Serves until `end` is ready or the [handle](Self::handle) says so, then drains: readiness turns false, nobody new is let in, clients are told when to
    /// come back and closed with 1012 in paced batches, the store is flushed.
    ///
    /// # Errors
    /// [`ServeError::Listen`], when it did not listen yet.
    pub async fn run_until(mut self, end: impl Future<Output = ()>) -> Result<(), ServeError> {
        self.listen().await?;
        let (running, _) = self.start();
        running.until(end).await;
        Ok(())
    }

    /// Begins to serve.
    pub(crate) fn start(self) -> (Running, Arc<Front<Nuncio>>) {
        let (drain, drained) = watch::channel(false);
        let front = Arc::new(Front {
            shared: self.shared,
            endpoints: Arc::new(self.endpoints),
            limits: self.limits,
            tls: self.tls,
            drain: drained,
        });
        let mut running = Running {
            app: self.app,
            handle: self.handle,
            drain,
            tasks: JoinSet::new(),
            store: self.store,
            telling: self.events.map(Events::start),
        };
        running.start(&front);
        if let Some(Listeners {
            clients,
            metrics,
            api,
        }) = self.listeners
        {
            if let Some(listener) = api {
                let api = api::serve(running.app.clone(), listener, front.tls.clone());
                running.tasks.spawn(api);
            }
            if let Some(listener) = metrics {
                let metrics = serve_metrics(running.app.clone(), listener);
                running.tasks.spawn(metrics);
            }
            running.tasks.spawn(front.clone().run(clients));
        }
        (running, front)
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
