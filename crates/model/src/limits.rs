//! Bounds. Every queue, buffer and counter of the server is bounded by a field here.

use std::time::Duration;

/// Bounds of one connection and its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Largest message accepted, in bytes after inflation. Default 64 KiB: chat-sized; raise for files. Exceeding it closes with 1009.
    pub message_bytes_max: usize,
    /// Bytes that may wait for a slow reader. Default 1 MiB; memory at worst is this x connections. Exceeding it disconnects with 1013.
    pub outbox_bytes_max: usize,
    /// Rooms of one session. Default 100.
    pub rooms_max: usize,
    /// Calls of one session that may wait for an answer at once. Default 64; reading pauses at the limit.
    pub calls_max: usize,
    /// How long an unauthenticated client may take to authenticate. Default 10 s.
    pub auth_timeout: Duration,
    /// Pause between pings. Default 30 s: below the idle time-out of common proxies (60 s).
    pub heartbeat_interval: Duration,
    /// How much longer than the interval a client may stay silent. Default 20 s.
    pub heartbeat_timeout: Duration,
    /// How much a clock may differ from the token issuer's. Default 10 s.
    pub clock_leeway: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            message_bytes_max: 64 * 1024,
            outbox_bytes_max: 1024 * 1024,
            rooms_max: 100,
            calls_max: 64,
            auth_timeout: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(30),
            heartbeat_timeout: Duration::from_secs(20),
            clock_leeway: Duration::from_secs(10),
        }
    }
}

/// How fast one session or one user may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Messages a second, sustained. Default 10, as the guide has it. `0` turns the limit off.
    pub per_second: u32,
    /// Messages at once after a pause. Default 20.
    pub burst: u32,
    /// The budget of joins, leaves, acknowledgements and pings: this many times `per_second` and `burst`. Default 5.
    pub control_factor: u32,
    /// Refusals in a row, without an accepted message between, after which the connection is closed with 1008. Default 50.
    pub refusals_max: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            per_second: 10,
            burst: 20,
            control_factor: 5,
            refusals_max: 50,
        }
    }
}

/// Bounds of rooms and of the sessions of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomLimits {
    /// Members of one room. Default 100,000.
    pub members_max: usize,
    /// Connected sessions of one user. Default 100.
    pub sessions_per_user_max: usize,
    /// Members above which a room announces counts instead of names. Default 200.
    pub presence_names_max: usize,
    /// Users on one page of `presence:get`. Default 100.
    pub presence_page_max: u32,
    /// How long after the loss of the last connection a user is still online. Default 5 s: a page reload fits in.
    pub presence_grace: Duration,
    /// How long someone is typing after `typing:start`. Default 6 s.
    pub typing_timeout: Duration,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            members_max: 100_000,
            sessions_per_user_max: 100,
            presence_names_max: 200,
            presence_page_max: 100,
            presence_grace: Duration::from_secs(5),
            typing_timeout: Duration::from_secs(6),
        }
    }
}

/// What a room keeps. Whichever bound is met first trims the oldest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Newest messages kept. Default 100. `0` keeps none.
    pub messages_max: usize,
    /// Bytes of content kept. Default 1 MiB.
    pub bytes_max: usize,
    /// How long a message is kept. Default 24 hours.
    pub age_max: Duration,
    /// How long an idempotency key is remembered. Default 5 minutes.
    pub idempotency_ttl: Duration,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            messages_max: 100,
            bytes_max: 1024 * 1024,
            age_max: Duration::from_secs(24 * 60 * 60),
            idempotency_ttl: Duration::from_secs(5 * 60),
        }
    }
}
