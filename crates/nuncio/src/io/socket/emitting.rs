//! What a program says to one client, and to everybody else.

use std::time::Duration;

use nuncio_model::Target;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Socket;
use crate::io::core::Scope;
use crate::io::{Broadcast, EmitError, Emitter, Question, Rooms};

impl Socket {
    /// Emits an event to this client. A tuple is several arguments, `()` none.
    ///
    /// # Errors
    /// [`EmitError`]; a client that is gone is none.
    pub fn emit(&self, event: &str, data: impl Serialize) -> Result<(), EmitError> {
        self.emitter().emit(event, data)
    }

    /// Emits an event that the client is to acknowledge, and waits for that: 30 s, unless [said otherwise](Self::timeout).
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Question<T> {
        self.emitter().emit_with_ack(event, data)
    }

    /// This client, with what may be lost when it does not read fast enough.
    pub fn volatile(&self) -> Emitter {
        self.emitter().volatile()
    }

    /// This client, with what is not worth compressing: see [`Broadcast::compress`].
    pub fn compress(&self, compress: bool) -> Emitter {
        self.emitter().compress(compress)
    }

    /// This client, with so much time to answer [`emit_with_ack`](Emitter::emit_with_ack).
    pub fn timeout(&self, timeout: Duration) -> Emitter {
        self.emitter().timeout(timeout)
    }

    fn emitter(&self) -> Emitter {
        Emitter::new(self.0.id, self.everybody())
    }

    fn everybody(&self) -> Broadcast {
        Broadcast::new(self.0.io.clone(), Scope::One(self.0.namespace.clone()))
    }

    /// Everybody else in the namespace.
    pub fn broadcast(&self) -> Broadcast {
        self.everybody().without(Target::Sockets(vec![self.0.id]))
    }

    /// Everybody else in these rooms.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_(&self, rooms: impl Rooms) -> Broadcast {
        self.to(rooms)
    }

    /// Everybody else but those in these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Everybody else on this node.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }
}
