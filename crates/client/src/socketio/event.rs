//! What the application is told.

use nuncio_engineio::client::CloseReason;
use serde_json::Value;

use super::Args;

/// One thing that happened to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server let the socket in.
    Connect {
        /// The socket's id.
        id: String,
        /// Whether the server kept the socket's state: its rooms are the same, and what was missed follows.
        recovered: bool,
    },
    /// The server kept the socket out, or could not be reached.
    ConnectError {
        /// Why.
        message: String,
        /// What the server's middleware gave beside the message; else null.
        data: Value,
        /// Whether the socket tries again by itself. It does not after a refusal by the server.
        active: bool,
    },
    /// A connected socket is not connected any more.
    Disconnect {
        /// Why.
        reason: DisconnectReason,
        /// Whether the socket tries again by itself.
        active: bool,
    },
    /// An event of the server.
    Message {
        /// Its name.
        name: String,
        /// Its arguments.
        args: Args,
        /// Set when the server asks for an acknowledgement: what to answer with.
        ack: Option<AckId>,
    },
    /// An attempt to connect again begins.
    ReconnectAttempt {
        /// The first has the number 1.
        attempt: u32,
    },
    /// An attempt succeeded; a `Connect` or a `ConnectError` follows.
    Reconnect {
        /// Which one.
        attempt: u32,
    },
    /// As many attempts as allowed have failed: the client tries no more by itself.
    ReconnectFailed,
}

/// Which event of the server is acknowledged. It is good for the connection on which the event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckId {
    pub(super) connection: u64,
    pub(super) id: u64,
}

/// Why a socket is not connected any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The server made it leave. It does not come back by itself.
    ServerDisconnect,
    /// [`Socket::disconnect`](super::Socket::disconnect) was called, or the last handle dropped.
    ClientDisconnect,
    /// No ping came within the time that the server announced.
    PingTimeout,
    /// The connection was closed.
    TransportClose,
    /// A request of polling failed.
    TransportError,
    /// The server sent something that is no packet.
    ParseError,
}

impl DisconnectReason {
    /// The JavaScript client's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerDisconnect => "io server disconnect",
            Self::ClientDisconnect => "io client disconnect",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
        }
    }

    pub(super) const fn of(reason: CloseReason) -> Self {
        match reason {
            CloseReason::ConnectTimeout | CloseReason::TransportError => Self::TransportError,
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::ParseError => Self::ParseError,
            CloseReason::ForcedClose => Self::ClientDisconnect,
        }
    }
}

impl std::fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an event was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// A name that only the client itself may use, such as `connect`.
    #[error("the event name is reserved")]
    Reserved,
    /// As many events as [`buffer_max`](super::ConversationConfig::buffer_max) wait for the server already.
    #[error("{max} events wait already")]
    BufferFull {
        /// The bound.
        max: usize,
    },
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
}

/// Why there is no acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The event was not sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// A volatile event was dropped, for the connection was not ready.
    #[error("dropped: the connection is not ready")]
    Dropped,
    /// None came in time. The server may have the event nevertheless.
    #[error("operation has timed out")]
    Timeout,
    /// The connection was lost before. The server may have the event nevertheless.
    #[error("socket has been disconnected")]
    Disconnected,
}
