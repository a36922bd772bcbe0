//! An order domain: namespaces whose messages, emits included, get one ordinal and reach every outbox in that order, so that a client that lost its
//! connection can be given exactly what it missed.

mod entry;
mod ledger;
mod log;
mod record;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use nuncio_model::{Epoch, Namespace, Now, SocketId};
use parking_lot::{Mutex, MutexGuard};

pub use entry::Entry;
pub(crate) use entry::{is_ordered, plain, push_len};
pub use ledger::Ledger;
pub use record::{Record, Span, TokenMark};
pub(crate) use state::{Claim, Claimant, State};

use crate::node::End;

/// Which namespaces a domain orders, and how much it remembers.
#[derive(Debug, Clone)]
pub struct DomainConfig {
    /// The namespaces; empty means all.
    pub namespaces: Vec<Namespace>,
    /// How long a session is kept for its client to return.
    pub lost_ttl: Duration,
    /// How long a connection may be dead before that is noticed: messages are kept so much longer.
    pub silence_max: Duration,
    /// Bytes of messages kept. Beyond it the oldest go, and clients that may have missed them are told that they are not recovered.
    pub log_bytes_max: usize,
    /// Sessions without a connection; the oldest go first.
    pub lost_max: usize,
}

impl DomainConfig {
    /// Whether a namespace is one of them. O(namespaces named).
    pub fn covers(&self, namespace: &Namespace) -> bool {
        self.namespaces.is_empty() || self.namespaces.contains(namespace)
    }
}

/// What was kept of a domain when its process ended.
#[derive(Debug)]
pub struct Restored {
    /// Names the numbering, which goes on.
    pub epoch: Epoch,
    /// The last ordinal given.
    pub last: u64,
    /// The newest message that had to go for want of room, while somebody may miss it.
    pub dropped: Option<u64>,
    /// The messages, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The sessions.
    pub records: Vec<(SocketId, Record)>,
}

/// The order of some namespaces, what was said in it lately, and the sessions that may ask for that.
///
/// Locked after a room's log and before its shard. Whatever changes who gets a message (a join, a leave, a connect) first hands over what waits, and takes
/// its place in the order, under this lock.
pub struct Domain {
    config: DomainConfig,
    state: Mutex<State>,
    /// Whether messages wait to be handed over. Read without the lock.
    due: AtomicBool,
    ledger: OnceLock<Weak<dyn Ledger>>,
}

impl Domain {
    /// A domain that goes on where `restored` ends. Those who were connected then have all of [`DomainConfig::lost_ttl`] from now.
    pub fn new(config: DomainConfig, restored: Restored, now: Now) -> Self {
        let state = Mutex::new(State::new(&config, restored, now));
        Self {
            config,
            state,
            due: AtomicBool::new(false),
            ledger: OnceLock::new(),
        }
    }

    /// Keeps messages and sessions in `ledger` from here on. Only the first call counts.
    pub fn keep_in(&self, ledger: &Arc<dyn Ledger>) {
        let _ = self.ledger.set(Arc::downgrade(ledger));
    }

    /// Whether a namespace is ordered by it. O(namespaces named).
    pub fn covers(&self, namespace: &Namespace) -> bool {
        self.config.covers(namespace)
    }

    /// The last ordinal given, and the first that is kept.
    pub fn bounds(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.last, state.log.first().unwrap_or(state.last + 1))
    }

    /// The numbering, and the newest message that had to go for want of room while somebody may miss it.
    pub fn marks(&self) -> (Epoch, Option<u64>) {
        let state = self.state.lock();
        (state.epoch, state.log.dropped())
    }

    /// Messages that are kept.
    pub fn log_len(&self) -> usize {
        self.state.lock().log.len()
    }

    /// Sessions that may be recovered, the connected ones included.
    pub fn records_len(&self) -> usize {
        self.state.lock().records.len()
    }

    /// Whether a session has this id.
    pub fn has_record(&self, socket: &SocketId) -> bool {
        self.state.lock().records.contains_key(socket)
    }

    /// Lets go of what is too old, messages and sessions.
    pub(crate) fn handle_timeout(&self, now: Now) {
        let mut state = self.state.lock();
        for socket in state.handle_timeout(now, self.config.lost_ttl) {
            self.keep(&state, socket);
        }
    }

    pub(crate) const fn config(&self) -> &DomainConfig {
        &self.config
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    pub(crate) fn set_due(&self, due: bool) {
        self.due.store(due, Ordering::Release);
    }

    /// Where it is kept; `None` where memory must do.
    pub(crate) fn ledger(&self) -> Option<Arc<dyn Ledger>> {
        self.ledger.get()?.upgrade()
    }

    /// Writes a session through as it is now.
    pub(crate) fn keep(&self, state: &State, socket: SocketId) {
        if let Some(ledger) = self.ledger() {
            let record = state.records.get(&socket).map(|kept| &kept.record);
            ledger.keep(socket, record);
        }
    }
}

/// The lock of a domain in which nothing waits.
pub(crate) struct Settled<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) state: MutexGuard<'a, State>,
}

impl Settled<'_> {
    /// A session's connection is over.
    pub(crate) fn end(&mut self, socket: SocketId, end: End, now: Now) {
        let over = match end {
            End::Ended if self.state.records.contains_key(&socket) => {
                self.state.forget(&socket);
                vec![socket]
            }
            End::Ended => Vec::new(),
            End::Lost => self.state.lose(socket, now.instant),
        };
        for socket in over {
            self.domain.keep(&self.state, socket);
        }
    }

    /// Changes a session, when there is one of that id, and writes it through.
    pub(crate) fn change(&mut self, socket: SocketId, change: impl FnOnce(&mut State)) {
        if self.state.records.contains_key(&socket) {
            change(&mut self.state);
            self.domain.keep(&self.state, socket);
        }
    }
}
