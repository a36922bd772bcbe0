//! The broker on an embedded store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_hub::{
    Attached, Broker, Deliver, Done, Durability, MemoryBroker, Page, Policies, Random, RoomKey,
    Shards, Since, Submission,
};
use nuncio_model::{HistoryQuery, Now, Position, Published, Refusal};
use parking_lot::Mutex;

use crate::cache::{Entry, Op};
use crate::loader;
use crate::queue::{Clear, Publish, Queue, Write};
use crate::shared::{Health, Loads, Observer, Shared, Totals, closing, full_queue};
use crate::store::Store;
use crate::writer::Writer;

/// Keeps rooms in an embedded store; those whose policy says so, in memory.
///
/// Nothing here waits for the disk: reads of rooms in memory are answered at once, everything else on the store's threads. Dropping it
/// [closes](Self::close) it.
pub struct StoreBroker<D: Deliver> {
    shared: Arc<Shared<D>>,
    memory: MemoryBroker<D>,
    threads: Mutex<Threads>,
    swept_ms: AtomicU64,
}

struct Threads {
    writer: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

/// What the store has done, and holds at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Transactions with new messages.
    pub commits: u64,
    /// Messages in them.
    pub messages: u64,
    /// Bytes of content in them.
    pub bytes: u64,
    /// Rooms read from disk.
    pub loads: u64,
    /// Rooms forgotten by the cache, to be read again when needed.
    pub evictions: u64,
    /// Bytes of rooms in memory, roughly.
    pub cached_bytes: usize,
    /// Operations that wait for the disk.
    pub queued: usize,
}

impl<D: Deliver> StoreBroker<D> {
    pub(crate) fn start(
        store: Store,
        rooms: Arc<D>,
        policies: Arc<Policies>,
        seed: u64,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let Store {
            config,
            databases,
            meta,
        } = store;
        let shared = Arc::new(Shared {
            queue: Queue::new(config.queue_max, config.queue_bytes_max),
            config,
            databases,
            salt: meta.salt,
            shards: Shards::new(seed, || HashMap::with_hasher(FixedState::with_seed(seed))),
            rooms: rooms.clone(),
            policies: policies.clone(),
            random: Random::from_seed(seed),
            observer,
            loads: Loads::default(),
            health: Health::default(),
            totals: Totals::default(),
            is_sweeping: AtomicBool::new(false),
        });
        let writer = Writer::new(shared.clone(), meta);
        let threads = Threads {
            writer: Some(spawn("store-writer", move || writer.run())),
            readers: (0..READERS)
                .map(|_| {
                    let shared = shared.clone();
                    spawn("store-reader", move || loader::run(&shared))
                })
                .collect(),
        };
        let memory = MemoryBroker::new(rooms, policies, seed.rotate_left(32));
        Self {
            shared,
            memory,
            threads: Mutex::new(threads),
            swept_ms: AtomicU64::new(0),
        }
    }

    /// Waits until everything published before is committed and answered, or refused. Blocks: not for a thread that serves clients.
    pub fn flush(&self) {
        let (flushed, wait) = sync_channel(1);
        if self.shared.queue.push(Write::Flush(flushed)).is_ok() {
            // An error means that the writer ended, which it does when nothing is left.
            let _ = wait.recv();
        }
    }

    /// Ends the store: what is queued is committed and answered, what comes later is refused, the file is left clean. Blocks until then. A second
    /// call does nothing.
    pub fn close(&self) {
        let mut threads = self.threads.lock();
        let Threads { writer, readers } = &mut *threads;
        // The last owner of a broker may be what a `done` held: a thread of the store does not wait for itself.
        let is_own = writer
            .iter()
            .chain(&*readers)
            .any(|thread| thread.thread().id() == thread::current().id());
        // Readers hand what waited for them to the writer, so they end first.
        self.shared.loads.close();
        if !is_own {
            join(readers.drain(..));
        }
        self.shared.queue.close();
        if !is_own {
            join(writer.take());
        }
    }

    /// Whether publishes are accepted: `false` from a failed write, for example on a full disk, until writing works again.
    pub fn is_healthy(&self) -> bool {
        self.shared.health.refusal().is_none()
    }

    /// What the store has done, and holds at present.
    pub fn counters(&self) -> Counters {
        let totals = &self.shared.totals;
        Counters {
            commits: totals.commits.load(Ordering::Relaxed),
            messages: totals.messages.load(Ordering::Relaxed),
            bytes: totals.bytes.load(Ordering::Relaxed),
            loads: totals.loads.load(Ordering::Relaxed),
            evictions: totals.evictions.load(Ordering::Relaxed),
            cached_bytes: totals.cached_bytes.load(Ordering::Relaxed),
            queued: self.shared.queue.admitted(),
        }
    }

    /// Does an operation, now or when the room is loaded.
    fn submit(&self, key: &RoomKey, op: Op) {
        let shared = &self.shared;
        let mut shard = shared.shards.of(key).lock();
        let entry = shard.get_mut(key);
        let waits = match (&op, &entry) {
            (Op::Detach { .. }, None) => return,
            (Op::Detach { .. }, Some(_)) => false,
            (Op::Attach { .. } | Op::History { .. }, Some(Entry::Kept(_))) => false,
            (Op::Attach { .. } | Op::History { .. }, _) | (Op::Publish(_) | Op::Clear(_), _) => {
                true
            }
        };
        if waits && !shared.queue.admit(op.bytes()) {
            return reject(op, full_queue());
        }
        match entry {
            Some(Entry::Kept(kept)) => shared.apply(key, kept, op),
            Some(Entry::Loading(waiting)) => waiting.push(op),
            None => {
                if let (Op::Publish(_) | Op::Clear(_), Some(refusal)) =
                    (&op, shared.health.refusal())
                {
                    return shared.refuse(op, &refusal);
                }
                if !shared.loads.push(key.clone(), op.now_ms()) {
                    return shared.refuse(op, &closing());
                }
                shard.insert(key.clone(), Entry::Loading(vec![op]));
            }
        }
    }

    fn is_in_memory(&self, key: &RoomKey) -> bool {
        match self.shared.policies.of(&key.room).durability {
            Durability::Durable => false,
            // What clients are to recover after a crash is on disk, whatever its room's policy.
            Durability::Memory => {
                let domain = self.shared.rooms.domain();
                !domain.is_some_and(|domain| domain.covers(&key.namespace))
            }
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<D>> {
        &self.shared
    }
}

impl<D: Deliver> Broker for StoreBroker<D> {
    fn publish(&self, submission: Submission, done: Done<Published>) {
        let key = RoomKey {
            namespace: submission.namespace.clone(),
            room: submission.request.room.clone(),
        };
        if self.is_in_memory(&key) {
            return self.memory.publish(submission, done);
        }
        self.submit(
            &key.clone(),
            Op::Publish(Publish {
                key,
                submission,
                done,
            }),
        );
    }

    fn attach(&self, room: &RoomKey, since: Since, now: Now, done: Done<Attached>) {
        if self.is_in_memory(room) {
            return self.memory.attach(room, since, now, done);
        }
        self.submit(room, Op::Attach { since, now, done });
    }

    fn detach(&self, room: &RoomKey, now: Now) {
        if self.is_in_memory(room) {
            return self.memory.detach(room, now);
        }
        self.submit(room, Op::Detach { now });
    }

    fn history(&self, room: &RoomKey, query: &HistoryQuery, now: Now, done: Done<Page>) {
        if self.is_in_memory(room) {
            return self.memory.history(room, query, now, done);
        }
        self.submit(
            room,
            Op::History {
                query: query.clone(),
                now,
                done,
            },
        );
    }

    fn clear(&self, room: &RoomKey, done: Done<Position>) {
        if self.is_in_memory(room) {
            return self.memory.clear(room, done);
        }
        self.submit(
            room,
            Op::Clear(Clear {
                key: room.clone(),
                done,
            }),
        );
    }

    fn handle_timeout(&self, now: Now) {
        self.memory.handle_timeout(now);
        let shared = &self.shared;
        for shard in shared.shards.iter() {
            for (key, entry) in shard.lock().iter_mut() {
                if let Entry::Kept(kept) = entry {
                    kept.log.trim(now.unix_ms, shared.limits(key));
                    shared.charge(kept);
                }
            }
        }
        shared.forget(|kept| kept.log.is_empty());
        shared.evict();
        let is_due = now
            .unix_ms
            .saturating_sub(self.swept_ms.load(Ordering::Relaxed))
            >= SWEEP_INTERVAL_MS;
        if is_due && self.is_healthy() && !shared.is_sweeping.swap(true, Ordering::AcqRel) {
            self.swept_ms.store(now.unix_ms, Ordering::Relaxed);
            // A closed queue needs no sweep.
            let _ = shared.queue.push(Write::Sweep {
                now_ms: now.unix_ms,
            });
        }
    }
}

impl<D: Deliver> Drop for StoreBroker<D> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Answers an operation that was not admitted.
fn reject(op: Op, refusal: Refusal) {
    match op {
        Op::Publish(publish) => (publish.done)(Err(refusal)),
        Op::Clear(clear) => (clear.done)(Err(refusal)),
        Op::Attach { done, .. } => done(Err(refusal)),
        Op::History { done, .. } => done(Err(refusal)),
        Op::Detach { .. } => {}
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .expect("the system gives the store its threads")
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the message store panicked");
        }
    }
}

/// Threads that load rooms: while one waits for the disk, the other serves from the page cache.
const READERS: usize = 2;

/// Pause between two looks for silent rooms.
const SWEEP_INTERVAL_MS: u64 = 5_000;
