//! Emits: what goes to a set of sockets and is in no history.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use nuncio_model::{Emit, Namespace, Push, RoomName, SocketId, Target, Volatility};
use smallvec::SmallVec;

use crate::broker::RoomKey;
use crate::encode::{Message, PerEncoder};
use crate::node::Node;
use crate::outbox::{Pushed, Sink};
use crate::socket::Socket;

impl<S: Sink> Node<S> {
    /// Emits to every socket of the target, once each, but the excepted. Returns how many, where that is known at once.
    ///
    /// Emits of one thread reach a socket in their order, and in order with what the thread published before. O(sockets of the target and of `except`);
    /// O(1) for one room.
    pub fn emit(&self, emit: Emit) -> Option<u32> {
        if let (Some(key), Some(except), Volatility::Kept) = (
            self.single_room(&emit),
            plain(&emit.except),
            emit.volatility,
        ) {
            self.rooms.push(&key, emit.push, except);
            return None;
        }
        let sockets = self.resolve(&emit);
        Some(match emit.volatility {
            Volatility::Kept => self.push_to(&sockets, &emit.push),
            Volatility::Volatile => self.push_with(&sockets, &emit.push, |socket, frame| {
                socket.outbox.push_volatile(frame)
            }),
        })
    }

    /// Hands a push to sockets, after everything that waits in rooms. Returns how many took it.
    pub fn push_to(&self, sockets: &[Arc<Socket<S>>], push: &Push) -> u32 {
        self.push_with(sockets, push, |socket, frame| socket.outbox.push(frame))
    }

    /// The sockets that an emit goes to.
    pub fn resolve(&self, emit: &Emit) -> Vec<Arc<Socket<S>>> {
        self.select(&emit.namespace, &emit.target, &emit.except)
    }

    /// The sockets of a target but the excepted, each once. O(sockets of both).
    pub fn select(
        &self,
        namespace: &Namespace,
        target: &Target,
        except: &[Target],
    ) -> Vec<Arc<Socket<S>>> {
        let mut seen = HashSet::with_hasher(FixedState::default());
        for target in except {
            let excepted = self.targets(namespace, target);
            seen.extend(excepted.iter().map(|socket| socket.id));
        }
        let mut sockets = self.targets(namespace, target);
        sockets.retain(|socket| seen.insert(socket.id));
        sockets
    }

    fn targets(&self, namespace: &Namespace, target: &Target) -> Vec<Arc<Socket<S>>> {
        let found = |id: &SocketId| {
            self.registry
                .socket(id)
                .filter(|socket| socket.namespace == *namespace)
        };
        match target {
            Target::Everyone => self.registry.all(Some(namespace)),
            Target::User(user) => self.sockets_of(namespace, user),
            Target::Sockets(ids) => ids.iter().filter_map(found).collect(),
            Target::Rooms(rooms) => {
                let ids = rooms
                    .iter()
                    .flat_map(|room| self.sockets_in(namespace, room));
                ids.collect::<Vec<_>>().iter().filter_map(found).collect()
            }
        }
    }

    /// The members of a room; a socket's id is its private room.
    fn sockets_in(&self, namespace: &Namespace, room: &RoomName) -> Vec<SocketId> {
        let mut ids = self.rooms.sockets(&RoomKey {
            namespace: namespace.clone(),
            room: room.clone(),
        });
        ids.extend(room.parse::<SocketId>().ok());
        ids
    }

    /// The one room that an emit goes to, unless it is a socket's private room.
    fn single_room(&self, emit: &Emit) -> Option<RoomKey> {
        let Target::Rooms(rooms) = &emit.target else {
            return None;
        };
        let [room] = &rooms[..] else { return None };
        let private = room
            .parse()
            .is_ok_and(|id| self.registry.socket(&id).is_some());
        (!private).then(|| RoomKey {
            namespace: emit.namespace.clone(),
            room: room.clone(),
        })
    }

    fn push_with(
        &self,
        sockets: &[Arc<Socket<S>>],
        push: &Push,
        give: impl Fn(&Socket<S>, Bytes) -> Pushed,
    ) -> u32 {
        self.rooms.settle_all();
        let mut frames = PerEncoder::new();
        let mut taken = 0;
        for socket in sockets {
            let encoder = socket.encoder.get();
            let frame: &mut Bytes = frames.entry(encoder, || {
                self.rooms
                    .encode()
                    .encode(encoder, Message::Push(&socket.namespace, push))
            });
            match give(socket, frame.clone()) {
                Pushed::Due => {
                    self.rooms.flushers().add(socket.outbox.clone());
                    taken += 1;
                }
                Pushed::Waits => taken += 1,
                Pushed::Dropped => {}
            }
        }
        taken
    }
}

/// The excepted sockets, when the exception names nothing else.
fn plain(except: &[Target]) -> Option<SmallVec<[SocketId; 1]>> {
    let mut ids = SmallVec::new();
    for target in except {
        match target {
            Target::Sockets(sockets) => ids.extend_from_slice(sockets),
            Target::Everyone | Target::Rooms(_) | Target::User(_) => return None,
        }
    }
    Some(ids)
}
