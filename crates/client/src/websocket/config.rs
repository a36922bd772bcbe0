//! What is asked of a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nuncio_websocket::handshake::DeflateConfig;

use crate::dial::Proxy;

/// What [`WebSocket::connect`](super::WebSocket::connect) is asked for.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// `ws://` or `wss://`.
    pub url: String,
    /// Subprotocols to offer, best first. Default none.
    pub subprotocols: Vec<String>,
    /// More lines of the request, such as `authorization`, `cookie`, `origin`. Default none.
    pub headers: Vec<(String, String)>,
    /// The compression to offer (RFC 7692). Default none: chat messages are too short to gain much.
    pub deflate: Option<DeflateConfig>,
    /// How `wss://` checks the server. Default `None`: by the roots that the platform trusts.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The proxy. Default [`Proxy::Environment`].
    pub proxy: Proxy,
    /// From the first packet to the end of the opening handshake. Default 10 s.
    pub open_timeout: Duration,
    /// From our close frame to the end of the connection. Default 5 s.
    pub close_timeout: Duration,
    /// How often the server is pinged; one from which nothing at all comes until the next ping is gone
    /// ([`Error::NoPong`](super::Error::NoPong)). Default `None`: most servers ping themselves.
    pub ping_interval: Option<Duration>,
    /// The longest message accepted, in bytes after inflation; a longer one ends the connection with 1009. Default 16 MiB.
    pub message_bytes_max: u64,
    /// From this size on a message is given out in pieces while it arrives ([`Event::Piece`](super::Event::Piece)), so that it may
    /// be larger than the memory. Compressed messages stay whole. Default `None`: every message is whole.
    pub piece_bytes_min: Option<usize>,
    /// Messages that may wait to be sent, and events that may wait to be read. Default 64 of each; beyond that `send` waits, and
    /// nothing more is read from the server.
    pub queue_max: usize,
}

impl ClientConfig {
    /// The defaults for this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            subprotocols: Vec::new(),
            headers: Vec::new(),
            deflate: None,
            tls: None,
            proxy: Proxy::Environment,
            open_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            ping_interval: None,
            message_bytes_max: 16 * 1024 * 1024,
            piece_bytes_min: None,
            queue_max: 64,
        }
    }

    /// Offers a subprotocol after those that were offered before.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Adds a line to the request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers compression.
    #[must_use]
    pub const fn deflate(mut self, config: DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// Checks the server of `wss://` in a way of your own, such as with a private root.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Goes through this proxy, or through none.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }
}

/// Without the query and the headers: tokens stand there.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("ClientConfig")
            .field("url", &url)
            .field("subprotocols", &self.subprotocols.len())
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_seen_in_the_log() {
        let config = ClientConfig::new("ws://a/ws?token=s3cret")
            .header("authorization", "Bearer s3cret")
            .subprotocol("bearer.s3cret");

        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
