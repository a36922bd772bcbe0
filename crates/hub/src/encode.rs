//! How the hub gets bytes for clients without knowing a wire format.

use bytes::Bytes;
use nuncio_model::{Namespace, Offset, Publication, Push};
use smallvec::SmallVec;

/// One way of writing messages: a dialect, a framing and a compression. Members with the same encoder get the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EncoderId(pub u8);

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

    /// The same with the message's place in the order of its namespace, for dialects whose clients keep it. The others ignore it.
    fn encode_at(&self, encoder: EncoderId, message: Message<'_>, _offset: Offset) -> Bytes {
        self.encode(encoder, message)
    }
}

/// Something for each of the encoders in use: a list, since there are few at once of the many that there can be.
#[derive(Debug)]
pub(crate) struct PerEncoder<T>(SmallVec<[(EncoderId, T); 2]>);

impl<T> PerEncoder<T> {
    pub(crate) fn new() -> Self {
        Self(SmallVec::new())
    }

    pub(crate) fn get(&self, encoder: EncoderId) -> Option<&T> {
        let mut entries = self.0.iter();
        entries
            .find(|(known, _)| *known == encoder)
            .map(|(_, value)| value)
    }

    /// The entry of an encoder, made where there is none.
    pub(crate) fn entry(&mut self, encoder: EncoderId, make: impl FnOnce() -> T) -> &mut T {
        let known = self.0.iter().position(|(known, _)| *known == encoder);
        let index = known.unwrap_or_else(|| {
            self.0.push((encoder, make()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    pub(crate) fn insert(&mut self, encoder: EncoderId, value: T) {
        self.0.push((encoder, value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(EncoderId, T)> {
        self.0.iter()
    }

    pub(crate) fn remove(&mut self, encoder: EncoderId) {
        self.0.retain(|(known, _)| *known != encoder);
    }
}
