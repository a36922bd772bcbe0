//! Who comes into a room and who goes.

use std::sync::Arc;

use nuncio_model::{Position, Push, SocketId, Typing, UserId};
use smallvec::{SmallVec, smallvec};

use super::{Exit, NotEntered, Rooms, Shard};
use crate::broker::RoomKey;
use crate::outbox::Sink;
use crate::room::{Queued, Room};
use crate::socket::{Member, Socket};

impl<S: Sink> Rooms<S> {
    /// Takes a socket in. The caller holds the lock of the room's log, so that nothing is published meanwhile.
    ///
    /// Returns the number of users, and whether the user was announced as new.
    pub(crate) fn enter(
        &self,
        key: &RoomKey,
        socket: &Arc<Socket<S>>,
        position: Position,
    ) -> Result<(u64, bool), NotEntered> {
        let mut order = self.settled_domain(&key.namespace);
        let (index, mut shard) = self.lock(key);
        let entry = shard.rooms.entry(key.clone());
        // The room's own copy of its name: one for all members.
        let name = entry.key().room.clone();
        let room = entry.or_insert_with(|| Room::new(position));
        if room.members() >= self.limits.members_max {
            return Err(NotEntered::Full);
        }
        self.settle_room(key, room);
        room.position = position;
        let was_empty = room.is_empty();
        let slot = room.add(socket.outbox.clone(), socket.id, socket.encoder.get());
        if !socket.rooms.add(name, slot) {
            room.remove(slot);
            if room.is_empty() {
                shard.rooms.remove(key);
            }
            return Err(NotEntered::Gone);
        }
        if was_empty {
            self.observe(|observer| observer.occupied(key));
        }
        if socket.is_seen() {
            self.observe(|observer| observer.joined(key, socket.as_member()));
        }
        let welcome = self.welcome(index, &mut shard, key, socket);
        drop(shard);
        if let Some(order) = &mut order {
            order.change(socket.id, |state| {
                state.joined(&socket.id, key.room.clone());
            });
        }
        Ok(welcome)
    }

    /// Takes in the user of a socket that comes back, and not yet the socket. The room stays until then. The caller holds the lock of the room's log.
    pub(crate) fn enter_user(
        &self,
        key: &RoomKey,
        socket: &Socket<S>,
        position: Position,
    ) -> (u64, bool) {
        let _order = self.settled_domain(&key.namespace);
        let (index, mut shard) = self.lock(key);
        let room = shard.rooms.entry(key.clone());
        let room = room.or_insert_with(|| Room::new(position));
        self.settle_room(key, room);
        room.position = position;
        if room.is_empty() {
            self.observe(|observer| observer.occupied(key));
        }
        self.welcome(index, &mut shard, key, socket)
    }

    /// Takes in a socket whose user is in. The caller holds the lock of the namespace's order.
    pub(crate) fn seat(&self, key: &RoomKey, socket: &Socket<S>) {
        let (_, mut shard) = self.lock(key);
        let Some(room) = shard.rooms.get_mut(key) else {
            return;
        };
        self.settle_room(key, room);
        let slot = room.add(socket.outbox.clone(), socket.id, socket.encoder.get());
        if socket.rooms.add(key.room.clone(), slot) {
            self.observe(|observer| observer.joined(key, socket.as_member()));
        } else {
            room.remove(slot);
        }
    }

    /// Counts a user in, and tells the others when it is the first of its sessions there.
    fn welcome(
        &self,
        index: usize,
        shard: &mut Shard<S>,
        key: &RoomKey,
        socket: &Socket<S>,
    ) -> (u64, bool) {
        let Some(room) = shard.rooms.get_mut(key) else {
            return (0, false);
        };
        let first = socket.is_seen() && room.enter(&socket.user);
        let users = room.users();
        let announced = first && self.announces_names(key, users);
        if announced {
            let joined = Push::Joined {
                room: key.room.clone(),
                user: socket.user.clone(),
            };
            self.queue(
                index,
                shard,
                key,
                Queued::Push(Box::new(joined)),
                smallvec![socket.id],
            );
        }
        (users, announced)
    }

    /// Takes a socket out of the fan-out; with [`Exit::Left`] its user too.
    pub(crate) fn exit(
        &self,
        key: &RoomKey,
        slot: u32,
        socket: SocketId,
        user: &UserId,
        exit: Exit,
    ) {
        let mut order = self.settled_domain(&key.namespace);
        if let (Some(order), Exit::Left) = (&mut order, exit) {
            order.change(socket, |state| state.left(&socket, &key.room));
        }
        let (index, mut shard) = self.lock(key);
        let Some(room) = shard.rooms.get_mut(key) else {
            return;
        };
        self.settle_room(key, room);
        room.remove(slot);
        if exit != Exit::Unseen {
            self.observe(|observer| observer.left(key, Member { socket, user }));
        }
        if room.typing_stopped(socket) {
            let stopped = Push::Typing {
                room: key.room.clone(),
                user: user.clone(),
                typing: Typing::Stopped,
            };
            self.queue(
                index,
                &mut shard,
                key,
                Queued::Push(Box::new(stopped)),
                SmallVec::new(),
            );
        }
        match exit {
            Exit::Left => self.exit_user(index, &mut shard, key, user),
            Exit::Lost => {}
            Exit::Unseen => self.forget_if_empty(&mut shard, key),
        }
    }

    /// Takes a user out whose connection was lost and did not come back in time.
    pub(crate) fn exit_lost(&self, key: &RoomKey, user: &UserId) {
        let (index, mut shard) = self.lock(key);
        self.exit_user(index, &mut shard, key, user);
    }

    fn exit_user(&self, index: usize, shard: &mut Shard<S>, key: &RoomKey, user: &UserId) {
        let Some(room) = shard.rooms.get_mut(key) else {
            return;
        };
        if room.exit(user) && self.announces_names(key, room.users() + 1) {
            let left = Push::Left {
                room: key.room.clone(),
                user: user.clone(),
            };
            self.queue(
                index,
                shard,
                key,
                Queued::Push(Box::new(left)),
                SmallVec::new(),
            );
        }
        self.forget_if_empty(shard, key);
    }

    fn forget_if_empty(&self, shard: &mut Shard<S>, key: &RoomKey) {
        if shard.rooms.get(key).is_some_and(Room::is_empty) {
            shard.rooms.remove(key);
            self.observe(|observer| observer.vacated(key));
        }
    }
}
