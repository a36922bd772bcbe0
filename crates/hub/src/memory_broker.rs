//! History in this process's memory: the broker of a single node, and of rooms that need not outlive it.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_model::{
    Epoch, HistoryQuery, MessageId, Now, Position, PositionReason, PublishRequest, Published,
};
use parking_lot::Mutex;

use crate::broker::{Attached, Broker, Deliver, Done, Page, RoomKey, Since, Submission};
use crate::history::Log;
use crate::policy::Policies;
use crate::random::Random;
use crate::shard::Shards;

/// Keeps each room's log in memory, in shards.
///
/// A room's log, and with it its epoch, lives while it has members or anything to remember. Of the rooms that nobody is in, at most
/// [`IDLE_MAX`](Self::IDLE_MAX) are remembered: beyond that the ones longest unused go, before their history is old.
pub struct MemoryBroker<D> {
    shards: Shards<HashMap<RoomKey, Kept, FixedState>>,
    /// Locked after a shard, never before.
    idle: Mutex<Idle>,
    idle_max: usize,
    rooms: Arc<D>,
    policies: Arc<Policies>,
    random: Random,
}

struct Kept {
    log: Log,
    attachments: usize,
    /// Its place in [`Idle`], while nobody is in it.
    idle: Option<u64>,
}

/// Rooms that nobody is in, by when they were last used.
#[derive(Default)]
struct Idle {
    rooms: BTreeMap<u64, RoomKey>,
    next: u64,
}

impl<D: Deliver> MemoryBroker<D> {
    /// Rooms that nobody is in and whose history is kept, unless [`with_idle_max`](Self::with_idle_max) says otherwise.
    pub const IDLE_MAX: usize = 100_000;

    /// A broker that delivers to `rooms`. `seed` decides epochs and ids.
    pub fn new(rooms: Arc<D>, policies: Arc<Policies>, seed: u64) -> Self {
        let shards = Shards::new(seed, || HashMap::with_hasher(FixedState::with_seed(seed)));
        Self {
            shards,
            idle: Mutex::default(),
            idle_max: Self::IDLE_MAX,
            rooms,
            policies,
            random: Random::from_seed(seed),
        }
    }

    /// Remembers at most so many rooms that nobody is in: memory at worst is this x the history of one room.
    #[must_use]
    pub const fn with_idle_max(mut self, idle_max: usize) -> Self {
        self.idle_max = idle_max;
        self
    }

    /// Rooms whose log is kept at present.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Those among them that nobody is in.
    pub fn idle_len(&self) -> usize {
        self.idle.lock().rooms.len()
    }

    /// Whether nothing is kept at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &RoomKey) -> &Mutex<HashMap<RoomKey, Kept, FixedState>> {
        self.shards.of(key)
    }

    fn kept<'a>(
        &self,
        shard: &'a mut HashMap<RoomKey, Kept, FixedState>,
        key: &RoomKey,
    ) -> &'a mut Kept {
        shard.entry_ref(key).or_insert_with(|| {
            let position = Position {
                epoch: Epoch::from_random(self.random.next()),
                seq: 0,
            };
            Kept {
                log: Log::new(position),
                attachments: 0,
                idle: None,
            }
        })
    }

    /// Notes that a room was used just now: it is the last to be forgotten, or not to be forgotten at all while somebody is in it.
    fn touch(&self, key: &RoomKey, kept: &mut Kept) {
        if kept.attachments > 0 && kept.idle.is_none() {
            return;
        }
        let mut idle = self.idle.lock();
        if let Some(place) = kept.idle.take() {
            idle.rooms.remove(&place);
        }
        if kept.attachments == 0 {
            let place = idle.next;
            idle.next += 1;
            idle.rooms.insert(place, key.clone());
            kept.idle = Some(place);
        }
    }

    /// Takes a room out of the shard, with its place among the idle.
    fn forget(&self, shard: &mut HashMap<RoomKey, Kept, FixedState>, key: &RoomKey) {
        if let Some(place) = shard.remove(key).and_then(|kept| kept.idle) {
            self.idle.lock().rooms.remove(&place);
        }
    }

    /// Forgets the rooms longest unused, when there are too many. Called without any lock.
    fn forget_oldest(&self) {
        loop {
            let (place, key) = {
                let mut idle = self.idle.lock();
                if idle.rooms.len() <= self.idle_max {
                    return;
                }
                let Some(oldest) = idle.rooms.pop_first() else {
                    return;
                };
                oldest
            };
            let mut shard = self.shard(&key).lock();
            // It may have been used since: it has another place then, or none.
            if shard.get(&key).is_some_and(|kept| kept.idle == Some(place)) {
                shard.remove(&key);
            }
        }
    }
}

impl<D: Deliver> Broker for MemoryBroker<D> {
    fn publish(&self, submission: Submission, done: Done<Published>) {
        let key = RoomKey {
            namespace: submission.namespace.clone(),
            room: submission.request.room.clone(),
        };
        let PublishRequest {
            idempotency_key, ..
        } = &submission.request;
        let idempotency_key = idempotency_key.clone();
        let mut shard = self.shard(&key).lock();
        let kept = self.kept(&mut shard, &key);
        self.touch(&key, kept);
        let log = &mut kept.log;
        if let Some(first) = idempotency_key
            .as_ref()
            .and_then(|key| log.repeat_of(submission.author.as_ref(), key))
        {
            return done(Ok(first));
        }
        let id = MessageId::new(submission.now.unix_ms, self.random.next_u128());
        let publication = Arc::new(log.next(submission, id));
        log.push(
            publication.clone(),
            idempotency_key,
            &self.policies.of(&key.room).history,
        );
        self.rooms.deliver(&publication);
        done(Ok(Published {
            id,
            position: publication.position,
            ts: publication.ts,
        }));
        drop(shard);
        self.forget_oldest();
    }

    fn attach(&self, room: &RoomKey, since: Since, now: Now, done: Done<Attached>) {
        let mut shard = self.shard(room).lock();
        let kept = self.kept(&mut shard, room);
        kept.attachments += 1;
        self.touch(room, kept);
        kept.log
            .trim(now.unix_ms, &self.policies.of(&room.room).history);
        done(Ok(kept.log.attach(since)));
    }

    fn detach(&self, room: &RoomKey, now: Now) {
        let mut shard = self.shard(room).lock();
        let Some(kept) = shard.get_mut(room) else {
            return;
        };
        kept.attachments = kept.attachments.saturating_sub(1);
        kept.log
            .trim(now.unix_ms, &self.policies.of(&room.room).history);
        self.touch(room, kept);
        if kept.is_forgettable() {
            self.forget(&mut shard, room);
        }
        drop(shard);
        self.forget_oldest();
    }

    fn history(&self, room: &RoomKey, query: &HistoryQuery, now: Now, done: Done<Page>) {
        let mut shard = self.shard(room).lock();
        match shard.get_mut(room) {
            Some(kept) => {
                kept.log
                    .trim(now.unix_ms, &self.policies.of(&room.room).history);
                done(Ok(kept.log.page(query)));
            }
            // A room that nobody is in and nothing was said in begins when somebody comes; its first epoch is not decided by a look.
            None => done(Ok(Page {
                position: Position {
                    epoch: Epoch::from_random(0),
                    seq: 0,
                },
                publications: Vec::new(),
            })),
        }
    }

    fn clear(&self, room: &RoomKey, done: Done<Position>) {
        let mut shard = self.shard(room).lock();
        let kept = self.kept(&mut shard, room);
        kept.log.clear();
        let position = kept.log.position();
        self.rooms
            .position_broken(room, position, PositionReason::Cleared);
        done(Ok(position));
        if kept.is_forgettable() {
            self.forget(&mut shard, room);
        }
    }

    fn handle_timeout(&self, now: Now) {
        for shard in self.shards.iter() {
            shard.lock().retain(|key, kept| {
                kept.log
                    .trim(now.unix_ms, &self.policies.of(&key.room).history);
                let forgotten = kept.is_forgettable();
                if let Some(place) = kept.idle.filter(|_| forgotten) {
                    self.idle.lock().rooms.remove(&place);
                }
                !forgotten
            });
        }
    }
}

impl Kept {
    fn is_forgettable(&self) -> bool {
        self.attachments == 0 && self.log.is_empty()
    }
}
