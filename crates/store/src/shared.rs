//! What the broker, the writer and the readers share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_hub::{Deliver, Policies, Random, RoomKey, Shards};
use nuncio_model::{HistoryLimits, Refusal};
use parking_lot::{Condvar, Mutex};

use crate::StoreConfig;
use crate::cache::{Entry, Kept, Op};
use crate::database::Databases;
use crate::queue::{Publish, Queue, Write};

/// Is told of commits, for metrics. Called by the writer's thread: it must be quick.
pub trait Observer: Send + Sync + 'static {
    /// So many messages were committed together; `took` is the transaction with its fsync.
    fn committed(&self, messages: usize, took: Duration);

    /// A commit failed, and its messages were refused.
    fn failed(&self, _messages: usize) {}

    /// Writing works again after a failure.
    fn recovered(&self) {}
}

impl Observer for () {
    fn committed(&self, _messages: usize, _took: Duration) {}
}

/// What the broker, the writer and the readers share.
///
/// Lock order: a shard, then the queue, the health or the list of loads, which are held for a moment only.
pub(crate) struct Shared<D> {
    pub(crate) config: StoreConfig,
    pub(crate) databases: Databases,
    pub(crate) salt: u64,
    pub(crate) shards: Shards<Shard>,
    pub(crate) rooms: Arc<D>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) random: Random,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) queue: Queue,
    pub(crate) loads: Loads,
    pub(crate) health: Health,
    pub(crate) totals: Totals,
    /// Whether a sweep waits or runs.
    pub(crate) is_sweeping: AtomicBool,
}

/// The rooms of one shard.
pub(crate) type Shard = HashMap<RoomKey, Entry, FixedState>;

/// Numbers that only grow, or that describe the present.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) commits: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) evictions: AtomicU64,
    /// Bytes of all rooms in memory.
    pub(crate) cached_bytes: AtomicUsize,
    /// Bytes in memory at which the next search for idle rooms is worth its while.
    pub(crate) evict_at: AtomicUsize,
    pub(crate) tick: AtomicU64,
}

impl<D: Deliver> Shared<D> {
    /// What the room may keep.
    pub(crate) fn limits(&self, key: &RoomKey) -> &HistoryLimits {
        &self.policies.of(&key.room).history
    }

    /// Does an operation on a loaded room, whose lock is held.
    pub(crate) fn apply(&self, key: &RoomKey, kept: &mut Kept, op: Op) {
        kept.used = self.totals.tick.fetch_add(1, Ordering::Relaxed);
        match op {
            Op::Publish(publish) => self.publish(kept, publish),
            Op::Clear(clear) => self.hand_over(kept, Write::Clear(clear)),
            Op::Attach { since, now, done } => {
                kept.attachments += 1;
                kept.log.trim(now.unix_ms, self.limits(key));
                done(Ok(kept.log.attach(since)));
            }
            Op::Detach { now } => {
                kept.attachments = kept.attachments.saturating_sub(1);
                kept.log.trim(now.unix_ms, self.limits(key));
            }
            Op::History { query, now, done } => {
                kept.log.trim(now.unix_ms, self.limits(key));
                done(Ok(kept.log.page(&query)));
            }
        }
        self.charge(kept);
    }

    fn publish(&self, kept: &mut Kept, publish: Publish) {
        let submission = &publish.submission;
        let key = submission.request.idempotency_key.as_ref();
        if let Some(first) = key.and_then(|key| kept.log.repeat_of(submission.author.as_ref(), key))
        {
            self.queue.release(1, publish.bytes());
            return (publish.done)(Ok(first));
        }
        self.hand_over(kept, Write::Publish(publish));
    }

    fn hand_over(&self, kept: &mut Kept, write: Write) {
        kept.queued += 1;
        if let Some(refusal) = self.health.refusal() {
            kept.queued -= 1;
            return self.refuse_write(write, &refusal);
        }
        if let Err(write) = self.queue.push(write) {
            kept.queued -= 1;
            self.refuse_write(*write, &closing());
        }
    }

    /// Answers a write that will not be done, and gives its place back.
    pub(crate) fn refuse_write(&self, write: Write, refusal: &Refusal) {
        match write {
            Write::Publish(publish) => self.refuse(Op::Publish(publish), refusal),
            Write::Clear(clear) => self.refuse(Op::Clear(clear), refusal),
            Write::Sweep { .. } => self.is_sweeping.store(false, Ordering::Release),
            Write::Reopen { .. } => {}
            Write::Flush(flushed) => drop(flushed.try_send(())),
            Write::Append(append) => {
                self.queue.release(1, append.entry.bytes());
                (append.done)(Err(refusal.clone()));
            }
            Write::Keep { .. } => {}
            Write::Settle(kept) => kept(),
        }
    }

    /// Answers an admitted operation that will not be done, and gives its place back.
    pub(crate) fn refuse(&self, op: Op, refusal: &Refusal) {
        let is_admitted = !matches!(op, Op::Detach { .. });
        if is_admitted {
            self.queue.release(1, op.bytes());
        }
        match op {
            Op::Publish(publish) => (publish.done)(Err(refusal.clone())),
            Op::Clear(clear) => (clear.done)(Err(refusal.clone())),
            Op::Attach { done, .. } => done(Err(refusal.clone())),
            Op::History { done, .. } => done(Err(refusal.clone())),
            Op::Detach { .. } => {}
        }
    }

    /// Counts a room's present size.
    pub(crate) fn charge(&self, kept: &mut Kept) {
        let size = kept.size();
        if size >= kept.charged {
            self.totals
                .cached_bytes
                .fetch_add(size - kept.charged, Ordering::Relaxed);
        } else {
            self.totals
                .cached_bytes
                .fetch_sub(kept.charged - size, Ordering::Relaxed);
        }
        kept.charged = size;
    }

    /// Forgets the rooms that were idle longest, down to 7/8 of the bound, when memory is short.
    pub(crate) fn evict(&self) {
        let max = self.config.cache_bytes_max;
        let cached = self.totals.cached_bytes.load(Ordering::Relaxed);
        if cached <= max || cached < self.totals.evict_at.load(Ordering::Relaxed) {
            return;
        }
        let until = self.used_until(cached.saturating_sub(max / 8 * 7));
        self.forget(|kept| kept.used <= until);
        // Where rooms with members alone exceed the bound, each search would be in vain.
        let remaining = self.totals.cached_bytes.load(Ordering::Relaxed);
        self.totals
            .evict_at
            .store(remaining + max / 8, Ordering::Relaxed);
    }

    /// Forgets the idle rooms that `is_dispensable` names.
    pub(crate) fn forget(&self, is_dispensable: impl Fn(&Kept) -> bool) {
        for shard in self.shards.iter() {
            shard.lock().retain(|_, entry| {
                let Entry::Kept(kept) = entry else {
                    return true;
                };
                let goes = kept.is_idle() && is_dispensable(kept);
                if goes {
                    self.totals
                        .cached_bytes
                        .fetch_sub(kept.charged, Ordering::Relaxed);
                    self.totals.evictions.fetch_add(1, Ordering::Relaxed);
                }
                !goes
            });
        }
    }

    /// The tick such that the idle rooms used until then take at least `bytes`.
    fn used_until(&self, bytes: usize) -> u64 {
        let mut idle = Vec::new();
        for shard in self.shards.iter() {
            idle.extend(shard.lock().values().filter_map(|entry| match entry {
                Entry::Kept(kept) if kept.is_idle() => Some((kept.used, kept.charged)),
                Entry::Kept(_) | Entry::Loading(_) => None,
            }));
        }
        idle.sort_unstable();
        let mut found = 0;
        let last = idle.iter().find(|(_, charged)| {
            found += charged;
            found >= bytes
        });
        last.or(idle.last()).map_or(0, |(used, _)| *used)
    }
}

/// What is told to whoever comes while too much waits.
pub(crate) fn full_queue() -> Refusal {
    Refusal::unavailable("Too many operations wait for the message store: try again")
}

/// What is told to whoever comes while the store is being closed.
pub(crate) fn closing() -> Refusal {
    Refusal::unavailable("The message store is being closed")
}

/// The rooms that wait for a reader.
#[derive(Default)]
pub(crate) struct Loads {
    state: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    rooms: VecDeque<(RoomKey, u64)>,
    is_closed: bool,
}

impl Loads {
    /// Asks for a room, with the clock by which it is trimmed. `false` when the readers have ended.
    #[must_use]
    pub(crate) fn push(&self, key: RoomKey, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        if !state.is_closed {
            state.rooms.push_back((key, now_ms));
            self.filled.notify_one();
        }
        !state.is_closed
    }

    /// Waits for a room to load; `None` when nothing waits and nothing will come.
    pub(crate) fn pop(&self) -> Option<(RoomKey, u64)> {
        let mut state = self.state.lock();
        loop {
            if let Some(load) = state.rooms.pop_front() {
                return Some(load);
            }
            if state.is_closed {
                return None;
            }
            self.filled.wait(&mut state);
        }
    }

    /// Ends the readers when everything that waits is loaded.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_all();
    }
}

/// Whether the store can be written, and what is told to publishers when not.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_broken: AtomicBool,
    refusal: Mutex<Option<Refusal>>,
}

impl Health {
    /// Why publishes are refused at present.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if self.is_broken.load(Ordering::Acquire) {
            self.refusal.lock().clone()
        } else {
            None
        }
    }

    /// Refuses publishes, or takes them again.
    pub(crate) fn set(&self, refusal: Option<Refusal>) {
        let is_broken = refusal.is_some();
        *self.refusal.lock() = refusal;
        self.is_broken.store(is_broken, Ordering::Release);
    }
}
