//! What holds for all connections of an endpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use nuncio_model::CloseCode;
use nuncio_websocket::handshake::DeflateConfig;

use super::message::Message;
use super::request::{Rejection, Request};

/// What holds for all connections of an endpoint. Where nothing is said, the limits and the heartbeat of the server hold.
#[derive(Default)]
pub struct WebSocketOptions {
    pub(super) verify: Option<Verify>,
    pub(super) subprotocols: Option<Vec<String>>,
    pub(super) message_bytes_max: Option<usize>,
    pub(super) outbox_bytes_max: Option<usize>,
    pub(super) deflate: Option<Deflate>,
    pub(super) heartbeat: Beats,
    pub(super) farewell: Farewell,
}

pub(super) type Verify = Box<dyn Fn(Request) -> Verifying + Send + Sync>;
type Verifying = Pin<Box<dyn Future<Output = Result<Request, Rejection>> + Send>>;

/// Compression that is agreed to when a client asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deflate {
    pub(super) config: DeflateConfig,
    pub(super) threshold: usize,
}

/// How silent clients are treated.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Beats {
    /// As the server treats its own.
    #[default]
    AsServer,
    Every(Duration, Duration),
    Never,
}

/// What clients are told when the server shuts down.
#[derive(Debug, Clone)]
pub(super) struct Farewell {
    pub(super) message: Option<Message>,
    pub(super) code: CloseCode,
    pub(super) reason: String,
}

impl Default for Farewell {
    fn default() -> Self {
        Self {
            message: None,
            code: CloseCode::RESTART,
            reason: "Server shutting down".to_owned(),
        }
    }
}

impl WebSocketOptions {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides about each client before the upgrade. It returns the request, perhaps with something attached, or the answer for who may not connect. When it
    /// takes longer than 10 s the answer is 503.
    ///
    /// ```
    /// use nuncio_transport::raw::{Rejection, WebSocketOptions};
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// let options = WebSocketOptions::new().verify_client(|request| async move {
    ///     let name = request.query("name").ok_or_else(|| Rejection::unauthorized("Missing name"))?;
    ///     Ok(request.with(User(name)))
    /// });
    /// ```
    pub fn verify_client<F, Fut>(mut self, verify: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Request, Rejection>> + Send + 'static,
    {
        self.verify = Some(Box::new(move |request| Box::pin(verify(request))));
        self
    }

    /// The subprotocols that are spoken: the client's favourite among them is chosen, or none. Default: the first that a client offers, whatever it is,
    /// since browsers give up when none is chosen.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The largest message accepted, in bytes, after inflation. A larger one closes the connection with 1009. Default: `limits.message_bytes`, 64 KiB.
    pub const fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.message_bytes_max = Some(bytes);
        self
    }

    /// Bytes that may wait for a slow reader, who is closed with 1013 beyond. Default: `limits.outbox_bytes`, or a message of the largest size when that is more.
    pub const fn outbox_bytes_max(mut self, bytes: usize) -> Self {
        self.outbox_bytes_max = Some(bytes);
        self
    }

    /// Agrees to compression (RFC 7692), for messages of at least so many bytes. Default: it does not.
    pub fn deflate(mut self, threshold: usize) -> Self {
        let config = DeflateConfig::default();
        self.deflate = Some(Deflate { config, threshold });
        self
    }

    /// The silence after which a client is pinged, and the further silence after which its connection is dropped. Default: as the server has it.
    pub const fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.heartbeat = Beats::Every(interval, timeout);
        self
    }

    /// Pings nobody: the program does it itself, or lets connections break unnoticed.
    pub const fn without_heartbeat(mut self) -> Self {
        self.heartbeat = Beats::Never;
        self
    }

    pub(super) fn deflate_threshold(&self) -> usize {
        self.deflate.map_or(0, |deflate| deflate.threshold)
    }

    /// What clients are told when the server shuts down. Default: 1012, "Server shutting down".
    ///
    /// # Panics
    /// When the code may not be sent (RFC 6455 §7.4): allowed are 1000 to 1003, 1007 to 1014, 3000 to 4999.
    pub fn farewell(mut self, code: u16, reason: &str) -> Self {
        assert!(
            nuncio_websocket::CloseCode::new(code).is_some(),
            "{code} cannot be sent as a close code: use 1001, 1012 or one from 4000 to 4999"
        );
        self.farewell.code = CloseCode(code);
        self.farewell.reason = reason.to_owned();
        self
    }

    /// A last message before that.
    pub fn farewell_message(mut self, message: impl Into<Message>) -> Self {
        self.farewell.message = Some(message.into());
        self
    }
}

impl fmt::Debug for WebSocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketOptions")
            .field("verify_client", &self.verify.is_some())
            .field("subprotocols", &self.subprotocols)
            .field("message_bytes_max", &self.message_bytes_max)
            .field("outbox_bytes_max", &self.outbox_bytes_max)
            .field("deflate", &self.deflate)
            .field("heartbeat", &self.heartbeat)
            .field("farewell", &self.farewell)
            .finish()
    }
}
