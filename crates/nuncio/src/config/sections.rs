//! The sections of the configuration and their keys. What is written above a key is also its text in the reference page.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use nuncio_model::{
    ConnectionLimits, HistoryLimits, Namespace, Pattern, RateLimits, RoomGrant, RoomLimits,
};
use toml::Value;

use super::network::Network;
use super::room_rule::{HistoryMode, RoomRule};
use super::secret::Secret;
use super::section::{Key, Section, section};
use super::setting::{ByteSize, Raw, Setting, Wrong, text_settings};
use crate::origin::OriginPattern;

section! {
    /// Where the server listens, and what it accepts.
    ServerConfig in "server" {
        /// Address and port. `0.0.0.0` and `[::]` mean every address of the machine, which needs `auth.secrets`.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        /// Path of the WebSocket endpoint. The echo endpoint is below it.
        path: String = "/ws".to_owned(),
        /// Origins whose pages may connect: `https://app.example.com`, `https://*.example.com` for every subdomain, `same-host` for pages from the
        /// host that is asked, `*` for every page (which then cannot use cookies). Empty means `same-host`. Programs send no origin and are served.
        origins: Vec<OriginPattern> = Vec::new(),
        /// Networks of the reverse proxies before the server, such as `10.0.0.0/8`: only theirs is the word believed about a client's address
        /// (`Forwarded`, `X-Forwarded-For`).
        trusted_proxies: Vec<Network> = Vec::new(),
        /// Whether the echo endpoint exists. On in the demo.
        echo: bool = false,
        /// Threads that serve connections; 0 means one per core.
        workers: usize = 0,
        /// Largest request line and headers.
        head_bytes_max: ByteSize = ByteSize::kib(16),
        /// How long a client may take to send them.
        head_timeout: Duration = Duration::from_secs(10),
        /// Connections that may be in their handshake at once; more are answered 503.
        handshakes_max: usize = 1024,
        /// Sessions connected at once; more are answered 503.
        sessions_max: usize = 100_000,
        /// Sessions kept for their clients to return; the oldest go first.
        parked_max: usize = 100_000,
        /// How long a session is kept after the loss of its connection.
        parked_ttl: Duration = Duration::from_secs(30),
        /// Connections closed a second at shutdown, so that not all clients return at once.
        drain_rate: u32 = 2_000,
        /// How long a shutdown may take before the remaining connections are dropped.
        drain_timeout: Duration = Duration::from_secs(60),
    }
}

section! {
    /// Encryption by the server itself (`wss://`). Both keys or none; without them a proxy may do it.
    TlsConfig in "server.tls" {
        /// PEM file with the certificate, then those that signed it.
        certificate: Option<PathBuf> = None,
        /// PEM file with the private key.
        key: Option<PathBuf> = None,
    }
}

section! {
    /// Whose tokens are believed: JSON Web Tokens signed with HS256.
    AuthConfig in "auth" {
        /// Secrets of at least 32 bytes; a token signed with any of them is good, so a new one can be added before the old one goes.
        /// The first signs what `nuncio token` mints. Make one with `openssl rand -base64 32`.
        secrets: Vec<Secret> = Vec::new(),
        /// File with more secrets, one a line; empty lines and lines that start with `#` are skipped.
        secrets_file: Option<PathBuf> = None,
        /// What the token's `iss` must be. Without it any is taken.
        issuer: Option<String> = None,
        /// Of the token's `aud`, one must be in this list. When the list is empty, a token with an `aud` is for somebody else and refused (RFC 7519 §4.1.3).
        audience: Vec<String> = Vec::new(),
        /// How much the clocks may differ when `exp` and `nbf` are checked.
        leeway: Duration = ConnectionLimits::default().clock_leeway,
        /// Name of the cookie that may hold the token. It counts only for pages of an allowed origin. Without it cookies are not read.
        cookie: Option<String> = None,
        /// Whether a client may connect without a token and send it as its first message.
        first_message: bool = true,
        /// How long that may take.
        timeout: Duration = ConnectionLimits::default().auth_timeout,
    }
}

section! {
    /// What a token grants whose `nuncio` claim does not say. Nothing is granted that is written in neither.
    GrantsConfig in "grants" {
        /// Rights in rooms, for tokens without `nuncio.grants`. `allow` lists `join`, `publish`, `presence`, `history`, `typing`.
        rooms: Vec<RoomGrant> = Vec::new(),
        /// Users and sessions that private messages may be sent to, for tokens without `nuncio.private`.
        private: Vec<Pattern> = Vec::new(),
        /// Rights of visitors who have no token: they may watch rooms with `join`, and see what was said before with `history`; other rights they cannot use.
        anonymous: Vec<RoomGrant> = Vec::new(),
        /// Namespaces that may be used, for tokens without `nuncio.ns`.
        namespaces: Vec<Namespace> = vec![Namespace::default()],
    }
}

section! {
    /// How a lost connection is noticed.
    HeartbeatConfig in "heartbeat" {
        /// Pause between pings: below the idle time-out of the proxies on the way, often 60s.
        interval: Duration = ConnectionLimits::default().heartbeat_interval,
        /// How much longer than that a client may stay silent.
        timeout: Duration = ConnectionLimits::default().heartbeat_timeout,
    }
}

section! {
    /// Bounds of each connection, session, user and room.
    LimitsConfig in "limits" {
        /// Largest message accepted, after inflation. A larger one closes the connection with 1009.
        message_bytes: ByteSize = ByteSize(ConnectionLimits::default().message_bytes_max),
        /// Bytes that may wait for a slow reader, who is disconnected with 1013 beyond. At worst the memory is this times the connections.
        outbox_bytes: ByteSize = ByteSize(ConnectionLimits::default().outbox_bytes_max),
        /// Rooms that one session may be in.
        rooms_per_session: usize = ConnectionLimits::default().rooms_max,
        /// Calls of one session that may wait for an answer at once; reading pauses there.
        calls_in_flight: usize = ConnectionLimits::default().calls_max,
        /// Messages a second that a session, and a user over all sessions, may send. 0 means no limit.
        rate_per_second: u32 = RateLimits::default().per_second,
        /// Messages at once after a pause.
        rate_burst: u32 = RateLimits::default().burst,
        /// Joins, leaves, acknowledgements and pings have a budget of their own: this many times the two above.
        rate_control_factor: u32 = RateLimits::default().control_factor,
        /// Refusals in a row after which the connection is closed with 1008.
        rate_refusals_max: u32 = RateLimits::default().refusals_max,
        /// Members of one room.
        members_per_room: usize = RoomLimits::default().members_max,
        /// Connected sessions of one user.
        sessions_per_user: usize = RoomLimits::default().sessions_per_user_max,
    }
}

section! {
    /// Who is online, and who is typing.
    PresenceConfig in "presence" {
        /// How long after the loss of the last connection a user is still online; a page reload fits in.
        grace: Duration = RoomLimits::default().presence_grace,
        /// Members above which a room announces counts instead of names.
        names_max: usize = RoomLimits::default().presence_names_max,
        /// Users on one page of `presence:get`.
        page_max: u32 = RoomLimits::default().presence_page_max,
        /// How long someone is typing after `typing:start`.
        typing_timeout: Duration = RoomLimits::default().typing_timeout,
    }
}

section! {
    /// What each room keeps. Whichever bound is met first removes the oldest messages.
    HistoryConfig in "history" {
        /// Newest messages kept in a room; 0 keeps none.
        messages: usize = HistoryLimits::default().messages_max,
        /// Bytes of content kept in a room.
        bytes: ByteSize = ByteSize(HistoryLimits::default().bytes_max),
        /// How long a message is kept.
        age: Duration = HistoryLimits::default().age_max,
        /// How long an idempotency key is remembered.
        idempotency_ttl: Duration = HistoryLimits::default().idempotency_ttl,
    }
}

section! {
    /// The durable history on disk.
    StoreConfig in "store" {
        /// Folder of the data; made when missing.
        path: PathBuf = "./nuncio-data".into(),
        /// Whether there is one. Without it every room is in memory.
        enabled: bool = true,
    }
}

section! {
    /// Monitoring for Prometheus, at `/metrics`.
    MetricsConfig in "metrics" {
        /// Whether it exists.
        enabled: bool = true,
        /// An address of its own, such as `127.0.0.1:9090`, to keep it from those who reach the server.
        listen: Option<SocketAddr> = None,
    }
}

section! {
    /// What the server says on standard error.
    LogConfig in "log" {
        /// `error`, `warn`, `info`, `debug` or `trace`; parts may differ: `info,nuncio_transport=debug`.
        level: String = "info".to_owned(),
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text,
    }
}

section! {
    /// Compression of messages (permessage-deflate, RFC 7692).
    DeflateConfig in "deflate" {
        /// Whether clients may ask for it. It saves traffic, and costs time for each message.
        enabled: bool = false,
        /// Messages below this many bytes are sent as they are.
        threshold: ByteSize = ByteSize(512),
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

text_settings! {
    LogFormat, "`text` or `json`", r#""text" or "json""#,
        |text| match text { "text" => Some(Self::Text), "json" => Some(Self::Json), _ => None },
        |format| match format { Self::Text => "text", Self::Json => "json" }.to_owned();
}

/// The rules of `[[rooms]]`, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoomRules(pub Vec<RoomRule>);

impl Section for RoomRules {
    fn name(&self) -> &'static str {
        "rooms"
    }

    fn about(&self) -> String {
        "Rules for rooms by name; of those whose pattern fits, the first counts. In a file each one is a table `[[rooms]]`.".to_owned()
    }

    fn keys(&self) -> Vec<Key> {
        vec![Key {
            name: "rooms".to_owned(),
            kind: Vec::<RoomRule>::kind(),
            doc: format!(
                "`pattern` is required. `history` is {}; without it `durable`, or `memory` when there is no store. \
                 `messages` replaces `history.messages`. `presence = false` keeps the comings and goings to itself.",
                HistoryMode::kind()
            ),
        }]
    }

    fn set(&mut self, field: &str, raw: Raw<'_>) -> Option<Result<(), Wrong>> {
        (field == "rooms").then(|| Setting::read(raw).map(|rules| self.0 = rules))
    }

    fn values(&self) -> Vec<Option<Value>> {
        vec![self.0.to_value()]
    }
}
