//! What an Engine.IO server may be told.

use std::time::Duration;

/// Settings of an Engine.IO server. The defaults are the reference server's.
///
/// Shared by all connections: `Arc<Config>`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Time between two pings. Default 25 s. More saves traffic, less finds dead clients sooner.
    pub ping_interval: Duration,
    /// Time a client has to answer a ping. Default 20 s: long enough for a phone that changes networks.
    pub ping_timeout: Duration,
    /// Time a WebSocket has to complete an upgrade. Default 10 s; then only the WebSocket is closed.
    pub upgrade_timeout: Duration,
    /// Time a polling client has to fetch the close packet. Default 30 s.
    pub close_timeout: Duration,
    /// Largest POST body and WebSocket message, in bytes; told to the client. Default 1,000,000.
    pub payload_bytes_max: usize,
    /// Bytes that may wait for the next poll. Default 4 MiB: a few of the largest payloads. Memory at worst is this
    /// times the polling clients. [`Connection::send`](crate::server::Connection::send) fails beyond it.
    pub queue_bytes_max: usize,
    /// Which transports a client may open. Default both.
    pub transports: Transports,
    /// Whether a polling client may upgrade to WebSocket. Default true.
    pub upgrades: bool,
    /// Whether clients of protocol v3 (Socket.IO 1.x and 2.x) are let in. Default false, as in the reference.
    pub protocol_v3: bool,
}

/// The transports a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transports {
    /// HTTP long-polling and WebSocket.
    #[default]
    Both,
    /// Only HTTP long-polling.
    Polling,
    /// Only WebSocket.
    WebSocket,
}

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// GET and POST requests.
    Polling,
    /// One WebSocket.
    WebSocket,
}

impl Config {
    /// The transports a client on `transport` may upgrade to, as the handshake tells them.
    pub(crate) fn upgrades_from(&self, transport: Transport) -> &'static [&'static str] {
        match (transport, self.upgrades, self.transports) {
            (Transport::Polling, true, Transports::Both) => &["websocket"],
            (Transport::Polling | Transport::WebSocket, _, _) => &[],
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            payload_bytes_max: 1_000_000,
            queue_bytes_max: 4 << 20,
            transports: Transports::Both,
            upgrades: true,
            protocol_v3: false,
        }
    }
}

impl Transports {
    /// Whether a client may use this transport.
    pub fn allows(self, transport: Transport) -> bool {
        match self {
            Self::Both => true,
            Self::Polling => transport == Transport::Polling,
            Self::WebSocket => transport == Transport::WebSocket,
        }
    }
}

impl Transport {
    /// The name in the query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}
