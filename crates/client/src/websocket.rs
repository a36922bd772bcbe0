//! A WebSocket client for any server (RFC 6455, RFC 7692), with the life cycle that browsers have.
//!
//! A [`WebSocket`] is a handle for sending; what happens comes out of its [`Events`]: `Open`, then messages, then exactly one
//! `Close`. [`ReconnectingWebSocket`] is the same over as many connections as it takes.
//!
//! ```no_run
//! # async fn echo() -> Result<(), Box<dyn std::error::Error>> {
//! use nuncio_client::websocket::{ClientConfig, Event, WebSocket};
//!
//! let (socket, mut events) = WebSocket::connect(ClientConfig::new("wss://echo.example.org/"));
//! socket.send("Hello").await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => println!("{message:?}"),
//!         Event::Close { code, reason, was_clean } => println!("closed: {code} {reason} {was_clean}"),
//!         Event::Open { .. } | Event::Piece(_) | Event::Ping(_) | Event::Pong(_) | Event::Error(_) => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod config;
mod driver;
mod open;
mod reconnecting;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use nuncio_model::CloseCode;
pub use nuncio_websocket::handshake::{DeflateConfig, ResponseError};
pub use nuncio_websocket::{FrameError, WindowBits};
use tokio::sync::mpsc;

pub use crate::dial::{Proxy, ProxyError, UrlError};
pub use config::ClientConfig;
pub use open::OpenError;
pub use reconnecting::{ReconnectEvent, ReconnectEvents, ReconnectOptions, ReconnectingWebSocket};
pub use stream::{MessageKind, Piece, StreamError};

/// The sending end of one connection. Clones share it; when the last one is dropped, the connection closes with 1000.
#[derive(Debug, Clone)]
pub struct WebSocket {
    commands: mpsc::Sender<driver::Command>,
    state: Arc<SharedState>,
}

impl WebSocket {
    /// Begins to connect, in a task of its own. Must be called inside a tokio runtime.
    ///
    /// Messages may be sent at once: they wait until the connection is open.
    pub fn connect(config: ClientConfig) -> (Self, Events) {
        let (commands, wanted) = mpsc::channel(config.queue_max.max(1));
        let (tell, told) = mpsc::channel(config.queue_max.max(1));
        let state = Arc::new(SharedState::default());
        tokio::spawn(driver::run(config, wanted, tell, state.clone()));
        (Self { commands, state }, Events { told })
    }

    /// Sends one message; waits while [`ClientConfig::queue_max`] messages wait before it.
    ///
    /// # Errors
    /// [`Closed`] when the connection is closing or closed. Without an error the message is on its way, but only an answer of
    /// the server tells that it arrived.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Closed> {
        self.command(driver::Command::Send(message.into())).await
    }

    /// Pings the server (RFC 6455 §5.5.2), which answers with the same bytes: [`Event::Pong`].
    ///
    /// # Errors
    /// [`PingError::TooLong`] for more than 125 bytes, [`PingError::Closed`] when the connection is closing or closed.
    pub async fn ping(&self, payload: impl Into<Bytes>) -> Result<(), PingError> {
        let payload = payload.into();
        let len = payload.len();
        if len > PING_BYTES_MAX {
            return Err(PingError::TooLong { len });
        }
        let sent = self.command(driver::Command::Ping(payload)).await;
        sent.map_err(PingError::Closed)
    }

    /// Closes the connection: what was sent before still goes out, then a close frame. A reason is cut after 123 bytes.
    ///
    /// # Errors
    /// [`CloseError::Code`] for a code other than 1000 and 3000 to 4999, as in browsers; [`CloseError::Closed`] when it is
    /// closing or closed.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), CloseError> {
        let code = sendable(code)?;
        let reason = reason.into();
        let command = driver::Command::Close { code, reason };
        self.command(command).await.map_err(CloseError::Closed)?;
        self.state.advance(ReadyState::Closing);
        Ok(())
    }

    /// Where the connection is in its life.
    pub fn ready_state(&self) -> ReadyState {
        self.state.load()
    }

    async fn command(&self, command: driver::Command) -> Result<(), Closed> {
        match self.ready_state() {
            ReadyState::Closing | ReadyState::Closed => Err(Closed),
            ReadyState::Connecting | ReadyState::Open => {
                self.commands.send(command).await.map_err(|_| Closed)
            }
        }
    }
}

/// What happens on one connection. When it is dropped, the connection closes.
#[derive(Debug)]
pub struct Events {
    told: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` after [`Event::Close`]. Nothing is read from the server while [`ClientConfig::queue_max`] wait here.
    pub async fn next(&mut self) -> Option<Event> {
        self.told.recv().await
    }
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// The opening handshake is done.
    Open {
        /// The subprotocol that the server chose.
        subprotocol: Option<String>,
    },
    /// A message.
    Message(Message),
    /// A piece of a message, with [`ClientConfig::piece_bytes_min`].
    Piece(Piece),
    /// The server pinged with these bytes, and was answered: a sign of life.
    Ping(Bytes),
    /// The server answered a [ping](WebSocket::ping), also one of [`ClientConfig::ping_interval`], with its bytes.
    Pong(Bytes),
    /// What went wrong; a [`Close`](Self::Close) with 1006 follows.
    Error(Error),
    /// The end. Nothing follows.
    Close {
        /// The server's code; 1005 where it gave none, 1006 without a close frame.
        code: CloseCode,
        /// The server's reason.
        reason: String,
        /// Whether both sides sent their close frames.
        was_clean: bool,
    },
}

/// A code that a client may send.
fn sendable(code: u16) -> Result<nuncio_websocket::CloseCode, CloseError> {
    let allowed = matches!(code, 1000 | 3000..=4999);
    let wire = nuncio_websocket::CloseCode::new(code).filter(|_| allowed);
    wire.ok_or(CloseError::Code { code })
}

/// What is sent and received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// The life of a connection; it only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadyState {
    /// Until the end of the opening handshake.
    Connecting,
    /// Messages flow.
    Open,
    /// A close frame was sent or received.
    Closing,
    /// It is over, or never opened.
    Closed,
}

/// Why a connection broke.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server broke a rule of the protocol, or a message was too big.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The network.
    #[error("the connection is lost: {0}")]
    Io(#[from] std::io::Error),
    /// The server did not answer a close frame within [`ClientConfig::close_timeout`].
    #[error("the server did not answer the close frame")]
    CloseTimeout,
    /// Nothing came between a ping of [`ClientConfig::ping_interval`] and the next.
    #[error("the server did not answer a ping within {interval:?}")]
    NoPong {
        /// The interval.
        interval: std::time::Duration,
    },
}

/// The connection is closing or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closing or closed")]
pub struct Closed;

/// Why a ping was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// A control frame has no room for more than 125 bytes (RFC 6455 §5.5).
    #[error("a ping of {len} bytes, at most 125 are allowed")]
    TooLong {
        /// As given.
        len: usize,
    },
    /// There is no open connection.
    #[error(transparent)]
    Closed(Closed),
}

/// Why `close` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// A code that a client may not send.
    #[error("close code {code} is neither 1000 nor from 3000 to 4999")]
    Code {
        /// As given.
        code: u16,
    },
    /// It is closing already.
    #[error(transparent)]
    Closed(Closed),
}

/// A [`ReadyState`] that the handle and the task both see.
#[derive(Debug, Default)]
struct SharedState(AtomicU8);

impl SharedState {
    fn load(&self) -> ReadyState {
        match self.0.load(Ordering::Acquire) {
            0 => ReadyState::Connecting,
            1 => ReadyState::Open,
            2 => ReadyState::Closing,
            _ => ReadyState::Closed,
        }
    }

    fn advance(&self, state: ReadyState) {
        self.0.fetch_max(state as u8, Ordering::AcqRel);
    }
}

/// RFC 6455 §5.5.
const PING_BYTES_MAX: usize = 125;

/// Bytes that nobody can guess, as keys and masks must be (RFC 6455 §10.3).
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness, or nothing can be encrypted");
    bytes
}
