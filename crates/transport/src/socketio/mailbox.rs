//! How the requests of one connection reach its task.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use nuncio_engineio::payload::Content;
use nuncio_engineio::server::RequestId;
use nuncio_engineio::{Protocol, Response, Session, Transport};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::link::Opened;
use crate::sink::Outbox;

/// The inbox of one connection's task, for requests.
pub(super) struct Mailbox {
    outbox: Arc<Outbox>,
    protocol: Protocol,
    is_upgraded: AtomicBool,
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

/// One thing for the task.
pub(super) enum Letter {
    /// A poll.
    Get(RequestId, Answer),
    /// The head of a POST.
    Post(RequestId, Content, Answer),
    /// A request with another method.
    Other(RequestId, Answer),
    /// The body of a POST that was announced; `None` when it is too large.
    Body(RequestId, Content, Option<Bytes>),
    /// The client cut a request off.
    Aborted(RequestId),
    /// A WebSocket that wants to take over.
    WebSocket(Opened),
}

/// Where a response goes; dropped without one, the connection of the request is cut.
pub(super) type Answer = oneshot::Sender<Response>;

/// Letters that may wait at once. The task takes them all in one turn, so more come only from a client that floods it.
const LETTERS_MAX: usize = 32;

impl Mailbox {
    pub(super) fn new(outbox: Arc<Outbox>, protocol: Protocol) -> Self {
        Self {
            outbox,
            protocol,
            is_upgraded: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            letters: Mutex::default(),
        }
    }

    /// A number for a request.
    pub(super) fn number(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// How the client is connected.
    pub(super) fn session(&self) -> Session {
        Session {
            transport: if self.is_upgraded.load(Ordering::Acquire) {
                Transport::WebSocket
            } else {
                Transport::Polling
            },
            protocol: self.protocol,
        }
    }

    pub(super) fn set_upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Release);
    }

    /// Leaves a letter and wakes the task. Given back when the task has ended, or has too much to read.
    pub(super) fn push(&self, letter: Letter) -> Result<(), Letter> {
        {
            let mut letters = self.letters.lock();
            match &mut *letters {
                Letters::None => *letters = Letters::Some(VecDeque::from([letter])),
                Letters::Some(waiting) if waiting.len() < LETTERS_MAX || letter.is_sequel() => {
                    waiting.push_back(letter);
                }
                Letters::Some(_) | Letters::Closed => return Err(letter),
            }
        }
        self.outbox.wake();
        Ok(())
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

    /// Takes no more letters, and gives those back that wait.
    pub(super) fn close(&self) -> VecDeque<Letter> {
        match std::mem::replace(&mut *self.letters.lock(), Letters::Closed) {
            Letters::Some(waiting) => waiting,
            Letters::None | Letters::Closed => VecDeque::new(),
        }
    }
}

impl Letter {
    /// Whether it belongs to a request that is known already; there is at most one of each for a request.
    const fn is_sequel(&self) -> bool {
        matches!(self, Self::Body(..) | Self::Aborted(_))
    }
}
