//! A socket: one client in one namespace, the hub's member.

use std::sync::Arc;

use nuncio_model::{Namespace, RoomName, SocketId, UserId};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::broker::RoomKey;
use crate::encode::EncoderId;
use crate::outbox::Outbox;

/// One client in one namespace.
pub struct Socket<S> {
    /// Its public id, which is also its private room.
    pub id: SocketId,
    /// Who it is.
    pub user: UserId,
    /// Where its rooms are.
    pub namespace: Namespace,
    /// How it is written to.
    pub encoder: EncoderId,
    /// The secret by which its session is resumed; a resumed session has another.
    pub secret: [u8; 16],
    /// The way to the client.
    pub outbox: Arc<Outbox<S>>,
    /// Where it is a member.
    pub rooms: Memberships,
}

/// The rooms of one socket: none at first. Locked after a room's shard, never before.
#[derive(Debug, Default)]
pub struct Memberships(Mutex<State>);

#[derive(Debug)]
enum State {
    /// In line for the one room that most clients are in.
    Open(SmallVec<[Membership; 1]>),
    /// The socket is gone; a join that completes now is taken back.
    Closed,
}

/// A room and the socket's slot in it.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomName,
    pub(crate) slot: u32,
}

impl<S> Socket<S> {
    /// The rooms it is in.
    pub fn rooms(&self) -> Vec<RoomName> {
        match &*self.rooms.0.lock() {
            State::Open(rooms) => rooms
                .iter()
                .map(|membership| membership.room.clone())
                .collect(),
            State::Closed => Vec::new(),
        }
    }

    /// The key of one of its rooms.
    pub(crate) fn key_of(&self, room: RoomName) -> RoomKey {
        RoomKey {
            namespace: self.namespace.clone(),
            room,
        }
    }

    /// Whether it was disconnected.
    pub(crate) fn is_closed(&self) -> bool {
        self.rooms.is_closed()
    }

    /// Whether it is in a room.
    pub fn is_in(&self, room: &RoomName) -> bool {
        match &*self.rooms.0.lock() {
            State::Open(rooms) => rooms.iter().any(|membership| membership.room == *room),
            State::Closed => false,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Open(SmallVec::new())
    }
}

impl Memberships {
    /// Adds a room. `false` when the socket was closed meanwhile: nobody would take it out of the room again.
    pub(crate) fn add(&self, room: RoomName, slot: u32) -> bool {
        match &mut *self.0.lock() {
            State::Open(rooms) => {
                rooms.push(Membership { room, slot });
                true
            }
            State::Closed => false,
        }
    }

    /// Takes one room out and says which slot it had.
    pub(crate) fn remove(&self, room: &RoomName) -> Option<u32> {
        let mut state = self.0.lock();
        let State::Open(rooms) = &mut *state else {
            return None;
        };
        let index = rooms
            .iter()
            .position(|membership| membership.room == *room)?;
        Some(rooms.swap_remove(index).slot)
    }

    /// Takes all rooms out, for good. `None` when that was done before.
    pub(crate) fn close(&self) -> Option<SmallVec<[Membership; 1]>> {
        match std::mem::replace(&mut *self.0.lock(), State::Closed) {
            State::Open(rooms) => Some(rooms),
            State::Closed => None,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.0.lock(), State::Closed)
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.0.lock() {
            State::Open(rooms) => rooms.len(),
            State::Closed => 0,
        }
    }
}
