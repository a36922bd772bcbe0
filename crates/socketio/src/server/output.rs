//! What a connection tells its driver, and hears from the application.

use bytes::{BufMut, Bytes, BytesMut};

use crate::encode::Encoded;
use crate::namespace::Namespace;
use crate::packet::Protocol;
use crate::payload::{Event, Payload, put_string};

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The client wants to join. Answer with [`Connection::accept`](super::Connection::accept) or [`Connection::refuse`](super::Connection::refuse), at any time.
    Connect {
        /// The namespace, existing or not.
        namespace: Namespace,
        /// The auth payload, a JSON object; `{}` when the client sent none. In protocol v4 the query of the namespace.
        auth: Bytes,
    },
    /// An event for a joined namespace.
    Event {
        /// The namespace.
        namespace: Namespace,
        /// The id to [`encode::ack`](crate::encode::ack) with, when the client asks for an acknowledgement.
        id: Option<u64>,
        /// Name and arguments.
        event: Event,
    },
    /// The acknowledgement of an event announced by [`Connection::expect_ack`](super::Connection::expect_ack).
    Ack {
        /// The namespace.
        namespace: Namespace,
        /// The id of the event.
        id: u64,
        /// The arguments, a JSON array.
        args: Payload,
    },
    /// The client did not acknowledge in time.
    AckTimeout {
        /// The namespace.
        namespace: Namespace,
        /// The id of the event.
        id: u64,
    },
    /// A joined namespace was left. Acknowledgements it waited for will not come.
    Disconnected {
        /// The namespace.
        namespace: Namespace,
        /// Why.
        reason: DisconnectReason,
    },
    /// Send a packet over Engine.IO.
    Send(Encoded),
    /// Close the Engine.IO connection, after what was sent before. Nothing follows.
    Close,
}

/// Why a socket left its namespace, in the reference's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client left the namespace.
    ClientNamespaceDisconnect,
    /// The server made it leave.
    ServerNamespaceDisconnect,
    /// The server closed the connection, for a packet out of place or a timeout.
    ForcedServerClose,
    /// The connection was closed for a packet that could not be decoded, or by Engine.IO's `close`.
    ForcedClose,
    /// The server stops.
    ServerShuttingDown,
    /// The client closed the transport.
    TransportClose,
    /// The transport failed.
    TransportError,
    /// The client stopped answering pings.
    PingTimeout,
    /// The client sent something that is no Engine.IO packet.
    ParseError,
}

/// Why a client may not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// There is no such namespace: `{"message":"Invalid namespace"}` in both protocols.
    UnknownNamespace,
    /// A middleware refused.
    Error {
        /// The error's message.
        message: &'a str,
        /// JSON with more. A v4 client gets only this, or only the message when there is none.
        data: Option<&'a str>,
    },
}

/// The namespace is not waiting for a decision: the client is gone, or was answered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client does not wait to join this namespace")]
pub struct NotAsked;

impl Refusal<'_> {
    pub(super) fn json(self, protocol: Protocol) -> Bytes {
        let mut json = BytesMut::new();
        match (self, protocol) {
            (Self::UnknownNamespace, _) => json.put_slice(br#"{"message":"Invalid namespace"}"#),
            (
                Self::Error {
                    data: Some(data), ..
                },
                Protocol::V4,
            ) => json.put_slice(data.as_bytes()),
            (
                Self::Error {
                    message,
                    data: None,
                },
                Protocol::V4,
            ) => put_string(&mut json, message),
            (Self::Error { message, data }, Protocol::V5) => {
                json.put_slice(br#"{"message":"#);
                put_string(&mut json, message);
                if let Some(data) = data {
                    json.put_slice(br#","data":"#);
                    json.put_slice(data.as_bytes());
                }
                json.put_u8(b'}');
            }
        }
        json.freeze()
    }
}

impl DisconnectReason {
    /// The text that `disconnect` handlers know.
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

    /// Whether the client may come back and have its state recovered: not when one side wanted it gone.
    pub const fn is_recoverable(self) -> bool {
        match self {
            Self::ClientNamespaceDisconnect
            | Self::ServerNamespaceDisconnect
            | Self::ParseError => false,
            Self::ForcedServerClose
            | Self::ForcedClose
            | Self::ServerShuttingDown
            | Self::TransportClose
            | Self::TransportError
            | Self::PingTimeout => true,
        }
    }
}
