//! Socket.IO over Engine.IO: polling, WebSocket, and the upgrade between them.
//!
//! One task for each connection owns its state machines; requests reach it through a [`Mailbox`](mailbox::Mailbox). What is on its way to the client waits
//! in the outbox as WebSocket frames, also while the client polls: the task takes the frames out and gives them to the poll. So a room writes a message
//! once for all Socket.IO clients, and a client that upgrades is the same member as before.

mod compress;
mod cors;
mod driver;
mod form;
mod frames;
mod http;
mod link;
mod mailbox;
mod open;
mod polling;
mod seats;
mod table;

use std::sync::Arc;
use std::time::Duration;

use nuncio_engineio::{Config as EngineConfig, SessionCookie, Transports};
use nuncio_socketio::server::{Config as SocketConfig, UnexpectedAcks};
use nuncio_socketio::{Limits, ParserRule};
use nuncio_websocket::handshake::DeflateConfig;

pub use cors::Cors;
pub use form::Form;
pub(crate) use frames::item;
pub use http::Cut;

use table::Table;

/// An endpoint for Socket.IO clients.
#[derive(Debug)]
pub struct SocketIo {
    path: String,
    engine: Arc<EngineConfig>,
    socket: Arc<SocketConfig>,
    purpose: Purpose,
    deflate: Option<DeflateConfig>,
    compression: Option<usize>,
    cookie: Option<SessionCookie>,
    cors: Cors,
    outbox_bytes_max: usize,
    table: Table,
}

/// What holds for all connections of an endpoint. The defaults are the reference server's where it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketIoOptions {
    /// The path. Default `/socket.io/`; with or without the slash at its end it is the same.
    pub path: String,
    /// What messages are for. Default: Socket.IO sessions.
    pub purpose: Purpose,
    /// Time between two pings. Default 25 s.
    pub ping_interval: Duration,
    /// Time a client has to answer a ping. Default 20 s.
    pub ping_timeout: Duration,
    /// Time a client has to join its first namespace. Default 45 s.
    pub connect_timeout: Duration,
    /// Which transports clients may open. Default both.
    pub transports: Transports,
    /// Whether a client that polls may upgrade to a WebSocket. Default true, the reference's `allowUpgrades`.
    pub upgrades: bool,
    /// Time a WebSocket has to take over from polling. Default 10 s; then only the WebSocket is closed.
    pub upgrade_timeout: Duration,
    /// Bounds on the packets of a client: attachments, nesting, namespaces.
    pub limits: Limits,
    /// Largest message or POST body that is accepted, in bytes. Default 1,000,000.
    pub payload_bytes_max: usize,
    /// Bytes that may wait for a slow reader, or for the next poll. Default 4,000,000: a few of the largest messages.
    pub outbox_bytes_max: usize,
    /// Which clients are let in by the protocol they speak. Default: only those of Engine.IO 4, Socket.IO 3.x and 4.x.
    pub protocols: Protocols,
    /// How clients encode packets. Default: each as it does with its first packet, where the reference needs to be told.
    pub parser: ParserRule,
    /// What is agreed to when the WebSocket of a client offers compression; `None`, the default, declines. The threshold is
    /// [`Encoders::socketio_deflate_threshold`](crate::Encoders::socketio_deflate_threshold).
    pub deflate: Option<DeflateConfig>,
    /// From how many bytes on answers to polls are compressed, for clients that accept gzip or deflate. Default 1,024; `None` compresses nothing.
    pub compression: Option<usize>,
    /// The cookie that a client gets with the answer that opens a session over polling, for load balancers. Default none.
    pub cookie: Option<SessionCookie>,
    /// What pages of other origins may send and read.
    pub cors: Cors,
}

/// Which revisions of the protocol are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// Engine.IO 4: Socket.IO clients 3.x and 4.x.
    V4,
    /// Engine.IO 3 too: Socket.IO clients 2.x, the reference's `allowEIO3`. They send their credentials with the request that opens the connection.
    V3AndV4,
}

impl Default for SocketIoOptions {
    fn default() -> Self {
        let (engine, socket) = (EngineConfig::default(), SocketConfig::default());
        Self {
            path: "/socket.io/".to_owned(),
            purpose: Purpose::Sessions,
            ping_interval: engine.ping_interval,
            ping_timeout: engine.ping_timeout,
            connect_timeout: socket.connect_timeout,
            transports: engine.transports,
            upgrades: engine.upgrades,
            upgrade_timeout: engine.upgrade_timeout,
            limits: socket.limits,
            payload_bytes_max: engine.payload_bytes_max,
            outbox_bytes_max: 4 * engine.payload_bytes_max,
            protocols: Protocols::V4,
            parser: ParserRule::AsClient,
            deflate: None,
            compression: Some(1024),
            cookie: None,
            cors: Cors::default(),
        }
    }
}

impl SocketIo {
    /// An endpoint without connections.
    pub fn new(options: SocketIoOptions) -> Self {
        let mut engine = EngineConfig::default();
        engine.ping_interval = options.ping_interval;
        engine.ping_timeout = options.ping_timeout;
        engine.transports = options.transports;
        engine.upgrades = options.upgrades;
        engine.upgrade_timeout = options.upgrade_timeout;
        engine.payload_bytes_max = options.payload_bytes_max;
        engine.protocol_v3 = options.protocols == Protocols::V3AndV4;
        // What waits for a poll waits in the outbox, which has the bound; Engine.IO gets what it can send at once.
        engine.queue_bytes_max = usize::MAX;
        let mut socket = SocketConfig::default();
        socket.connect_timeout = options.connect_timeout;
        socket.parser = options.parser;
        socket.limits = options.limits;
        // Programs keep their questions themselves: one may go to many clients.
        socket.unexpected_acks = UnexpectedAcks::Told;
        Self {
            path: options.path,
            engine: Arc::new(engine),
            socket: Arc::new(socket),
            purpose: options.purpose,
            deflate: options.deflate,
            compression: options.compression,
            cookie: options.cookie,
            cors: options.cors,
            outbox_bytes_max: options.outbox_bytes_max,
            table: Table::default(),
        }
    }

    /// The path without the slash at its end is the same endpoint, as in the reference.
    pub(crate) fn is_path(&self, path: &str) -> bool {
        path.strip_prefix(self.path.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest == "/")
    }

    /// How many connections there are that began with polling.
    pub fn polling_len(&self) -> usize {
        self.table.len()
    }
}

/// What the messages of Engine.IO connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Socket.IO sessions.
    Sessions,
    /// Nothing: each message is sent back, for the conformance suite of Engine.IO.
    Echo,
}
