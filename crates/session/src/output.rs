//! What a session wants done.

use std::borrow::Cow;

use bytes::Bytes;
use nuncio_model::{CloseCode, ErrorCode, Request};

use crate::Call;

/// One thing for the driver to do, in the order given.
#[derive(Debug)]
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
    /// The reply of a join is out, and so is its replay: what others caused meanwhile may follow.
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
