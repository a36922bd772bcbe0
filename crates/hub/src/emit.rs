//! Emits: what goes to a set of sockets and is in no history.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_model::{Emit, Namespace, Offset, Push, Refusal, Target, Volatility};

use crate::broker::{Done, RoomKey};
use crate::domain::{Entry, Ledger, is_ordered, plain, push_len};
use crate::encode::{Message, PerEncoder};
use crate::node::Node;
use crate::outbox::{Pushed, Sink};
use crate::rooms::Rooms;
use crate::socket::Socket;

impl<S: Sink> Node<S> {
    /// Emits to every socket of the target, once each, but the excepted. Returns how many, where that is known at once.
    ///
    /// Emits of one thread reach a socket in their order, and in order with what the thread published before. O(sockets of the target and of `except`);
    /// O(1) for one room.
    ///
    /// In a namespace whose clients recover, what an application says is in one order with all that is published there.
    ///
    /// # Errors
    /// `UNAVAILABLE`, and nobody gets it, where such a namespace is kept in a store that can keep nothing at present. [`emit_kept`](Self::emit_kept) says also
    /// what is found out later.
    pub fn emit(&self, emit: Emit) -> Result<Option<u32>, Refusal> {
        match (
            self.ledger_for(&emit.namespace, &emit.push),
            emit.volatility,
        ) {
            (Some(ledger), Volatility::Kept) => {
                append(&*ledger, emit, Box::new(|_| ()))?;
                Ok(None)
            }
            (Some(ledger), Volatility::Volatile) => Ok(self.pass_volatile(&*ledger, emit)),
            (None, _) => Ok(self.emit_at_once(emit)),
        }
    }

    /// The same for who wants to know that it is kept, where it is to be: `done` is called once, perhaps before this returns.
    ///
    /// # Errors (to `done`)
    /// As [`emit`](Self::emit).
    pub fn emit_kept(&self, emit: Emit, done: Done<Option<u32>>) {
        match self.ledger_for(&emit.namespace, &emit.push) {
            Some(ledger) if emit.volatility == Volatility::Kept => {
                let entry = Entry::of_emit(emit);
                match ledger.admit(entry.bytes()) {
                    Ok(()) => ledger.append(entry, Box::new(|kept| done(kept.map(|()| None)))),
                    Err(refusal) => done(Err(refusal)),
                }
            }
            Some(_) | None => done(self.emit(emit)),
        }
    }

    fn emit_at_once(&self, emit: Emit) -> Option<u32> {
        if is_ordered(&emit.push)
            && let Some(domain) = self.rooms.domain_of(&emit.namespace)
        {
            if emit.volatility == Volatility::Volatile {
                return Some(self.rooms.emit_volatile_in_order(&emit));
            }
            self.rooms.append_next(domain, Entry::of_emit(emit));
            return None;
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
            Volatility::Kept => self.rooms.push_to(&sockets, &emit.push),
            Volatility::Volatile => {
                let volatile = |socket: &Socket<S>, frame| socket.outbox.push_volatile(frame);
                self.rooms.push_with(&sockets, &emit.push, None, volatile)
            }
        })
    }

    /// What is not kept, behind what is being kept. Where too much waits for the disk already, it is skipped.
    fn pass_volatile(&self, ledger: &dyn Ledger, emit: Emit) -> Option<u32> {
        let bytes = Entry::of_emit(emit.clone()).bytes();
        if ledger.admit(bytes).is_err() {
            return Some(0);
        }
        let rooms = self.rooms.clone();
        let then = move || {
            rooms.emit_volatile_in_order(&emit);
        };
        ledger.pass(bytes, Box::new(then));
        None
    }

    /// Hands a push to sockets of one namespace, after everything that waits in rooms. Returns how many took it; where that is not known yet, how many are to.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub fn push_to(&self, sockets: &[Arc<Socket<S>>], push: &Push) -> Result<u32, Refusal> {
        let Some(namespace) = sockets.first().map(|socket| &socket.namespace) else {
            return Ok(0);
        };
        let count = sockets.len() as u32;
        if is_ordered(push) && self.rooms.domain_of(namespace).is_some() {
            let taken = self.emit(direct(namespace, sockets, push))?;
            return Ok(taken.unwrap_or(count));
        }
        let Some(ledger) = self
            .rooms
            .domain_of(namespace)
            .and_then(|domain| domain.ledger())
        else {
            return Ok(self.rooms.push_to(sockets, push));
        };
        // It has no place in the order, and yet comes neither before nor after what was said before and after it.
        let bytes = push_len(push);
        ledger.admit(bytes)?;
        let (rooms, sockets, push) = (self.rooms.clone(), sockets.to_vec(), push.clone());
        let then = move || {
            rooms.push_to(&sockets, &push);
        };
        ledger.pass(bytes, Box::new(then));
        Ok(count)
    }

    /// The same for who wants to know that it is kept, where it is to be; see [`emit_kept`](Self::emit_kept).
    ///
    /// # Errors (to `done`)
    /// As [`emit`](Self::emit).
    pub fn push_kept(&self, sockets: &[Arc<Socket<S>>], push: &Push, done: Done<u32>) {
        let namespace = sockets.first().map(|socket| &socket.namespace);
        let ordered = namespace.filter(|namespace| self.ledger_for(namespace, push).is_some());
        let Some(namespace) = ordered else {
            return done(self.push_to(sockets, push));
        };
        let count = sockets.len() as u32;
        let emit = direct(namespace, sockets, push);
        let kept = move |taken: Result<Option<u32>, _>| {
            done(taken.map(|taken| taken.unwrap_or(count)));
        };
        self.emit_kept(emit, Box::new(kept));
    }

    /// Where such a push is kept before it is seen.
    fn ledger_for(&self, namespace: &Namespace, push: &Push) -> Option<Arc<dyn Ledger>> {
        let domain = self.rooms.domain_of(namespace)?;
        is_ordered(push).then(|| domain.ledger())?
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
}

fn append(ledger: &dyn Ledger, emit: Emit, done: Done<()>) -> Result<(), Refusal> {
    let entry = Entry::of_emit(emit);
    ledger.admit(entry.bytes())?;
    ledger.append(entry, done);
    Ok(())
}

fn direct<S>(namespace: &Namespace, sockets: &[Arc<Socket<S>>], push: &Push) -> Emit {
    Emit {
        namespace: namespace.clone(),
        target: Target::Sockets(sockets.iter().map(|socket| socket.id).collect()),
        except: Vec::new(),
        push: push.clone(),
        volatility: Volatility::Kept,
    }
}

impl<S: Sink> Rooms<S> {
    /// It has no place of its own: it carries that of what came before, because clients give the last one of any event back.
    fn emit_volatile_in_order(&self, emit: &Emit) -> u32 {
        let order = self.settled_domain(&emit.namespace);
        let offset = order.as_ref().map(|order| order.state.offset());
        let sockets = self.select(&emit.namespace, &emit.target, &emit.except);
        self.push_with(&sockets, &emit.push, offset, |socket, frame| {
            socket.outbox.push_volatile(frame)
        })
    }

    fn push_to(&self, sockets: &[Arc<Socket<S>>], push: &Push) -> u32 {
        self.push_with(sockets, push, None, |socket, frame| {
            socket.outbox.push(frame)
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
            self.settle_all();
        }
        let mut frames = PerEncoder::new();
        let mut taken = 0;
        for socket in sockets {
            let encoder = socket.encoder.get();
            let frame: &mut Bytes = frames.entry(encoder, || {
                let message = Message::Push(&socket.namespace, push);
                match offset {
                    Some(offset) => self.encode().encode_at(encoder, message, offset),
                    None => self.encode().encode(encoder, message),
                }
            });
            match give(socket, frame.clone()) {
                Pushed::Due => {
                    self.flushers().add(socket.outbox.clone());
                    taken += 1;
                }
                Pushed::Waits => taken += 1,
                Pushed::Dropped => {}
            }
        }
        taken
    }
}
