//! How the hub gets bytes for clients without knowing a wire format.

use bytes::Bytes;
use nuncio_model::{Namespace, Publication, Push};

/// One way of writing messages: a dialect, a framing and a compression. Members with the same encoder get the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EncoderId(pub u8);

impl EncoderId {
    /// How many encoders there can be: what a room counts its members by.
    pub const COUNT: usize = 16;
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// A message of a room.
    Publication(&'a Publication),
    /// Anything else, and the namespace that it is said in.
    Push(&'a Namespace, &'a Push),
}

/// Writes a message once for all members with the same encoder.
pub trait Encode: Send + Sync + 'static {
    /// The message as it goes on the wire, framed. Called at most once per message and encoder.
    fn encode(&self, encoder: EncoderId, message: Message<'_>) -> Bytes;
}
