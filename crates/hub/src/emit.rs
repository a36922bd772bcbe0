//! Emits: what goes to a set of sockets and is in no history.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_model::{Emit, Namespace, Offset, Push, Target, Volatility};

use crate::broker::RoomKey;
use crate::domain::{Domain, Entry, is_ordered, plain};
use crate::encode::{Message, PerEncoder};
use crate::node::Node;
use crate::outbox::{Pushed, Sink};
use crate::socket::Socket;

impl<S: Sink> Node<S> {
    /// Emits to every socket of the target, once each, but the excepted. Returns how many, where that is known at once.
    ///
    /// Emits of one thread reach a socket in their order, and in order with what the thread published before. O(sockets of the target and of `except`);
    /// O(1) for one room.
    ///
    /// In a namespace whose clients recover, what an application says is in one order with all that is published there.
    pub fn emit(&self, emit: Emit) -> Option<u32> {
        if is_ordered(&emit.push)
            && let Some(domain) = self.rooms.domain_of(&emit.namespace)
        {
            return self.emit_in_order(domain, emit);
        }
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
            Volatility::Volatile => self.push_with(&sockets, &emit.push, None, |socket, frame| {
                socket.outbox.push_volatile(frame)
            }),
        })
    }

    fn emit_in_order(&self, domain: &Domain, emit: Emit) -> Option<u32> {
        match emit.volatility {
            Volatility::Volatile => Some(self.emit_volatile_in_order(&emit)),
            Volatility::Kept => match domain.ledger() {
                Some(ledger) => (!ledger.append(Entry::of_emit(emit))).then_some(0),
                None => {
                    self.rooms.append_next(domain, Entry::of_emit(emit));
                    None
                }
            },
        }
    }

    /// It has no place of its own: it carries that of what came before, because clients give the last one of any event back.
    fn emit_volatile_in_order(&self, emit: &Emit) -> u32 {
        let order = self.rooms.settled_domain(&emit.namespace);
        let offset = order.as_ref().map(|order| order.state.offset());
        let sockets = self.resolve(emit);
        self.push_with(&sockets, &emit.push, offset, |socket, frame| {
            socket.outbox.push_volatile(frame)
        })
    }

    /// Hands a push to sockets of one namespace, after everything that waits in rooms. Returns how many took it.
    pub fn push_to(&self, sockets: &[Arc<Socket<S>>], push: &Push) -> u32 {
        if is_ordered(push)
            && let Some(namespace) = sockets.first().map(|socket| &socket.namespace)
            && self.rooms.domain_of(namespace).is_some()
        {
            let target = Target::Sockets(sockets.iter().map(|socket| socket.id).collect());
            let emit = Emit {
                namespace: namespace.clone(),
                target,
                except: Vec::new(),
                push: push.clone(),
                volatility: Volatility::Kept,
            };
            return self.emit(emit).unwrap_or(sockets.len() as u32);
        }
        self.push_with(sockets, push, None, |socket, frame| {
            socket.outbox.push(frame)
        })
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
        self.rooms.select(namespace, target, except)
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
        offset: Option<Offset>,
        give: impl Fn(&Socket<S>, Bytes) -> Pushed,
    ) -> u32 {
        // In a namespace with an order, that is settled already.
        if offset.is_none() {
            self.rooms.settle_all();
        }
        let mut frames = PerEncoder::new();
        let mut taken = 0;
        for socket in sockets {
            let encoder = socket.encoder.get();
            let frame: &mut Bytes = frames.entry(encoder, || {
                let (encode, message) =
                    (self.rooms.encode(), Message::Push(&socket.namespace, push));
                match offset {
                    Some(offset) => encode.encode_at(encoder, message, offset),
                    None => encode.encode(encoder, message),
                }
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
