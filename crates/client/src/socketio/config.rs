//! What a client and its sockets are started with.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nuncio_engineio::Transport;
use nuncio_socketio::{Limits, Parser};
use nuncio_websocket::handshake::DeflateConfig;
use serde_json::Value;

use crate::dial::Proxy;
use crate::{BackoffConfig, Jitter};

/// What [`Client::start`](super::Client::start) is started with: the connection that all its sockets share.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// `http://`, `https://`, `ws://` or `wss://`, the host and perhaps a query, which goes with every request.
    pub url: String,
    /// Where the server listens for Socket.IO. Default `/socket.io/`.
    pub path: String,
    /// More lines of each request, such as `authorization`, `cookie`, `origin`. Default none.
    pub headers: Vec<(String, String)>,
    /// How TLS checks the server. Default `None`: by the roots that the platform trusts.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The proxy. Default [`Proxy::Environment`].
    pub proxy: Proxy,
    /// The compression to offer on WebSockets (RFC 7692). Default none. Answers to polls are not compressed.
    pub deflate: Option<DeflateConfig>,
    /// The conversation: transports, timeouts, reconnection, bounds.
    pub conversation: ConversationConfig,
    /// Bytes of one message, and of one answer to a poll, at most; more ends the connection. Default 16 MiB.
    pub message_bytes_max: u64,
    /// Events of one socket that may wait to be read. Default 1024; beyond that nothing is read from the server.
    pub events_max: usize,
    /// What sockets begin with unless they are given their own.
    pub socket: SocketConfig,
}

/// The rules of one [`Conversation`](super::Conversation). The defaults are the JavaScript client's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConversationConfig {
    /// Transports in the order in which they are tried. Default polling, then WebSocket: it connects by the first, and upgrades
    /// to WebSocket where that is among the others.
    pub transports: Vec<Transport>,
    /// Whether to upgrade from polling to WebSocket. Default true.
    pub upgrade: bool,
    /// Whether the next transport is tried when the first cannot connect. Default false.
    pub try_all_transports: bool,
    /// From the first packet to the end of Engine.IO's handshake. Default 20 s.
    pub timeout: Duration,
    /// Whether a lost connection is connected anew.
    pub reconnection: Reconnection,
    /// Pauses between attempts. Default 1 s, doubled up to 5 s, each 50 % shorter to 50 % longer, and no end of attempts.
    pub backoff: BackoffConfig,
    /// How packets are encoded; the server must use the same. Default [`Parser::Default`].
    pub parser: Parser,
    /// Events of one socket that may wait for a connection, and again as many that may wait for an acknowledgement. Default 1000;
    /// one more is an error.
    pub buffer_max: usize,
    /// What the server may ask of the client's memory.
    pub limits: Limits,
}

/// Whether a lost connection is connected anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnection {
    /// By itself, with pauses. The default.
    On,
    /// Only when [`Socket::connect`](super::Socket::connect) is called.
    Off,
}

/// What one socket is started with.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct SocketConfig {
    /// How often an event is sent again that was not acknowledged. Default 0. With more, events are sent one after the other, each
    /// once the one before it was acknowledged: each arrives at least once, and in order.
    pub retries: u32,
    /// How long an acknowledgement is waited for, unless the call says so. Default `None`: until the connection is lost.
    pub ack_timeout: Option<Duration>,
    pub(super) auth: Auth,
}

/// Who the socket says that it is.
#[derive(Clone, Default)]
pub(super) enum Auth {
    #[default]
    None,
    Value(Value),
    Source(Arc<dyn Fn() -> AuthFuture + Send + Sync>),
}

pub(super) type AuthFuture = Pin<Box<dyn Future<Output = Value> + Send>>;

impl Config {
    /// The defaults for the server of this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            path: "/socket.io/".to_owned(),
            headers: Vec::new(),
            tls: None,
            proxy: Proxy::Environment,
            deflate: None,
            conversation: ConversationConfig::default(),
            message_bytes_max: 16 * 1024 * 1024,
            events_max: 1024,
            socket: SocketConfig::default(),
        }
    }

    /// The same auth payload at each connect, a JSON object.
    #[must_use]
    pub fn auth(mut self, payload: Value) -> Self {
        self.socket = self.socket.auth(payload);
        self
    }

    /// Adds a line to each request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Uses these transports, in this order.
    #[must_use]
    pub fn transports(mut self, transports: impl Into<Vec<Transport>>) -> Self {
        self.conversation.transports = transports.into();
        self
    }
}

impl Default for ConversationConfig {
    fn default() -> Self {
        Self {
            transports: vec![Transport::Polling, Transport::WebSocket],
            upgrade: true,
            try_all_transports: false,
            timeout: Duration::from_secs(20),
            reconnection: Reconnection::On,
            backoff: BackoffConfig {
                delay_first: Duration::from_secs(1),
                delay_max: Duration::from_secs(5),
                attempts_max: None,
                jitter: Jitter::Around { percent: 50 },
            },
            parser: Parser::Default,
            buffer_max: 1000,
            limits: Limits::default(),
        }
    }
}

impl SocketConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same auth payload at each connect, a JSON object.
    #[must_use]
    pub fn auth(mut self, payload: Value) -> Self {
        self.auth = Auth::Value(payload);
        self
    }

    /// An auth payload that is asked for at each connect, such as a fresh token.
    #[must_use]
    pub fn auth_with<F, T>(mut self, source: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Value> + Send + 'static,
    {
        self.auth = Auth::Source(Arc::new(move || Box::pin(source())));
        self
    }

    /// Sends events again that are not acknowledged within `ack_timeout`, so many times.
    #[must_use]
    pub fn retries(mut self, retries: u32, ack_timeout: Duration) -> Self {
        self.retries = retries;
        self.ack_timeout = Some(ack_timeout);
        self
    }
}

/// Without what may hold a token: the query, the headers, the auth payload.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url.split('?').next().unwrap_or_default())
            .field("path", &self.path)
            .field("headers", &self.headers.len())
            .field("conversation", &self.conversation)
            .finish_non_exhaustive()
    }
}

/// Without the auth payload.
impl fmt::Debug for SocketConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketConfig")
            .field("retries", &self.retries)
            .field("ack_timeout", &self.ack_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_not_seen_in_the_log() {
        let config = Config::new("http://a/?token=s3cret")
            .header("authorization", "Bearer s3cret")
            .auth(json!({"token": "s3cret"}));

        assert!(!format!("{config:?} {:?}", config.socket).contains("s3cret"));
    }
}
