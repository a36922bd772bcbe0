//! What a client receives: each function returns one message as unframed JSON text.
//!
//! The texts are the same for everyone who gets them, so a publication or a push is encoded once however many members a room has.

mod handshake;
mod publication;
mod push;
mod reply;
pub(crate) mod text;

use std::time::Duration;

use bytes::Bytes;
use nuncio_model::Json;

pub use handshake::{Recovery, Welcome, auth_ok, resumed, welcome};
pub use publication::publication;
pub use push::push;
pub use reply::{error, refusal, refuse, reply, reply_data, reply_error};

use self::text::Text;

/// `pong`, the answer to `ping`. A ping with an `id` gets a [`reply()`] besides.
pub const fn pong() -> Bytes {
    Bytes::from_static(br#"{"type":"pong"}"#)
}

/// A question of the server to one client, who answers `{ack, data}` with the same number. `ts` is in milliseconds since the Unix epoch.
pub fn ask(ack_id: u64, event: &str, data: &Json, ts: u64) -> Bytes {
    let mut text = Text::message("event", event.len() + data.as_bytes().len() + 80);
    text.string("event", event)
        .json("data", data)
        .number("ts", ts)
        .number("ackId", ack_id);
    text.close()
}

/// Milliseconds as they stand on the wire.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
