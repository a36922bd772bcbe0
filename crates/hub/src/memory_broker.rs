//! History in this process's memory: the broker of a single node, and of rooms that need not outlive it.

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
/// A room's log, and with it its epoch, lives while it has members or anything to remember.
pub struct MemoryBroker<D> {
    shards: Shards<HashMap<RoomKey, Kept, FixedState>>,
    rooms: Arc<D>,
    policies: Arc<Policies>,
    random: Random,
}

struct Kept {
    log: Log,
    attachments: usize,
}

impl<D: Deliver> MemoryBroker<D> {
    /// A broker that delivers to `rooms`. `seed` decides epochs and ids.
    pub fn new(rooms: Arc<D>, policies: Arc<Policies>, seed: u64) -> Self {
        let shards = Shards::new(seed, || HashMap::with_hasher(FixedState::with_seed(seed)));
        Self {
            shards,
            rooms,
            policies,
            random: Random::from_seed(seed),
        }
    }

    /// Rooms whose log is kept at present.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
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
            }
        })
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
        let log = &mut self.kept(&mut shard, &key).log;
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
    }

    fn attach(&self, room: &RoomKey, since: Since, now: Now, done: Done<Attached>) {
        let mut shard = self.shard(room).lock();
        let kept = self.kept(&mut shard, room);
        kept.attachments += 1;
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
        if kept.is_idle() {
            shard.remove(room);
        }
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
        if kept.is_idle() {
            shard.remove(room);
        }
    }

    fn handle_timeout(&self, now: Now) {
        for shard in self.shards.iter() {
            shard.lock().retain(|key, kept| {
                kept.log
                    .trim(now.unix_ms, &self.policies.of(&key.room).history);
                !kept.is_idle()
            });
        }
    }
}

impl Kept {
    fn is_idle(&self) -> bool {
        self.attachments == 0 && self.log.is_empty()
    }
}
