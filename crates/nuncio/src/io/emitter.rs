//! What is said to one client, with something said of its way.

use std::time::Duration;

use nuncio_model::{SocketId, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Broadcast, EmitError, Question, Rooms};

/// One client, and how it is emitted to: made by [`volatile`](super::Socket::volatile), [`compress`](super::Socket::compress) and
/// [`timeout`](super::Socket::timeout) of a socket. With `to` and the others it becomes everybody else, in the same way, as in Node.
#[derive(Debug, Clone)]
#[must_use = "nothing is emitted until it is said what"]
pub struct Emitter {
    socket: SocketId,
    way: Broadcast,
}

impl Emitter {
    /// `everybody` are those of the socket's namespace.
    pub(super) const fn new(socket: SocketId, everybody: Broadcast) -> Self {
        Self {
            socket,
            way: everybody,
        }
    }

    /// What may be lost: it is skipped when the client has not read what was sent before.
    pub fn volatile(mut self) -> Self {
        self.way = self.way.volatile();
        self
    }

    /// Whether it is worth compressing: see [`Broadcast::compress`].
    pub fn compress(mut self, compress: bool) -> Self {
        self.way = self.way.compress(compress);
        self
    }

    /// How long [`emit_with_ack`](Self::emit_with_ack) waits for the answer. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.way = self.way.timeout(timeout);
        self
    }

    /// Emits an event to the client. A tuple is several arguments, `()` none.
    ///
    /// # Errors
    /// [`EmitError`]; a client that is gone is none.
    pub fn emit(self, event: &str, data: impl Serialize) -> Result<(), EmitError> {
        self.alone().emit(event, data)
    }

    /// Emits an event that the client is to acknowledge, and waits for that.
    pub fn emit_with_ack<T: DeserializeOwned>(
        self,
        event: &str,
        data: impl Serialize,
    ) -> Question<T> {
        Question::new(self.alone(), event, &data)
    }

    fn alone(self) -> Broadcast {
        self.way.only(self.socket)
    }

    /// Everybody else in the namespace.
    pub fn broadcast(self) -> Broadcast {
        self.way.without(Target::Sockets(vec![self.socket]))
    }

    /// Everybody else in these rooms.
    pub fn to(self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// The same as [`to`](Self::to); `in` is a word of Rust.
    pub fn in_(self, rooms: impl Rooms) -> Broadcast {
        self.to(rooms)
    }

    /// Everybody else but those in these rooms.
    pub fn except(self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Everybody else on this node.
    pub fn local(self) -> Broadcast {
        self.broadcast().local()
    }
}
