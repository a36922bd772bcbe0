//! Namespaces with one order for all their messages: how these wait, and how they are handed over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use nuncio_model::{Content, Epoch, Namespace, Offset, RoomName, SocketId, Target};
use smallvec::{SmallVec, smallvec};

use super::{PENDING_MAX, Rooms};
use crate::broker::RoomKey;
use crate::domain::{Domain, Entry, Settled, State};
use crate::encode::PerEncoder;
use crate::outbox::{Outbox, Pushed, Sink};
use crate::registry::Registry;
use crate::room::Queued;
use crate::socket::Socket;

impl<S: Sink> Rooms<S> {
    /// Gives the namespaces of a domain one order. To be called before the rooms are shared.
    #[must_use]
    pub fn ordered_by(mut self, domain: Option<Domain>) -> Self {
        self.domain = domain;
        self
    }

    pub(crate) fn know(&self, registry: &Arc<Registry<S>>) {
        let _ = self.registry.set(registry.clone());
    }

    /// The domain that orders a namespace.
    pub(crate) fn domain_of(&self, namespace: &Namespace) -> Option<&Domain> {
        self.domain
            .as_ref()
            .filter(|domain| domain.covers(namespace))
    }

    pub(crate) const fn order(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// Locks the order of a namespace, after everything that waited in it was handed over. `None` where each room has its own.
    pub(crate) fn settled_domain(&self, namespace: &Namespace) -> Option<Settled<'_>> {
        let domain = self.domain_of(namespace)?;
        let mut state = domain.lock();
        self.hand_over(domain, &mut state);
        Some(Settled { domain, state })
    }

    /// Hands over what waits in the domain.
    pub(super) fn settle_domain(&self) {
        if let Some(domain) = &self.domain
            && domain.is_due()
        {
            self.hand_over(domain, &mut domain.lock());
        }
    }

    /// Makes what others cause wait, behind what a socket asked for. Where its namespace has an order, says up to where everything is before that.
    pub(crate) fn hold(&self, socket: &Socket<S>) -> Option<Offset> {
        let order = self.settled_domain(&socket.namespace);
        socket.outbox.hold();
        order.map(|order| order.state.offset())
    }

    /// Calls `then` when everything that was kept before is committed.
    pub(crate) fn when_kept(&self, namespace: &Namespace, then: impl FnOnce() + Send + 'static) {
        match self.domain_of(namespace).and_then(Domain::ledger) {
            Some(ledger) => ledger.settle(Box::new(then)),
            None => then(),
        }
    }

    /// Takes the next message of a domain in; it waits for the flush.
    pub(super) fn append(&self, domain: &Domain, state: &mut State, entry: Arc<Entry>) {
        if let Content::Publication(publication) = &entry.content {
            self.advance(publication);
        }
        state.append(entry);
        if state.pending.len() >= PENDING_MAX {
            self.hand_over(domain, state);
        } else if state.pending.len() == 1 {
            domain.set_due(true);
            self.flushers.signal(0);
        }
    }

    /// Numbers a message and takes it in, where memory alone keeps it.
    pub(crate) fn append_next(&self, domain: &Domain, mut entry: Entry) {
        let mut state = domain.lock();
        entry.ordinal = state.last + 1;
        self.append(domain, &mut state, Arc::new(entry));
    }

    /// Gives what waits to the outboxes, in order. Neighbours for the same sockets are one item.
    fn hand_over(&self, domain: &Domain, state: &mut State) {
        if state.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut state.pending);
        for run in pending.chunk_by(|one, next| one.goes_with(next)) {
            match run[0].one_room() {
                Some((key, except)) => self.hand_to_room(&key, &except, state.epoch, run),
                None => self.hand_to_sockets(state.epoch, run),
            }
        }
        pending.clear();
        state.pending = pending;
        domain.set_due(false);
    }

    fn hand_to_room(
        &self,
        key: &RoomKey,
        except: &SmallVec<[SocketId; 1]>,
        epoch: Epoch,
        run: &[Arc<Entry>],
    ) {
        let (_, mut shard) = self.lock(key);
        let Some(room) = shard.rooms.get_mut(key) else {
            return;
        };
        for entry in run {
            // It is handed over at once: the room does not become due.
            room.queue(Queued::Entry(entry.clone(), epoch), except.clone());
        }
        self.settle_room(key, room);
    }

    fn hand_to_sockets(&self, epoch: Epoch, run: &[Arc<Entry>]) {
        let Entry {
            namespace,
            target,
            except,
            ..
        } = &*run[0];
        let sockets = self.select(namespace, target, except);
        let mut frames = PerEncoder::new();
        let mut due: SmallVec<[Vec<Arc<Outbox<S>>>; 4]> =
            smallvec![Vec::new(); self.flushers.len()];
        for socket in &sockets {
            let encoder = socket.encoder.get();
            let frame: &mut Bytes = frames.entry(encoder, || {
                let mut frames = BytesMut::new();
                for entry in run {
                    let offset = entry.offset(epoch);
                    let frame = self.encode.encode_at(encoder, entry.as_message(), offset);
                    frames.extend_from_slice(&frame);
                }
                frames.freeze()
            });
            if socket.outbox.push(frame.clone()) == Pushed::Due {
                due[socket.outbox.home(self.flushers.len())].push(socket.outbox.clone());
            }
        }
        for (home, outboxes) in due.iter_mut().enumerate() {
            self.flushers.add_all(home, outboxes);
        }
        let deliveries = sockets.len() * run.len();
        self.counters
            .deliveries
            .fetch_add(deliveries as u64, Ordering::Relaxed);
    }

    /// The sockets of a target but the excepted, each once. O(sockets of both).
    pub(crate) fn select(
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
        let Some(registry) = self.registry.get() else {
            return Vec::new();
        };
        let found = |id: &SocketId| {
            registry
                .socket(id)
                .filter(|socket| socket.namespace == *namespace)
        };
        match target {
            // Visitors were let into rooms, and no further.
            Target::Everyone => {
                let mut sockets = registry.all(Some(namespace));
                sockets.retain(|socket| socket.is_seen());
                sockets
            }
            Target::User(user) => registry.of_user(&crate::users::UserKey {
                namespace: namespace.clone(),
                user: user.clone(),
            }),
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
        let mut ids = self.sockets(&RoomKey {
            namespace: namespace.clone(),
            room: room.clone(),
        });
        ids.extend(room.parse::<SocketId>().ok());
        ids
    }
}
