//! Why sockets end, and how they are ended.

use nuncio_model::CloseCode;
use nuncio_transport::{Closed, ClosedBy};

pub use nuncio_transport::DisconnectReason;

/// Why a connection ended, as handlers are told: Socket.IO connections say it in the reference's words, others by their close codes.
pub(crate) fn reason_of(closed: &Closed) -> DisconnectReason {
    DisconnectReason::parse(&closed.reason).unwrap_or_else(|| of_code(closed))
}

fn of_code(closed: &Closed) -> DisconnectReason {
    match (closed.by, closed.code) {
        (ClosedBy::Client, CloseCode::NORMAL) => DisconnectReason::ClientNamespaceDisconnect,
        (ClosedBy::Client, _) => DisconnectReason::TransportClose,
        (ClosedBy::Server, CloseCode::NORMAL) => DisconnectReason::ServerNamespaceDisconnect,
        (ClosedBy::Server, CloseCode::RESTART) => DisconnectReason::ServerShuttingDown,
        (ClosedBy::Server, CloseCode::TRY_AGAIN) => DisconnectReason::TransportError,
        (ClosedBy::Server, CloseCode::PROTOCOL | CloseCode::INVALID_PAYLOAD) => {
            DisconnectReason::ParseError
        }
        (ClosedBy::Server, _) => DisconnectReason::ForcedServerClose,
        (ClosedBy::Nobody, _) if closed.reason == "no sign of life" => {
            DisconnectReason::PingTimeout
        }
        (ClosedBy::Nobody, _) if closed.reason == "end of stream" => {
            DisconnectReason::TransportClose
        }
        (ClosedBy::Nobody, _) => DisconnectReason::TransportError,
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
            assert_eq!(reason_of(&closed).as_str(), reason);
        }
    }
}
