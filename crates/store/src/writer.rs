//! The writer: one thread that commits whatever came while the last commit ran.
//!
//! ```text
//!            commit failed                      a second (or more) later
//! Writing ------------------> Broken --------------------------------------> the database is opened again,
//!    ^                        publishes are refused, reads go on             what the failed commit may have left is undone
//!    |                          ^                                                       |            |
//!    |                          +------------------------ failed again -----------------+            |
//!    +------------------------------------------------------------------------------- committed -----+
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use nuncio_hub::{Deliver, RoomKey};
use nuncio_model::{PositionReason, Published, Refusal, SocketId};
use redb::Database;

use crate::database::Access;
use crate::domain::Records;
use crate::fault::Fault;
use crate::journal::{Due, Journal, Share};
use crate::plan::{Answer, AnswerKind, Emit, Plan, Waiting, kept};
use crate::queue::{Clear, Taken, Write};
use crate::shared::Shared;
use crate::sweep::Sweep;
use crate::tables::Meta;
use crate::undo::{self, Undone};

/// The state of the writer's thread.
pub(crate) struct Writer<D> {
    shared: Arc<Shared<D>>,
    meta: Meta,
    journal: Journal,
    sweep: Sweep,
    /// Rooms of failed commits: what is on disk for them beyond their log is not known.
    unsure: HashSet<RoomKey>,
    /// Sessions that a failed commit did not keep, or that came after it, until writing works again.
    unsaved: Records,
    /// When to try again after a failure.
    retry_at: Option<Instant>,
}

impl<D: Deliver> Writer<D> {
    pub(crate) fn new(shared: Arc<Shared<D>>, meta: Meta) -> Self {
        Self {
            shared,
            meta,
            journal: Journal::new(),
            sweep: Sweep::default(),
            unsure: HashSet::new(),
            unsaved: Records::default(),
            retry_at: None,
        }
    }

    /// Writes until the queue is closed and empty, then closes the database.
    pub(crate) fn run(mut self) {
        loop {
            match self.shared.queue.take(self.retry_at) {
                Taken::Writes(writes) => self.handle(writes),
                Taken::Timeout => {}
                Taken::Closed => break,
            }
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.recover();
            }
        }
        if self.retry_at.is_some() {
            // The last chance to undo what a failed commit may have left.
            self.recover();
        }
        // So that the next start has nothing to move.
        if !self.journal.is_empty()
            && let Err(fault) = self.write(&mut Plan::with_capacity(0), Share::All)
        {
            tracing::warn!(%fault, "the journal was not moved; the next start does it");
        }
        self.shared.databases.close();
    }

    /// Does everything in order: publishes that follow each other share a commit.
    fn handle(&mut self, mut writes: VecDeque<Write>) {
        while let Some(write) = writes.pop_front() {
            if let Some(refusal) = self.shared.health.refusal() {
                match write {
                    Write::Keep { socket, record } => {
                        self.save_later(socket, record);
                        continue;
                    }
                    Write::Reopen { generation } => self.shared.databases.give_up(generation),
                    _ => {}
                }
                self.refuse(write, &refusal);
                continue;
            }
            match write {
                write @ (Write::Publish(_)
                | Write::Append(_)
                | Write::Keep { .. }
                | Write::Settle(_)) => self.commit_together(write, &mut writes),
                Write::Clear(clear) => self.clear(clear),
                Write::Sweep { now_ms } => self.sweep(now_ms),
                Write::Reopen { generation } => self.reopen(generation),
                // Nobody waits for it any more when the channel is closed.
                Write::Flush(flushed) => drop(flushed.try_send(())),
            }
        }
    }

    /// Writes that follow each other and share a commit.
    fn commit_together(&mut self, first: Write, writes: &mut VecDeque<Write>) {
        let mut plan = Plan::with_capacity(writes.len() + 1);
        plan.take(&self.shared, first);
        while let Some(Write::Publish(_) | Write::Append(_) | Write::Keep { .. } | Write::Settle(_)) =
            writes.front()
            && plan.answers.len() < COMMIT_MAX
        {
            let Some(next) = writes.pop_front() else {
                unreachable!("it was at the front")
            };
            plan.take(&self.shared, next);
        }
        self.commit(plan);
    }

    /// Commit, then visible, then acknowledged.
    fn commit(&mut self, mut plan: Plan) {
        let messages = plan.messages();
        if messages > 0 || !plan.order.is_empty() {
            let began = Instant::now();
            if let Err(fault) = self.write(&mut plan, Share::Oldest) {
                self.shared.observer.failed(messages + plan.emits());
                return self.fail_plan(plan, &fault);
            }
            if messages > 0 {
                self.shared.observer.committed(messages, began.elapsed());
            }
        }
        self.count(&plan, messages);
        for waiting in plan.answers {
            match waiting {
                Waiting::Publisher(answer) => self.answer(answer),
                Waiting::Emit(Emit { entry, done, bytes }) => {
                    self.shared.queue.release(1, bytes);
                    self.shared.rooms.deliver_entry(&entry);
                    done(Ok(()));
                }
                Waiting::Settle(kept) => kept(),
            }
        }
        self.shared.evict();
    }

    /// One transaction. When it fails, what is on disk of the rooms in it is not known.
    fn write(&mut self, plan: &mut Plan, share: Share) -> Result<(), Fault> {
        let mut due = self.journal.due(&self.shared, share);
        let result = self.database().and_then(|database| {
            plan.commit(
                &self.shared,
                &database,
                &mut self.meta,
                &mut self.journal,
                &mut due,
            )
        });
        if result.is_err() {
            let new = plan.rooms.keys().cloned();
            for key in new.chain(due.into_iter().map(|due| due.key)) {
                self.doubt(key);
            }
        }
        result
    }

    fn answer(&self, answer: Answer) {
        let Answer {
            key,
            kind,
            done,
            bytes,
        } = answer;
        // Before `done`: who publishes again at once finds the place free.
        self.shared.queue.release(1, bytes);
        let mut shard = self.shared.shards.of(&key).lock();
        let kept = kept(shard.get_mut(&key));
        kept.queued -= 1;
        match kind {
            AnswerKind::New {
                publication,
                idempotency_key,
                entry,
            } => {
                kept.log.push(
                    publication.clone(),
                    idempotency_key,
                    self.shared.limits(&key),
                );
                self.shared.charge(kept);
                match entry {
                    Some(entry) => self.shared.rooms.deliver_entry(&entry),
                    None => self.shared.rooms.deliver(&publication),
                }
                done(Ok(Published {
                    id: publication.id,
                    position: publication.position,
                    ts: publication.ts,
                }));
            }
            AnswerKind::Repeat {
                author,
                idempotency_key,
            } => {
                let first = kept.log.repeat_of(author.as_ref(), &idempotency_key);
                done(
                    first.ok_or_else(|| {
                        Refusal::unavailable("The key expired on the way: try again")
                    }),
                );
            }
        }
    }

    fn count(&self, plan: &Plan, messages: usize) {
        let totals = &self.shared.totals;
        totals
            .commits
            .fetch_add(u64::from(messages > 0), Ordering::Relaxed);
        totals
            .messages
            .fetch_add(messages as u64, Ordering::Relaxed);
        let bytes = plan.answers.iter().map(|waiting| match waiting {
            Waiting::Publisher(answer) => answer.bytes,
            Waiting::Emit(_) | Waiting::Settle(_) => 0,
        });
        let bytes: usize = bytes.sum();
        totals.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn clear(&mut self, clear: Clear) {
        let Clear { key, done } = clear;
        let shared = self.shared.clone();
        let (id, blocks, position) = {
            let mut shard = shared.shards.of(&key).lock();
            let kept = kept(shard.get_mut(&key));
            (
                kept.id,
                std::mem::take(&mut kept.blocks),
                kept.log.position(),
            )
        };
        // A room without a number has nothing on disk.
        let mut due = Due {
            key: key.clone(),
            id: id.unwrap_or(0),
            blocks,
        };
        let result = match id {
            Some(_) => self.database().and_then(|database| {
                undo::clear(
                    &database,
                    &mut due,
                    position,
                    self.journal.publications(&key),
                )
            }),
            None => Ok(0),
        };
        if result.is_err() {
            self.doubt(key.clone());
        } else if self.journal.settle(&key, position.seq) {
            kept(shared.shards.of(&key).lock().get_mut(&key)).queued -= 1;
        }
        let mut shard = shared.shards.of(&key).lock();
        let room = kept(shard.get_mut(&key));
        room.queued -= 1;
        match result {
            Ok(freed) => self.meta.content_bytes = self.meta.content_bytes.saturating_sub(freed),
            Err(fault) => {
                done(Err(fault.refusal_of_writing()));
                drop(shard);
                shared.queue.release(1, 0);
                return self.fail(&fault);
            }
        }
        room.blocks = due.blocks;
        room.log.clear();
        shared.charge(room);
        shared
            .rooms
            .position_broken(&key, position, PositionReason::Cleared);
        done(Ok(position));
        drop(shard);
        shared.queue.release(1, 0);
    }

    fn sweep(&mut self, now_ms: u64) {
        let result = self
            .database()
            .and_then(|database| self.sweep.run(&self.shared, &database, now_ms));
        self.shared.is_sweeping.store(false, Ordering::Release);
        match result {
            Ok(freed) => self.meta.content_bytes = self.meta.content_bytes.saturating_sub(freed),
            Err(fault) => self.fail(&fault),
        }
    }

    /// A reader met an error: the database is given up, but for one that another reader has already reported.
    fn reopen(&mut self, generation: u64) {
        if self.shared.databases.present().0 == generation {
            self.fail(&Fault::Closed);
            self.retry_at = Some(Instant::now());
        }
    }

    fn fail_plan(&mut self, plan: Plan, fault: &Fault) {
        let refusal = fault.refusal_of_writing();
        // Refused from here on, so that whoever tries again at once does not overtake these.
        self.shared.health.set(Some(refusal.clone()));
        for (socket, record) in plan.order.records {
            self.save_later(socket, record);
        }
        for waiting in plan.answers {
            let Answer {
                key, done, bytes, ..
            } = match waiting {
                Waiting::Publisher(answer) => answer,
                Waiting::Emit(Emit { done, bytes, .. }) => {
                    self.shared.queue.release(1, bytes);
                    done(Err(refusal.clone()));
                    continue;
                }
                Waiting::Settle(kept) => {
                    kept();
                    continue;
                }
            };
            let mut shard = self.shared.shards.of(&key).lock();
            kept(shard.get_mut(&key)).queued -= 1;
            self.shared.queue.release(1, bytes);
            done(Err(refusal.clone()));
        }
        self.fail(fault);
    }

    /// A session that cannot be written now. One that ended needs no note: what is on disk of such is found when writing works again.
    fn save_later(&mut self, socket: SocketId, record: Option<Vec<u8>>) {
        match record {
            Some(_) => drop(self.unsaved.insert(socket, record)),
            None => drop(self.unsaved.remove(&socket)),
        }
    }

    /// Writes the sessions as they have become meanwhile.
    fn save(&mut self) {
        let mut plan = Plan::with_capacity(0);
        plan.order.records = std::mem::take(&mut self.unsaved);
        self.commit(plan);
    }

    /// The room stays in memory until it is known what is on disk.
    fn doubt(&mut self, key: RoomKey) {
        if !self.unsure.contains(&key) {
            kept(self.shared.shards.of(&key).lock().get_mut(&key)).queued += 1;
            self.unsure.insert(key);
        }
    }

    /// Refuses writes from here on, and serves reads from what is on disk.
    fn fail(&mut self, fault: &Fault) {
        tracing::error!(%fault, "the message store cannot be written: publishes are refused until it can");
        self.shared.health.set(Some(fault.refusal_of_writing()));
        let took = self.open_for_reading();
        self.retry_at = Some(Instant::now() + pause_after(took));
    }

    fn open_for_reading(&self) -> Duration {
        let began = Instant::now();
        if let Err(fault) = self.shared.databases.reopen(Access::Read) {
            tracing::error!(%fault, "the message store cannot be read either: only rooms in memory can");
        }
        began.elapsed()
    }

    /// Opens the database again, and brings what is on disk to what clients were told.
    fn recover(&mut self) {
        let began = Instant::now();
        let result = self
            .shared
            .databases
            .reopen(Access::Full)
            .and_then(|database| {
                let domain = self.shared.rooms.domain();
                undo::undo(&database, &self.unsure, &self.journal, &self.meta, domain)
            });
        match result {
            Ok(undone) => {
                for room in undone {
                    self.settle(room);
                }
                self.journal.reorder();
                self.retry_at = None;
                self.shared.health.set(None);
                self.shared.observer.recovered();
                tracing::info!("the message store can be written again");
                self.save();
            }
            Err(fault) => {
                tracing::debug!(%fault, "the message store still cannot be written");
                self.shared.health.set(Some(fault.refusal_of_writing()));
                self.open_for_reading();
                self.retry_at = Some(Instant::now() + pause_after(began.elapsed()));
            }
        }
    }

    /// A room whose rows are known again.
    fn settle(&mut self, room: Undone) {
        let Undone {
            key,
            id,
            row_seq,
            blocks,
        } = room;
        let is_moved = self.journal.settle(&key, blocks.last_seq().max(row_seq));
        let mut shard = self.shared.shards.of(&key).lock();
        let kept = kept(shard.get_mut(&key));
        kept.queued -= 1 + usize::from(is_moved);
        (kept.id, kept.blocks) = (id, blocks);
        if row_seq == kept.log.position().seq && kept.log.bytes() > 0 {
            // Only a clear takes out what the log still has: it was refused, but done.
            kept.log.clear();
            self.shared
                .rooms
                .position_broken(&key, kept.log.position(), PositionReason::Cleared);
        }
        self.shared.charge(kept);
        self.unsure.remove(&key);
    }

    /// Refuses a write of a broken store. Rooms are let go, waiting readers and flushes answered.
    fn refuse(&self, write: Write, refusal: &Refusal) {
        let key = match &write {
            Write::Publish(publish) => Some(publish.key.clone()),
            Write::Clear(clear) => Some(clear.key.clone()),
            Write::Append(_)
            | Write::Keep { .. }
            | Write::Settle(_)
            | Write::Sweep { .. }
            | Write::Reopen { .. }
            | Write::Flush(_) => None,
        };
        let Some(key) = key else {
            return self.shared.refuse_write(write, refusal);
        };
        let mut shard = self.shared.shards.of(&key).lock();
        kept(shard.get_mut(&key)).queued -= 1;
        self.shared.refuse_write(write, refusal);
    }

    fn database(&self) -> Result<Arc<Database>, Fault> {
        self.shared.databases.present().1.ok_or(Fault::Closed)
    }
}

/// Once a second at most; less often where checking the file takes long.
fn pause_after(took: Duration) -> Duration {
    (took * 10).max(Duration::from_secs(1))
}

/// Publications of one commit at most, so that the first of them does not wait for long.
const COMMIT_MAX: usize = 8192;
