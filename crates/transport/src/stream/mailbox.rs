//! How requests reach the task of their session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nuncio_protocol::stream::Posting;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::pipe::Pipe;
use super::reply::Reply;
use crate::sink::Outbox;

/// The inbox of one session's task, for requests.
pub(super) struct Mailbox {
    outbox: Arc<Outbox>,
    requests: AtomicU64,
    letters: Mutex<Letters>,
}

#[derive(Default)]
enum Letters {
    #[default]
    None,
    Some(VecDeque<Letter>),
    /// The task has ended.
    Closed,
}

/// Names a poll or a stream among those of its session: a newer one takes the place of the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId(u64);

/// One thing for the task.
pub(super) enum Letter {
    /// A poll from this cursor on.
    Poll(RequestId, u64, Answer),
    /// A stream from this cursor on, or from the first message that is kept.
    Stream(
        RequestId,
        Option<u64>,
        oneshot::Sender<Result<Arc<Pipe>, Reply>>,
    ),
    /// What the client says.
    Send(Posting, Answer),
    /// The client cut a poll or a stream off.
    Gone(RequestId),
}

/// Where a response goes.
pub(super) type Answer = oneshot::Sender<Reply>;

/// Letters that may wait at once. The task takes them all in one turn, so more come only from a client that floods it.
const LETTERS_MAX: usize = 32;

impl Mailbox {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self {
            outbox,
            requests: AtomicU64::new(0),
            letters: Mutex::default(),
        }
    }

    /// A name for a request.
    fn request(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Leaves a letter and wakes the task. `false` when the task has ended, or has too much to read.
    pub(super) fn push(&self, letter: Letter) -> bool {
        {
            let mut letters = self.letters.lock();
            match &mut *letters {
                Letters::None => *letters = Letters::Some(VecDeque::from([letter])),
                Letters::Some(waiting)
                    if waiting.len() < LETTERS_MAX || matches!(letter, Letter::Gone(_)) =>
                {
                    waiting.push_back(letter);
                }
                Letters::Some(_) | Letters::Closed => return false,
            }
        }
        self.outbox.wake();
        true
    }

    /// Takes all letters.
    pub(super) fn take(&self) -> VecDeque<Letter> {
        let mut letters = self.letters.lock();
        match std::mem::take(&mut *letters) {
            Letters::None => VecDeque::new(),
            Letters::Some(waiting) => waiting,
            Letters::Closed => {
                *letters = Letters::Closed;
                VecDeque::new()
            }
        }
    }

    /// Takes no more letters; those that wait are dropped, and their requests told that the session is gone.
    pub(super) fn close(&self) {
        *self.letters.lock() = Letters::Closed;
    }
}

/// A request that the session's task knows of. Dropped before it is answered, it is gone, and the task hears of it.
pub(super) struct Presence {
    mailbox: Option<Arc<Mailbox>>,
    pub(super) id: RequestId,
}

impl Presence {
    pub(super) fn of(mailbox: Arc<Mailbox>) -> Self {
        Self {
            id: mailbox.request(),
            mailbox: Some(mailbox),
        }
    }

    /// The request has its answer.
    pub(super) fn answered(mut self) {
        self.mailbox = None;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.push(Letter::Gone(self.id));
        }
    }
}
