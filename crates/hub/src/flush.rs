//! Who writes: a publication makes outboxes due, and a flusher per worker writes each of them once with all that waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use crate::outbox::{Outbox, Sink};

/// How many sockets a flusher writes before it lets other tasks run.
pub const SLICE: usize = 256;

/// The lists of outboxes that are due, one for each flusher.
pub struct Flushers<S> {
    flushers: Box<[Flusher<S>]>,
}

struct Flusher<S> {
    due: Mutex<Vec<Arc<Outbox<S>>>>,
    signaled: AtomicBool,
    task: Mutex<Option<Waker>>,
}

/// Whether a flusher has more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// Nothing is due.
    Done,
    /// More is due: yield, then go on.
    More,
}

impl<S: Sink> Flushers<S> {
    /// As many flushers as workers, at most 256.
    pub fn new(count: usize) -> Self {
        let flusher = || Flusher {
            due: Mutex::default(),
            signaled: AtomicBool::new(false),
            task: Mutex::new(None),
        };
        Self {
            flushers: (0..count.clamp(1, 256)).map(|_| flusher()).collect(),
        }
    }

    /// How many flushers there are.
    pub fn len(&self) -> usize {
        self.flushers.len()
    }

    /// Never: there is always one.
    pub fn is_empty(&self) -> bool {
        self.flushers.is_empty()
    }

    /// Puts an outbox that has become due on its flusher's list.
    pub fn add(&self, outbox: Arc<Outbox<S>>) {
        let home = outbox.home(self.flushers.len());
        self.flushers[home].due.lock().push(outbox);
        self.signal(home);
    }

    /// The same for many outboxes of one flusher, with one lock. Leaves `outboxes` empty.
    pub fn add_all(&self, home: usize, outboxes: &mut Vec<Arc<Outbox<S>>>) {
        if outboxes.is_empty() {
            return;
        }
        self.flushers[home].due.lock().append(outboxes);
        self.signal(home);
    }

    /// Wakes a flusher's task, once until it runs.
    pub fn signal(&self, home: usize) {
        let flusher = &self.flushers[home % self.flushers.len()];
        if !flusher.signaled.swap(true, Ordering::AcqRel) {
            let task = flusher.task.lock();
            if let Some(task) = &*task {
                task.wake_by_ref();
            }
        }
    }

    /// Leaves the waker of a flusher's task; `true` when there is something to do already.
    pub fn poll_signal(&self, home: usize, waker: &Waker) -> bool {
        let flusher = &self.flushers[home];
        let mut task = flusher.task.lock();
        match &mut *task {
            Some(task) => task.clone_from(waker),
            None => *task = Some(waker.clone()),
        }
        flusher.signaled.swap(false, Ordering::AcqRel)
    }

    /// Writes up to [`SLICE`] of the outboxes that are due.
    pub fn flush_slice(&self, home: usize, slice: &mut Vec<Arc<Outbox<S>>>) -> Slice {
        let more = {
            let mut due = self.flushers[home].due.lock();
            if due.len() <= SLICE {
                std::mem::swap(&mut *due, slice);
            } else {
                slice.extend(due.drain(..SLICE));
            }
            !due.is_empty()
        };
        for outbox in slice.drain(..) {
            outbox.flush();
        }
        if more { Slice::More } else { Slice::Done }
    }
}
