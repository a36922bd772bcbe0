//! A socket: one client in one namespace, the hub's member.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nuncio_model::{Namespace, RoomName, SocketId, UserId};
use parking_lot::Mutex;

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
    pub encoder: CurrentEncoder,
    /// What it is to the others.
    pub role: Role,
    /// The secret by which its session is resumed; a resumed session has another.
    pub secret: [u8; 16],
    /// The way to the client.
    pub outbox: Arc<Outbox<S>>,
    /// Where it is a member.
    pub rooms: Memberships,
}

/// A socket and its user, for whoever is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The socket's public id.
    pub socket: SocketId,
    /// Who it is.
    pub user: &'a UserId,
}

/// How a socket is written to. It changes when its client moves to a transport that compresses, by
/// [`Rooms::reencode`](crate::Rooms::reencode).
#[derive(Debug)]
pub struct CurrentEncoder(AtomicU8);

impl CurrentEncoder {
    /// The encoder at this moment.
    pub fn get(&self) -> EncoderId {
        EncoderId(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, encoder: EncoderId) {
        self.0.store(encoder.0, Ordering::Release);
    }
}

impl From<EncoderId> for CurrentEncoder {
    fn from(encoder: EncoderId) -> Self {
        Self(AtomicU8::new(encoder.0))
    }
}

/// What a socket is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A session: its user is present, and it may be resumed.
    Session,
    /// A feed that a user reads: its user is present, and there is nothing to resume.
    Feed,
    /// A feed that nobody in particular reads: it gets what is said in its rooms and nothing else, belongs to no user, and is not seen.
    Visitor,
}

/// The rooms of one socket: none at first. Locked after a room's shard, never before.
#[derive(Debug, Default)]
pub struct Memberships(Mutex<State>);

/// 24 bytes, because most clients are in one room.
#[derive(Debug, Default)]
enum State {
    #[default]
    None,
    One {
        room: RoomName,
        slot: u32,
    },
    #[expect(
        clippy::box_collection,
        reason = "a vector in line would make every socket larger"
    )]
    Many(Box<Vec<Membership>>),
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
            State::None | State::Closed => Vec::new(),
            State::One { room, .. } => vec![room.clone()],
            State::Many(rooms) => rooms
                .iter()
                .map(|membership| membership.room.clone())
                .collect(),
        }
    }

    /// The key of one of its rooms.
    pub(crate) fn key_of(&self, room: RoomName) -> RoomKey {
        RoomKey {
            namespace: self.namespace.clone(),
            room,
        }
    }

    pub(crate) const fn as_member(&self) -> Member<'_> {
        Member {
            socket: self.id,
            user: &self.user,
        }
    }

    /// Whether a user is behind it, whom the others see.
    pub(crate) const fn is_seen(&self) -> bool {
        match self.role {
            Role::Session | Role::Feed => true,
            Role::Visitor => false,
        }
    }

    /// Whether it was disconnected.
    pub(crate) fn is_closed(&self) -> bool {
        self.rooms.is_closed()
    }

    /// Whether it is in a room.
    pub fn is_in(&self, room: &RoomName) -> bool {
        match &*self.rooms.0.lock() {
            State::None | State::Closed => false,
            State::One { room: only, .. } => only == room,
            State::Many(rooms) => rooms.iter().any(|membership| membership.room == *room),
        }
    }
}

impl Memberships {
    /// Adds a room. `false` when the socket was closed meanwhile: nobody would take it out of the room again.
    pub(crate) fn add(&self, room: RoomName, slot: u32) -> bool {
        let mut state = self.0.lock();
        *state = match std::mem::take(&mut *state) {
            State::None => State::One { room, slot },
            State::One {
                room: first,
                slot: first_slot,
            } => {
                let first = Membership {
                    room: first,
                    slot: first_slot,
                };
                State::Many(Box::new(vec![first, Membership { room, slot }]))
            }
            State::Many(mut rooms) => {
                rooms.push(Membership { room, slot });
                State::Many(rooms)
            }
            State::Closed => State::Closed,
        };
        !matches!(*state, State::Closed)
    }

    /// The slot in a room.
    pub(crate) fn slot(&self, room: &RoomName) -> Option<u32> {
        match &*self.0.lock() {
            State::None | State::Closed => None,
            State::One { room: only, slot } => (only == room).then_some(*slot),
            State::Many(rooms) => rooms
                .iter()
                .find(|membership| membership.room == *room)
                .map(|membership| membership.slot),
        }
    }

    /// Takes one room out and says which slot it had.
    pub(crate) fn remove(&self, room: &RoomName) -> Option<u32> {
        let mut state = self.0.lock();
        match &mut *state {
            State::None | State::Closed => None,
            State::One { room: only, slot } => {
                let slot = (only == room).then_some(*slot)?;
                *state = State::None;
                Some(slot)
            }
            State::Many(rooms) => {
                let index = rooms
                    .iter()
                    .position(|membership| membership.room == *room)?;
                let slot = rooms.swap_remove(index).slot;
                if rooms.is_empty() {
                    *state = State::None;
                }
                Some(slot)
            }
        }
    }

    /// Takes all rooms out, for good. `None` when that was done before.
    pub(crate) fn close(&self) -> Option<Vec<Membership>> {
        match std::mem::replace(&mut *self.0.lock(), State::Closed) {
            State::None => Some(Vec::new()),
            State::One { room, slot } => Some(vec![Membership { room, slot }]),
            State::Many(rooms) => Some(*rooms),
            State::Closed => None,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.0.lock(), State::Closed)
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.0.lock() {
            State::None | State::Closed => 0,
            State::One { .. } => 1,
            State::Many(rooms) => rooms.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_in_one_room_costs_112_bytes_and_no_list() {
        assert_eq!(size_of::<Memberships>(), 32);
        // With the counters of its Arc 128, one class of the allocator.
        assert_eq!(size_of::<Socket<()>>(), 112);
    }
}
