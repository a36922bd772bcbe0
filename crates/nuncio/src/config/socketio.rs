//! The sections about Socket.IO.

use std::time::Duration;

use http::HeaderName;
use nuncio_model::Namespace;
use nuncio_transport::{
    Parser, ParserRule, Protocols, SameSite, SessionCookie, SocketIoOptions, Transport, Transports,
};
use toml::Value;

use super::section::{Key, Section, section};
use super::setting::{ByteSize, Raw, Setting, Wrong, text_settings};

section! {
    /// The endpoint for Socket.IO clients: 3.x, 4.x and, when allowed, 2.x.
    SocketIoConfig in "socketio" {
        /// Whether it exists.
        enabled: bool = true,
        /// Its path; clients know it as their `path` option.
        path: String = SocketIoOptions::default().path,
        /// Pause between pings.
        ping_interval: Duration = SocketIoOptions::default().ping_interval,
        /// How long a client may take to answer one.
        ping_timeout: Duration = SocketIoOptions::default().ping_timeout,
        /// How long a client may take to join its first namespace.
        connect_timeout: Duration = SocketIoOptions::default().connect_timeout,
        /// Transports that clients may open: `polling`, `websocket`.
        transports: Vec<Transport> = vec![Transport::Polling, Transport::WebSocket],
        /// Whether a client that polls may upgrade to a WebSocket.
        allow_upgrades: bool = SocketIoOptions::default().upgrades,
        /// How long a WebSocket may take to take over from polling.
        upgrade_timeout: Duration = SocketIoOptions::default().upgrade_timeout,
        /// Binary attachments of one packet. One more ends the connection.
        attachments_max: usize = SocketIoOptions::default().limits.attachments_max,
        /// How long they may take to follow their packet.
        attachments_wait: Duration = SocketIoOptions::default().limits.attachments_wait,
        /// Largest message or POST body accepted; clients are told. `limits.message_bytes` is for native clients only.
        max_payload: ByteSize = ByteSize(SocketIoOptions::default().payload_bytes_max),
        /// Whether clients 2.x are let in too (Engine.IO 3). They have no `auth`: their token comes in the query, a header or a cookie.
        allow_eio3: bool = SocketIoOptions::default().protocols == Protocols::V3AndV4,
        /// How packets are encoded: `auto`, as the client's first packet is; `default` or `msgpack` for all clients, as the reference's `parser` option.
        parser: ParserRule = SocketIoOptions::default().parser,
        /// Whether the WebSockets of clients may ask for compression (permessage-deflate). The section `deflate` is for native clients only.
        deflate: bool = SocketIoOptions::default().deflate.is_some(),
        /// Packets below this many bytes are sent as they are.
        deflate_threshold: ByteSize = ByteSize::kib(1),
        /// Whether answers to polls are compressed for clients that accept gzip or deflate.
        http_compression: bool = SocketIoOptions::default().compression.is_some(),
        /// Answers below this many bytes are sent as they are.
        http_compression_threshold: ByteSize = ByteSize(SocketIoOptions::default().compression.unwrap_or(1024)),
        /// How long a session is kept for a client that lost its connection (connection state recovery, clients 4.6 and later): it gets back its id, its
        /// rooms and its data, and what it missed. 0s turns that off. All messages of such a namespace have one order then, which costs.
        /// With `store.enabled` it outlives the process, and every room of the namespace is in the store, whatever `rooms` says.
        recovery: Duration = Duration::ZERO,
        /// Bytes of messages kept for that. A client that missed one which had to go is a new client. Sessions without a connection are at most
        /// `server.parked_max`.
        recovery_log: ByteSize = ByteSize::kib(16 * 1024),
        /// Namespaces where it is on. Empty means all.
        recovery_namespaces: Vec<Namespace> = Vec::new(),
        /// Headers that pages of other origins may send; an empty list allows what they ask for. Which origins those are, `server.origins` says.
        allowed_headers: Vec<HeaderName> = Vec::new(),
        /// Headers of the answers that such pages may read.
        exposed_headers: Vec<HeaderName> = Vec::new(),
    }
}

section! {
    /// A cookie with the id of the session, which load balancers on the way may use to find its server again. It is set by the answer that opens a session over
    /// polling.
    SocketIoCookieConfig in "socketio.cookie" {
        /// Its name, such as `io`. Without one there is no cookie.
        name: Option<String> = None,
        /// The path below which browsers send it.
        path: Option<String> = SessionCookie::default().path,
        /// Whether scripts of the page are kept from it.
        http_only: bool = SessionCookie::default().http_only,
        /// `strict`, `lax` or `none`: whether requests that pages of other sites cause carry it.
        same_site: SameSite = SessionCookie::default().same_site,
        /// Whether it is sent over encrypted connections only; browsers want that for `same_site = "none"`.
        secure: bool = SessionCookie::default().secure,
        /// How long browsers keep it. Without it, until they are closed.
        max_age: Option<Duration> = SessionCookie::default().max_age,
    }
}

impl SocketIoConfig {
    /// The transports as configured; `None` for an empty list.
    pub(crate) fn transports(&self) -> Option<Transports> {
        let has = |transport| self.transports.contains(&transport);
        match (has(Transport::Polling), has(Transport::WebSocket)) {
            (true, true) => Some(Transports::Both),
            (true, false) => Some(Transports::Polling),
            (false, true) => Some(Transports::WebSocket),
            (false, false) => None,
        }
    }
}

impl SocketIoCookieConfig {
    /// The cookie as configured.
    pub(crate) fn cookie(&self) -> Option<SessionCookie> {
        Some(SessionCookie {
            name: self.name.clone()?,
            path: self.path.clone(),
            http_only: self.http_only,
            same_site: self.same_site,
            secure: self.secure,
            max_age: self.max_age,
        })
    }
}

text_settings! {
    HeaderName, "header", "the name of a header", |text| text.parse().ok(), ToString::to_string;
    Transport, "transport", r#""polling" or "websocket""#,
        |text| [Self::Polling, Self::WebSocket].into_iter().find(|transport| transport.as_str() == text),
        |transport| transport.as_str().to_owned();
    SameSite, "`strict`, `lax` or `none`", r#""strict", "lax" or "none""#,
        |text| match text {
            "strict" => Some(Self::Strict),
            "lax" => Some(Self::Lax),
            "none" => Some(Self::None),
            _ => None,
        },
        |same_site| match same_site {
            Self::Strict => "strict",
            Self::Lax => "lax",
            Self::None => "none",
        }.to_owned();
    ParserRule, "`auto`, `default` or `msgpack`", r#""auto", "default" or "msgpack""#,
        |text| match text {
            "auto" => Some(Self::AsClient),
            "default" => Some(Self::Only(Parser::Default)),
            "msgpack" => Some(Self::Only(Parser::MessagePack)),
            _ => None,
        },
        |rule| match rule {
            Self::AsClient => "auto",
            Self::Only(Parser::Default) => "default",
            Self::Only(Parser::MessagePack) => "msgpack",
        }.to_owned();
}
