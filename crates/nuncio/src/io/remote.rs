//! Clients as [`fetch_sockets`](super::Broadcast::fetch_sockets) finds them, wherever they are connected.

use std::sync::Arc;
use std::time::Duration;

use nuncio_model::{RoomName, SocketId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::core::Scope;
use super::{Broadcast, Close, EmitError, Emitter, Handshake, Io, Question, Rooms, Socket};

/// A client that was found: what it was at that moment, and ways to do something with it.
#[derive(Clone)]
pub struct RemoteSocket {
    io: Io,
    place: Arc<nuncio_transport::Socket>,
    socket: Option<Socket>,
}

impl RemoteSocket {
    pub(super) fn new(io: Io, place: Arc<nuncio_transport::Socket>) -> Self {
        let socket = io.core.socket(&place.id);
        Self { io, place, socket }
    }

    /// Its id.
    pub fn id(&self) -> SocketId {
        self.place.id
    }

    /// Who it is.
    pub fn user(&self) -> &UserId {
        &self.place.user
    }

    /// The rooms it is in.
    pub fn rooms(&self) -> Vec<RoomName> {
        self.place.rooms()
    }

    /// What it said when it came; `None` in a namespace without handlers.
    pub fn handshake(&self) -> Option<&Handshake> {
        self.socket.as_ref().map(Socket::handshake)
    }

    /// What the program keeps with it; see [`Socket::data`].
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        self.socket.as_ref()?.data()
    }

    /// Emits an event to it.
    ///
    /// # Errors
    /// [`EmitError`]; a client that is gone is none.
    pub fn emit(&self, event: &str, data: impl Serialize) -> Result<(), EmitError> {
        self.alone().emit(event, data)
    }

    /// Emits an event that it is to acknowledge, and waits for that: 30 s, unless [said otherwise](Self::timeout).
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Question<T> {
        Question::new(self.alone(), event, &data)
    }

    /// This client, with so much time to answer [`emit_with_ack`](Emitter::emit_with_ack).
    pub fn timeout(&self, timeout: Duration) -> Emitter {
        Emitter::new(self.place.id, self.everybody()).timeout(timeout)
    }

    /// Makes it join rooms.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn join(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.alone().sockets_join(rooms)
    }

    /// Makes it leave rooms.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn leave(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.alone().sockets_leave(rooms)
    }

    /// Sends it away.
    pub fn disconnect(&self, close: Close) {
        super::socket::send_away(&self.place, close);
    }

    fn alone(&self) -> Broadcast {
        self.everybody().only(self.place.id)
    }

    fn everybody(&self) -> Broadcast {
        let scope = Scope::One(self.place.namespace.clone());
        Broadcast::new(self.io.clone(), scope)
    }
}
