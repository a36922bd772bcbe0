//! A Socket.IO client: protocol 5 over Engine.IO 4, for servers of Socket.IO 3 and 4, and for nuncio.
//!
//! A [`Client`] has one connection, by polling or WebSocket; a [`Socket`] is one namespace on it. What happens to a socket comes
//! out of its [`Events`]. It behaves as the JavaScript client does, whose words are used.
//!
//! ```no_run
//! # async fn chat() -> Result<(), Box<dyn std::error::Error>> {
//! use nuncio_client::socketio::{Client, Config, Event};
//! use serde_json::json;
//!
//! let client = Client::start(Config::new("https://chat.example.com").auth(json!({"token": "eyJhbGciOi…"})))?;
//! let (socket, mut events) = client.socket("/").await?;
//! socket.emit("hello", json!({"from": "Rust"})).await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message { name, args, ack } => {
//!             println!("{name}: {:?}", args.value::<serde_json::Value>(0)?);
//!             if let Some(ack) = ack {
//!                 socket.answer(ack, "got it").await?;
//!             }
//!         }
//!         Event::Disconnect { reason, active } => println!("{reason}, comes back: {active}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod args;
mod config;
mod conversation;
mod driver;
mod event;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use driver::{Request, Seat, SocketRequest};

pub use crate::dial::{Proxy, ProxyError, UrlError};
pub use args::Args;
pub use config::{Config, ConversationConfig, Reconnection, SocketConfig};
pub use conversation::{
    Acknowledgement, Action, Conversation, Delivery, Flags, NamespaceTaken, SocketRules, Ticket,
};
pub use driver::ConfigError;
pub use event::{AckError, AckId, DisconnectReason, EmitError, Event};
pub use nuncio_engineio::{Frame, Transport};
pub use nuncio_socketio::{Limits, Namespace, Parser, Payload};

/// One connection to a server, shared by the sockets of its namespaces. Clones share it.
///
/// It connects with its first socket. It ends when it is [closed](Self::close), or dropped together with its sockets.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    socket: SocketConfig,
    events_max: usize,
}

impl Client {
    /// Starts a task for the connection. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ConfigError`] when the URL, a header or the transports cannot work.
    pub fn start(config: Config) -> Result<Self, ConfigError> {
        let (requests, asked) = mpsc::channel(64);
        let (socket, events_max) = (config.socket.clone(), config.events_max.max(1));
        tokio::spawn(driver::prepare(config)?.run(asked));
        Ok(Self {
            requests,
            socket,
            events_max,
        })
    }

    /// Connects to a namespace, such as `/` or `/chat`.
    ///
    /// # Errors
    /// Each [`SocketError`].
    pub async fn socket(&self, namespace: &str) -> Result<(Socket, Events), SocketError> {
        self.socket_with(namespace, self.socket.clone()).await
    }

    /// The same with another auth payload, or other rules for acknowledgements.
    ///
    /// # Errors
    /// Each [`SocketError`].
    pub async fn socket_with(
        &self,
        namespace: &str,
        config: SocketConfig,
    ) -> Result<(Socket, Events), SocketError> {
        let (requests, asked) = mpsc::channel(64);
        let (tell, told) = mpsc::channel(self.events_max);
        let (status, seen) = watch::channel(Status::default());
        let (taken, opened) = oneshot::channel();
        let request = Request::Socket {
            namespace: Namespace::new(namespace),
            config,
            seat: Seat {
                requests: asked,
                tell,
                status,
            },
            taken,
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| SocketError::Closed)?;
        opened.await.map_err(|_| SocketError::Closed)??;
        let socket = Socket {
            requests,
            status: seen,
        };
        Ok((socket, Events { told }))
    }

    /// Ends the pause before the next attempt to connect: the network is back, or the user asks.
    ///
    /// # Errors
    /// [`EmitError::Closed`].
    pub async fn wake(&self) -> Result<(), EmitError> {
        let sent = self.requests.send(Request::Wake).await;
        sent.map_err(|_| EmitError::Closed)
    }

    /// Disconnects all sockets and closes the connection. Returns when it is closed; what was emitted before has gone out, unless
    /// the server did not take it within 5 s.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        // Without an answer it is closed already.
        if self.requests.send(Request::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

/// Why there is no socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The namespace has one already.
    #[error(transparent)]
    Taken(#[from] NamespaceTaken),
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
}

/// One namespace. Clones share it; when the last one is dropped, it disconnects.
#[derive(Debug, Clone)]
pub struct Socket {
    requests: mpsc::Sender<SocketRequest>,
    status: watch::Receiver<Status>,
}

impl Socket {
    /// Sends an event. While the socket is not connected it waits, at most
    /// [`buffer_max`](ConversationConfig::buffer_max) of them; on a slow connection this call waits.
    ///
    /// # Errors
    /// Each [`EmitError`]. Without one the event is on its way, but only an acknowledgement tells that it arrived.
    pub async fn emit(&self, name: &str, args: impl Into<Args>) -> Result<(), EmitError> {
        self.with(Flags::default()).emit(name, args).await
    }

    /// Sends an event and waits for its acknowledgement, as long as [`ack_timeout`](SocketConfig::ack_timeout) says.
    ///
    /// # Errors
    /// Each [`AckError`].
    pub async fn emit_with_ack(&self, name: &str, args: impl Into<Args>) -> Result<Args, AckError> {
        self.with(Flags::default()).emit_with_ack(name, args).await
    }

    /// For the next event: the time in which it must be acknowledged.
    pub fn timeout(&self, timeout: Duration) -> Emitter<'_> {
        self.with(Flags::default()).timeout(timeout)
    }

    /// For the next event: it is dropped when the connection is not ready.
    pub fn volatile(&self) -> Emitter<'_> {
        self.with(Flags::default()).volatile()
    }

    /// Acknowledges an event of the server. Once the connection it came on is lost, the answer is dropped.
    ///
    /// # Errors
    /// [`EmitError::Closed`].
    pub async fn answer(&self, ack: AckId, args: impl Into<Args>) -> Result<(), EmitError> {
        self.ask(SocketRequest::Answer(ack, args.into())).await
    }

    /// Connects again after a disconnect or a refusal that the socket does not come back from by itself.
    ///
    /// # Errors
    /// [`EmitError::Closed`].
    pub async fn connect(&self) -> Result<(), EmitError> {
        self.ask(SocketRequest::Connect).await
    }

    /// Leaves the namespace; the connection ends with its last socket. [`connect`](Self::connect) comes back.
    ///
    /// # Errors
    /// [`EmitError::Closed`].
    pub async fn disconnect(&self) -> Result<(), EmitError> {
        self.ask(SocketRequest::Disconnect).await
    }

    /// Whether the socket is connected, under which id, and whether its state was recovered.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    fn with(&self, flags: Flags) -> Emitter<'_> {
        let socket = self;
        Emitter { socket, flags }
    }

    async fn ask(&self, request: SocketRequest) -> Result<(), EmitError> {
        let asked = self.requests.send(request).await;
        asked.map_err(|_| EmitError::Closed)
    }
}

/// Sends one event in a special way.
#[derive(Debug, Clone, Copy)]
#[must_use = "it does nothing until something is emitted"]
pub struct Emitter<'a> {
    socket: &'a Socket,
    flags: Flags,
}

impl Emitter<'_> {
    /// As [`Socket::timeout`].
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.flags.timeout = Some(timeout);
        self
    }

    /// As [`Socket::volatile`].
    pub const fn volatile(mut self) -> Self {
        self.flags.delivery = Delivery::Volatile;
        self
    }

    /// As [`Socket::emit`].
    ///
    /// # Errors
    /// Each [`EmitError`].
    pub async fn emit(self, name: &str, args: impl Into<Args>) -> Result<(), EmitError> {
        let (sent, was_sent) = oneshot::channel();
        let request = SocketRequest::Emit {
            name: name.to_owned(),
            args: args.into(),
            flags: self.flags,
            sent,
        };
        self.socket.ask(request).await?;
        was_sent.await.unwrap_or(Err(EmitError::Closed))
    }

    /// As [`Socket::emit_with_ack`].
    ///
    /// # Errors
    /// Each [`AckError`].
    pub async fn emit_with_ack(self, name: &str, args: impl Into<Args>) -> Result<Args, AckError> {
        let (answer, answered) = oneshot::channel();
        let request = SocketRequest::Ask {
            name: name.to_owned(),
            args: args.into(),
            flags: self.flags,
            answer,
        };
        self.socket.ask(request).await?;
        let closed = Err(AckError::Emit(EmitError::Closed));
        answered.await.unwrap_or(closed)
    }
}

/// What happens to one socket, in order.
#[derive(Debug)]
pub struct Events {
    told: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` when the client is closed or the socket dropped. Nothing more is read from the server while
    /// [`Config::events_max`] events of one socket wait, acknowledgements neither: read events in one task and ask in another.
    /// Whoever does not want them drops this.
    pub async fn next(&mut self) -> Option<Event> {
        self.told.recv().await
    }
}

/// Where a socket stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The socket's id while it is connected.
    pub id: Option<String>,
    /// Whether the last connect recovered the state of the connection before.
    pub recovered: bool,
}

impl Status {
    /// Takes an event in; answers whether it changed something.
    fn follow(&mut self, event: &Event) -> bool {
        match event {
            Event::Connect { id, recovered } => {
                self.id = Some(id.clone());
                self.recovered = *recovered;
                true
            }
            Event::Disconnect { .. } => self.id.take().is_some(),
            Event::ConnectError { .. }
            | Event::Message { .. }
            | Event::ReconnectAttempt { .. }
            | Event::Reconnect { .. }
            | Event::ReconnectFailed => false,
        }
    }
}
