//! What a Socket.IO session wants done.

use std::borrow::Cow;
use std::fmt;

use nuncio_model::{CloseCode, ErrorCode, Namespace, Request};
use nuncio_socketio::Encoded;
use nuncio_socketio::server::DisconnectReason;

use crate::Call;

/// One thing for the driver to do, in the order given.
pub enum Output {
    /// Send a packet.
    Send(Encoded),
    /// A message was refused: count it.
    Refused(ErrorCode),
    /// The client asks to join a namespace: it gets a place there, in which its calls are made.
    Arrive {
        /// The number of the place.
        member: u32,
        /// Where it is.
        namespace: Namespace,
    },
    /// Have the server do something; its outcome goes to [`Session::complete`](super::Session::complete), at once or after
    /// [`Session::pend`](super::Session::pend).
    Call {
        /// The place that asks.
        member: u32,
        /// The call.
        call: Call,
        /// What it asks.
        request: Request,
    },
    /// The reply of a join is out, and so is its replay: what others caused meanwhile may follow.
    Release,
    /// The client has left a place, or was not let in.
    Leave {
        /// The number of the place.
        member: u32,
        /// Why.
        reason: DisconnectReason,
    },
    /// Close the connection; nothing else comes after it.
    Close {
        /// The close code of a WebSocket; `None` closes it without one, as the reference does.
        code: Option<CloseCode>,
        /// At most 123 bytes.
        reason: Cow<'static, str>,
    },
}

/// Shows how much is sent, not what.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(encoded) => {
                let bytes = encoded.text().map_or(0, str::len);
                write!(f, "Send({bytes} bytes)")
            }
            Self::Refused(code) => write!(f, "Refused({})", code.as_str()),
            Self::Arrive { member, namespace } => write!(f, "Arrive({member} in {namespace})"),
            Self::Call {
                member, request, ..
            } => write!(f, "Call({member}, {request:?})"),
            Self::Release => f.write_str("Release"),
            Self::Leave { member, reason } => write!(f, "Leave({member}, {})", reason.as_str()),
            Self::Close { code, reason } => write!(f, "Close({code:?} {reason:?})"),
        }
    }
}
