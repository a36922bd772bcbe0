//! The rooms of this node, in shards, and the fan-out of what is published to them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_model::{
    Namespace, Position, PresencePage, Push, RoomLimits, RoomName, SocketId, Typing, UserId,
};
use parking_lot::MutexGuard;
use smallvec::{SmallVec, smallvec};

use crate::broker::RoomKey;
use crate::domain::Domain;
use crate::encode::Encode;
use crate::flush::Flushers;
use crate::observer::Observer;
use crate::outbox::{Outbox, Sink};
use crate::policy::{Policies, Quiet};
use crate::registry::Registry;
use crate::room::{Queued, Room};
use crate::shard::Shards;

mod deliver;
mod members;
mod order;
mod reencode;

/// Messages that may wait in a room before a publisher hands them over itself instead of leaving it to the flush.
const PENDING_MAX: usize = 1024;

/// All rooms of this node that have members.
///
/// **Invariant.** A room's messages reach every member's outbox in one order: they wait in the room, and whoever hands them over holds its shard's lock.
pub struct Rooms<S> {
    shards: Shards<Shard<S>>,
    /// Per shard: whether a room in it waits for the flush. Read without the lock.
    due: Box<[AtomicBool]>,
    flushers: Flushers<S>,
    encode: Arc<dyn Encode>,
    policies: Arc<Policies>,
    limits: RoomLimits,
    counters: Counters,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) quiet: OnceLock<Quiet>,
    /// The order of the namespaces whose clients recover. Mostly there is none.
    domain: Option<Domain>,
    registry: OnceLock<Arc<Registry<S>>>,
}

struct Shard<S> {
    rooms: HashMap<RoomKey, Room<S>, FixedState>,
    due: Vec<RoomKey>,
}

/// What the fan-out did since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Publications delivered to rooms.
    pub publications: AtomicU64,
    /// Messages encoded: once for each encoder among a room's members.
    pub encodes: AtomicU64,
    /// Messages handed to outboxes.
    pub deliveries: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
}

/// How a socket leaves a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It asked to, or was removed, or ended: its user is gone from the room at once.
    Left,
    /// Its connection was lost: the user stays until the grace is over.
    Lost,
    /// It is a visitor, and no user with it.
    Unseen,
}

impl<S: Sink> Rooms<S> {
    /// No rooms yet. `flushers` is how many tasks write, `seed` keys the hashes.
    pub fn new(
        encode: Arc<dyn Encode>,
        policies: Arc<Policies>,
        limits: RoomLimits,
        flushers: usize,
        seed: u64,
    ) -> Self {
        let shard = || Shard {
            rooms: HashMap::with_hasher(FixedState::with_seed(seed)),
            due: Vec::new(),
        };
        let shards = Shards::new(seed, shard);
        let due = shards.iter().map(|_| AtomicBool::new(false)).collect();
        Self {
            shards,
            due,
            flushers: Flushers::new(flushers),
            encode,
            policies,
            limits,
            counters: Counters::default(),
            observer: None,
            quiet: OnceLock::new(),
            domain: None,
            registry: OnceLock::new(),
        }
    }

    /// Who writes what is due.
    pub const fn flushers(&self) -> &Flushers<S> {
        &self.flushers
    }

    /// What the fan-out did since the start.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The bounds of rooms.
    pub const fn limits(&self) -> &RoomLimits {
        &self.limits
    }

    /// What rooms keep and announce.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Rooms with members on this node.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().rooms.len())
            .sum()
    }

    /// Whether no room has members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The writer of messages.
    pub(crate) fn encode(&self) -> &dyn Encode {
        &*self.encode
    }

    /// Hands over what waits in the rooms of one flusher.
    pub fn settle(&self, flusher: usize) {
        if flusher == 0 {
            self.settle_domain();
        }
        for index in (flusher..self.due.len()).step_by(self.flushers.len()) {
            self.settle_shard(index);
        }
    }

    /// Hands over what waits in any room, so that what is pushed next comes after it.
    pub fn settle_all(&self) {
        self.settle_domain();
        for index in 0..self.due.len() {
            self.settle_shard(index);
        }
    }

    /// Hands over what waits in one room, and says up to where its members have it now.
    pub(crate) fn settled(&self, key: &RoomKey) -> Option<Position> {
        let _order = self.settled_domain(&key.namespace);
        let (_, mut shard) = self.lock(key);
        let room = shard.rooms.get_mut(key)?;
        self.settle_room(key, room);
        Some(room.position)
    }

    /// The flag is taken back under the lock and last: who finds it down may rely on everything being handed over.
    fn settle_shard(&self, index: usize) {
        if !self.due[index].load(Ordering::Acquire) {
            return;
        }
        let mut shard = self.shards.at(index).lock();
        let shard = &mut *shard;
        for key in shard.due.drain(..) {
            if let Some(room) = shard.rooms.get_mut(&key) {
                self.settle_room(&key, room);
            }
        }
        self.due[index].store(false, Ordering::Release);
    }

    fn settle_room(&self, key: &RoomKey, room: &mut Room<S>) {
        let mut due: SmallVec<[Vec<Arc<Outbox<S>>>; 4]> =
            smallvec![Vec::new(); self.flushers.len()];
        let settled = room.settle(&key.namespace, &*self.encode, &mut due);
        for (home, outboxes) in due.iter_mut().enumerate() {
            self.flushers.add_all(home, outboxes);
        }
        self.counters
            .encodes
            .fetch_add(settled.encodes, Ordering::Relaxed);
        self.counters
            .deliveries
            .fetch_add(settled.deliveries, Ordering::Relaxed);
        self.counters
            .bytes
            .fetch_add(settled.bytes, Ordering::Relaxed);
    }

    fn lock(&self, key: &RoomKey) -> (usize, MutexGuard<'_, Shard<S>>) {
        let index = self.shards.index_of(key);
        (index, self.shards.at(index).lock())
    }

    /// Queues a message in a room under its shard's lock.
    fn queue(
        &self,
        index: usize,
        shard: &mut Shard<S>,
        key: &RoomKey,
        message: Queued,
        except: SmallVec<[SocketId; 1]>,
    ) {
        let Some(room) = shard.rooms.get_mut(key) else {
            return;
        };
        if room.queue(message, except) {
            shard.due.push(key.clone());
            self.due[index].store(true, Ordering::Release);
            self.flushers.signal(index % self.flushers.len());
        } else if room.pending_len() >= PENDING_MAX {
            self.settle_room(key, room);
        }
    }

    /// Queues something that is in no history for the members of one room.
    pub(crate) fn push(&self, key: &RoomKey, push: Push, except: SmallVec<[SocketId; 1]>) {
        let (index, mut shard) = self.lock(key);
        self.queue(index, &mut shard, key, Queued::Push(Box::new(push)), except);
    }

    /// The same, but handed over at once: what it says of a user must not be overtaken by what another room says of the same user later.
    pub(crate) fn push_now(&self, key: &RoomKey, push: Push, except: SmallVec<[SocketId; 1]>) {
        let (index, mut shard) = self.lock(key);
        self.queue(index, &mut shard, key, Queued::Push(Box::new(push)), except);
        if let Some(room) = shard.rooms.get_mut(key) {
            self.settle_room(key, room);
        }
    }

    /// Whether members of the room are told names, or only counts, or nothing.
    pub(crate) fn announces_names(&self, key: &RoomKey, users: u64) -> bool {
        users <= self.limits.presence_names_max as u64
            && self.policies.of(&key.room).presence
            && !self.is_quiet(&key.namespace)
    }

    /// Notes and announces typing, to all members but the typist.
    pub(crate) fn typing(
        &self,
        key: &RoomKey,
        socket: SocketId,
        user: &UserId,
        typing: Typing,
        now: Instant,
    ) {
        let (index, mut shard) = self.lock(key);
        let Some(room) = shard.rooms.get_mut(key) else {
            return;
        };
        let news = match typing {
            Typing::Started => room.typing_started(socket, user, now + self.limits.typing_timeout),
            Typing::Stopped => room.typing_stopped(socket),
        };
        if news {
            let push = Push::Typing {
                room: key.room.clone(),
                user: user.clone(),
                typing,
            };
            self.queue(
                index,
                &mut shard,
                key,
                Queued::Push(Box::new(push)),
                smallvec![socket],
            );
        }
    }

    /// Ends typing that was not renewed, and announces the counts of large rooms that changed. Called about once a second or more often.
    pub(crate) fn handle_timeout(&self, now: Instant, counts: Counts) {
        for index in 0..self.due.len() {
            let mut shard = self.shards.at(index).lock();
            let mut pushes = Vec::new();
            for (key, room) in &mut shard.rooms {
                for (socket, user) in room.typing_expired(now) {
                    let push = Push::Typing {
                        room: key.room.clone(),
                        user,
                        typing: Typing::Stopped,
                    };
                    pushes.push((key.clone(), push, smallvec![socket]));
                }
                if counts == Counts::Announce
                    && let Some(count) = room.changed_count(self.limits.presence_names_max)
                    && self.policies.of(&key.room).presence
                    && !self.is_quiet(&key.namespace)
                {
                    let room = key.room.clone();
                    let push = Push::PresenceCount { room, count };
                    pushes.push((key.clone(), push, SmallVec::new()));
                }
            }
            for (key, push, except) in pushes {
                self.queue(
                    index,
                    &mut shard,
                    &key,
                    Queued::Push(Box::new(push)),
                    except,
                );
            }
        }
    }

    /// One page of a room's users.
    pub(crate) fn presence(
        &self,
        key: &RoomKey,
        after: Option<&UserId>,
        limit: u32,
    ) -> PresencePage {
        let (_, shard) = self.lock(key);
        let empty = PresencePage {
            count: 0,
            members: (limit > 0).then(Vec::new),
            next: None,
        };
        shard
            .rooms
            .get(key)
            .map_or(empty, |room| room.page(after, limit))
    }

    /// The sockets in a room. O(members).
    pub(crate) fn sockets(&self, key: &RoomKey) -> Vec<SocketId> {
        let (_, shard) = self.lock(key);
        shard
            .rooms
            .get(key)
            .map_or_else(Vec::new, |room| room.sockets().collect())
    }

    /// The room's name, members and position, for the backend.
    pub(crate) fn list(&self) -> Vec<(RoomKey, usize, u64, Position)> {
        let shards = self.shards.iter().flat_map(|shard| {
            let shard = shard.lock();
            let rooms = shard.rooms.iter();
            rooms
                .map(|(key, room)| (key.clone(), room.members(), room.users(), room.position))
                .collect::<Vec<_>>()
        });
        shards.collect()
    }

    /// Where the room stands for its members on this node.
    pub fn position(&self, namespace: &Namespace, room: &RoomName) -> Option<Position> {
        let key = RoomKey {
            namespace: namespace.clone(),
            room: room.clone(),
        };
        let (_, shard) = self.lock(&key);
        shard.rooms.get(&key).map(|room| room.position)
    }
}

/// Whether [`Rooms::handle_timeout`] announces counts this time: at most once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Announce,
    Later,
}

/// Why a socket was not taken in.
#[derive(Debug)]
pub(crate) enum NotEntered {
    /// The room has as many members as it may have.
    Full,
    /// The socket was disconnected while it joined.
    Gone,
}
