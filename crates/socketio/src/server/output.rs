//! What a connection tells its driver, and hears from the application.

use bytes::{BufMut, Bytes, BytesMut};

use crate::encode::Encoded;
use crate::namespace::Namespace;
use crate::packet::Protocol;
use crate::payload::{Event, Payload, put_string};
use crate::server::DisconnectReason;

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
