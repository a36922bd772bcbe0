//! Why sockets end, and how they are ended.

use std::fmt;

use nuncio_model::CloseCode;
use nuncio_transport::{Closed, ClosedBy};

/// Why a socket was disconnected, in the words of Socket.IO's server (`docs/rust.md`, "Reasons").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// `client namespace disconnect`: the client left, by `socket.disconnect()`; a native client closed with 1000.
    ClientNamespaceDisconnect,
    /// `server namespace disconnect`: the program sent it away.
    ServerNamespaceDisconnect,
    /// `forced server close`: the server ended the connection, for its token, its rate, or a packet out of place.
    ForcedServerClose,
    /// `forced close`: a packet could not be read.
    ForcedClose,
    /// `server shutting down`.
    ServerShuttingDown,
    /// `transport close`: the connection was closed or lost.
    TransportClose,
    /// `transport error`: the connection broke, or the client read too slowly.
    TransportError,
    /// `ping timeout`: no sign of life.
    PingTimeout,
    /// `parse error`: that was not the protocol.
    ParseError,
}

impl DisconnectReason {
    const ALL: [Self; 9] = [
        Self::ClientNamespaceDisconnect,
        Self::ServerNamespaceDisconnect,
        Self::ForcedServerClose,
        Self::ForcedClose,
        Self::ServerShuttingDown,
        Self::TransportClose,
        Self::TransportError,
        Self::PingTimeout,
        Self::ParseError,
    ];

    /// The words of Socket.IO.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ForcedServerClose => "forced server close",
            Self::ForcedClose => "forced close",
            Self::ServerShuttingDown => "server shutting down",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
        }
    }

    /// Socket.IO connections say it in these words; others by their close codes.
    pub(crate) fn of(closed: &Closed) -> Self {
        let said = Self::ALL.into_iter();
        let mut said = said.filter(|reason| reason.as_str() == closed.reason);
        said.next().unwrap_or_else(|| Self::of_code(closed))
    }

    fn of_code(closed: &Closed) -> Self {
        match (closed.by, closed.code) {
            (ClosedBy::Client, CloseCode::NORMAL) => Self::ClientNamespaceDisconnect,
            (ClosedBy::Client, _) => Self::TransportClose,
            (ClosedBy::Server, CloseCode::NORMAL) => Self::ServerNamespaceDisconnect,
            (ClosedBy::Server, CloseCode::RESTART) => Self::ServerShuttingDown,
            (ClosedBy::Server, CloseCode::TRY_AGAIN) => Self::TransportError,
            (ClosedBy::Server, CloseCode::PROTOCOL | CloseCode::INVALID_PAYLOAD) => {
                Self::ParseError
            }
            (ClosedBy::Server, _) => Self::ForcedServerClose,
            (ClosedBy::Nobody, _) if closed.reason == "no sign of life" => Self::PingTimeout,
            (ClosedBy::Nobody, _) if closed.reason == "end of stream" => Self::TransportClose,
            (ClosedBy::Nobody, _) => Self::TransportError,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client leaves this namespace; its other ones stay. Socket.IO: `disconnect()`.
    Namespace,
    /// The connection ends, with all namespaces on it. Socket.IO: `disconnect(true)`.
    Connection,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn native_clients_end_for_the_same_reasons() {
        let closed = |by, code, reason: &'static str| Closed {
            code,
            reason: reason.into(),
            by,
            after: Duration::ZERO,
        };
        for (closed, reason) in [
            (
                closed(ClosedBy::Client, CloseCode::NORMAL, "bye"),
                "client namespace disconnect",
            ),
            (
                closed(ClosedBy::Client, CloseCode::GOING_AWAY, ""),
                "transport close",
            ),
            (
                closed(ClosedBy::Nobody, CloseCode::ABNORMAL, "end of stream"),
                "transport close",
            ),
            (
                closed(ClosedBy::Nobody, CloseCode::ABNORMAL, "no sign of life"),
                "ping timeout",
            ),
            (
                closed(ClosedBy::Nobody, CloseCode::ABNORMAL, "reset"),
                "transport error",
            ),
            (
                closed(ClosedBy::Server, CloseCode::RESTART, "x"),
                "server shutting down",
            ),
            (
                closed(ClosedBy::Server, CloseCode::POLICY, "forced close"),
                "forced close",
            ),
        ] {
            assert_eq!(DisconnectReason::of(&closed).as_str(), reason);
        }
    }
}
