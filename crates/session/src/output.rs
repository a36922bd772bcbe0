//! What a session wants done.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use nuncio_model::{CloseCode, ErrorCode, Request};

use crate::Call;

/// One thing for the driver to do, in the order given.
pub enum Output {
    /// Send a message: unframed text of the dialect.
    Send(Bytes),
    /// Send the refusal of a message, and count it by its code.
    Refuse(ErrorCode, Bytes),
    /// Send a ping of the transport.
    Ping,
    /// Have the server do something; its outcome goes to [`Session::complete`](crate::Session::complete), at once or after
    /// [`Session::pend`](crate::Session::pend).
    Call(Call, Request),
    /// The reply of a join is out, and so is its replay: what others caused meanwhile may follow. Comes once for each join, admission or resume that
    /// succeeded; one that was refused as a whole has not held anything back.
    Release,
    /// Close the connection; nothing else comes after it.
    Close {
        /// A message to send before, even to a slow consumer.
        last: Option<Bytes>,
        /// The close code.
        code: CloseCode,
        /// At most 123 bytes.
        reason: Cow<'static, str>,
    },
    /// The peer is dead: drop the connection without a close frame.
    Terminate,
}

/// Shows how much is sent, not what: messages carry resume tokens and what people say to each other.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(text) => write!(f, "Send({} bytes)", text.len()),
            Self::Refuse(code, text) => {
                write!(f, "Refuse({}, {} bytes)", code.as_str(), text.len())
            }
            Self::Ping => f.write_str("Ping"),
            Self::Call(call, request) => write!(f, "Call({call:?}, {request:?})"),
            Self::Release => f.write_str("Release"),
            Self::Close {
                last: _,
                code,
                reason,
            } => write!(f, "Close({code} {reason:?})"),
            Self::Terminate => f.write_str("Terminate"),
        }
    }
}
