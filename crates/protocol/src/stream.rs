//! The native protocol without a WebSocket: how messages travel in server-sent events (HTML Standard §9.2) and in the bodies of polls
//! (`docs/protocol.md`, "SSE and long polling").
//!
//! A room writes a message once for all its streams and polls, as an [`item`](fn@item): an event ready to be sent, behind a line that says where it
//! stands. What differs between streams, their `id:` line, is made of that.

mod body;
mod item;
mod places;

pub use body::{Posting, batch, error_body, error_body_of, posting};
pub use item::{Item, event, item, items};
pub use places::{Places, parse_places};

use bytes::Bytes;
use nuncio_model::CloseCode;

use crate::encode::text::Text;

/// What keeps proxies from closing a stream that is silent: a comment, which clients skip.
pub const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// How long a client is to wait before it opens the stream again, in milliseconds.
pub fn retry(after: std::time::Duration) -> Bytes {
    format!("retry: {}\n\n", after.as_millis()).into()
}

/// The position in a stream of a session, in front of an event.
pub fn id(number: u64) -> Bytes {
    format!("id: {number}\n").into()
}

/// `close`: there is no close frame here, so the end is a message.
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    let mut text = Text::message("close", reason.len() + 32);
    text.number("code", u64::from(code.0))
        .string("reason", reason);
    text.close()
}
