//! What waits for the writer, bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use nuncio_hub::{Done, Entry, RoomKey, Submission};
use nuncio_model::{Position, Published, SocketId};
use parking_lot::{Condvar, Mutex};

/// Something for the writer to do.
pub(crate) enum Write {
    Publish(Publish),
    Clear(Clear),
    /// A message that has a place in an order, and no room's history.
    Append(Box<Append>),
    /// A session as it is now; `None` is forgotten.
    Keep {
        socket: SocketId,
        record: Option<Vec<u8>>,
    },
    /// Say when everything before is committed, or cannot be.
    Settle(Box<dyn FnOnce() + Send>),
    /// Look for rooms whose history is too old.
    Sweep {
        now_ms: u64,
    },
    /// The database of this generation failed a reader.
    Reopen {
        generation: u64,
    },
    /// Say when everything before is done.
    Flush(SyncSender<()>),
}

/// A publication on its way.
pub(crate) struct Publish {
    pub(crate) key: RoomKey,
    pub(crate) submission: Submission,
    pub(crate) done: Done<Published>,
}

/// An emit on its way.
pub(crate) struct Append {
    pub(crate) entry: Entry,
    pub(crate) done: Done<()>,
}

/// A room to be emptied.
pub(crate) struct Clear {
    pub(crate) key: RoomKey,
    pub(crate) done: Done<Position>,
}

impl Publish {
    /// What it counts in the queue's bound of bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.submission.request.body.len()
    }
}

/// What waits for the writer, in order, and how much has been admitted that is not done yet.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    admitted: AtomicUsize,
    admitted_bytes: AtomicUsize,
    ops_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    writes: VecDeque<Write>,
    is_closed: bool,
}

/// Why the writer wakes up.
pub(crate) enum Taken {
    /// There is something to do.
    Writes(VecDeque<Write>),
    /// The deadline has come.
    Timeout,
    /// Everything is done and nothing will come.
    Closed,
}

impl Queue {
    pub(crate) fn new(ops_max: usize, bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            admitted: AtomicUsize::new(0),
            admitted_bytes: AtomicUsize::new(0),
            ops_max,
            bytes_max,
        }
    }

    /// Reserves a place for one operation, `false` when there is none. The place is given back by [`release`](Self::release).
    pub(crate) fn admit(&self, bytes: usize) -> bool {
        let ops = self.admitted.fetch_add(1, Ordering::Relaxed);
        let waiting = self.admitted_bytes.fetch_add(bytes, Ordering::Relaxed);
        // One message larger than the bound still gets through, alone.
        let fits = ops < self.ops_max && (waiting == 0 || waiting + bytes <= self.bytes_max);
        if !fits {
            self.release(1, bytes);
        }
        fits
    }

    /// Gives places back.
    pub(crate) fn release(&self, ops: usize, bytes: usize) {
        self.admitted.fetch_sub(ops, Ordering::Relaxed);
        self.admitted_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Operations that are not done yet.
    pub(crate) fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }

    /// Hands something to the writer; gives it back when the queue is closed.
    pub(crate) fn push(&self, write: Write) -> Result<(), Box<Write>> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Box::new(write));
        }
        state.writes.push_back(write);
        if state.writes.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for something to do, and takes all there is.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut state = self.state.lock();
        loop {
            if !state.writes.is_empty() {
                return Taken::Writes(std::mem::take(&mut state.writes));
            }
            if state.is_closed {
                return Taken::Closed;
            }
            match deadline {
                None => self.filled.wait(&mut state),
                Some(deadline) => {
                    if self.filled.wait_until(&mut state, deadline).timed_out()
                        && state.writes.is_empty()
                    {
                        return Taken::Timeout;
                    }
                }
            }
        }
    }

    /// Takes nothing in any more; what is there is still done.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_all();
    }
}
