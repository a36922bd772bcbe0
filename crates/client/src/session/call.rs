//! Calls that wait for their turn or for their reply.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use nuncio_model::{CallId, Command, Json};
use nuncio_protocol::client::Failure;
use nuncio_protocol::{Incoming, JoinForm};

/// Names one call of the application to whoever waits for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The server refused it.
    #[error(transparent)]
    Refused(Failure),
    /// No reply in time, after all attempts. It may have been done.
    #[error("no reply to {attempts} attempts")]
    Timeout {
        /// How often it was sent.
        attempts: u32,
    },
    /// The connection was lost before the reply, and the call must not be repeated: it has no idempotency key, or was sent more
    /// than 4 minutes ago, and the server may have forgotten the key. It may have been done.
    #[error("the connection was lost before the reply")]
    Lost,
    /// As many calls as allowed wait already; nothing was done.
    #[error("{max} calls wait already")]
    QueueFull {
        /// [`SessionConfig::queue_max`](super::SessionConfig::queue_max).
        max: usize,
    },
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
    /// A reply that no version of the server gives.
    #[error("the reply cannot be read: {0}")]
    Unreadable(String),
}

/// Whether a call may be sent again when its reply is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The same twice is the same once: a question, or a publication with its idempotency key.
    Safe,
    /// Doing it twice would be seen.
    Never,
}

/// The bounds of [`Calls`].
#[derive(Debug, Clone, Copy)]
pub(super) struct CallBounds {
    pub(super) timeout: Duration,
    pub(super) attempts_max: u32,
    pub(super) queue_max: usize,
}

/// All calls of a session, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Calls {
    bounds: CallBounds,
    waiting: VecDeque<Call>,
    /// By the `id` on the wire, which grows: the order of sending.
    flying: BTreeMap<u64, Call>,
    /// Earlier ids of calls that were sent again, for replies that come late.
    earlier: BTreeMap<u64, Ticket>,
    id_last: u64,
    paused_until: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Call {
    ticket: Ticket,
    command: Command,
    repeat: Repeat,
    attempts: u32,
    deadline: Option<Instant>,
    sent_first: Option<Instant>,
}

/// The end of a call.
pub(super) type Settled = (Ticket, Result<Json, CallError>);

impl Calls {
    pub(super) const fn new(bounds: CallBounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            flying: BTreeMap::new(),
            earlier: BTreeMap::new(),
            id_last: 0,
            paused_until: None,
        }
    }

    /// Takes a call at the end of the queue.
    pub(super) fn push(
        &mut self,
        ticket: Ticket,
        command: Command,
        repeat: Repeat,
    ) -> Result<(), CallError> {
        let max = self.bounds.queue_max;
        if self.waiting.len() + self.flying.len() >= max {
            return Err(CallError::QueueFull { max });
        }
        self.waiting.push_back(Call {
            ticket,
            command,
            repeat,
            attempts: 0,
            deadline: None,
            sent_first: None,
        });
        Ok(())
    }

    /// An `id` for a message of the session's own.
    pub(super) const fn next_id(&mut self) -> u64 {
        self.id_last += 1;
        self.id_last
    }

    /// The next message to send, while fewer than [`FLYING_MAX`] are without a reply and no pause is on.
    pub(super) fn poll_send(&mut self, now: Instant) -> Option<Incoming> {
        if self.flying.len() >= FLYING_MAX || self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.paused_until = None;
        let mut call = self.waiting.pop_front()?;
        call.attempts += 1;
        call.deadline = Some(now + self.bounds.timeout);
        call.sent_first.get_or_insert(now);
        let id = self.next_id();
        let command = call.command.clone();
        self.flying.insert(id, call);
        Some(Incoming::Command {
            id: Some(CallId::Number(id)),
            command,
            form: JoinForm::One,
        })
    }

    /// Ends the call that a reply belongs to, unless the refusal only asks to wait.
    pub(super) fn handle_reply(
        &mut self,
        id: u64,
        outcome: Result<Json, Failure>,
        now: Instant,
    ) -> Option<Settled> {
        let Some(mut call) = self.flying.remove(&id) else {
            return self.handle_late_reply(id, outcome);
        };
        match outcome {
            Err(failure) if self.may_wait(&call, &failure) => {
                if &*failure.code == "RATE_LIMITED" {
                    call.attempts -= 1;
                }
                let pause = failure.retry_after.unwrap_or(PAUSE_DEFAULT);
                let until = now + pause;
                self.paused_until = Some(self.paused_until.map_or(until, |at| at.max(until)));
                self.wait_again(id, call);
                None
            }
            outcome => Some(self.settle(call.ticket, outcome)),
        }
    }

    /// Who is told to slow down slows down: a rate limit does not count as an attempt, for nothing was tried.
    fn may_wait(&self, call: &Call, failure: &Failure) -> bool {
        match &*failure.code {
            "RATE_LIMITED" => true,
            "UNAVAILABLE" => {
                call.repeat == Repeat::Safe && call.attempts < self.bounds.attempts_max
            }
            _ => false,
        }
    }

    /// Back into the queue at the place where it was: before everything that was sent after it.
    fn wait_again(&mut self, id: u64, mut call: Call) {
        call.deadline = None;
        self.earlier.insert(id, call.ticket);
        let place = self
            .waiting
            .iter()
            .position(|other| other.ticket > call.ticket)
            .unwrap_or(self.waiting.len());
        self.waiting.insert(place, call);
    }

    fn handle_late_reply(&mut self, id: u64, outcome: Result<Json, Failure>) -> Option<Settled> {
        let ticket = self.earlier.remove(&id)?;
        // A late refusal says nothing about the attempt that is under way.
        outcome.as_ref().ok()?;
        self.remove(ticket).then(|| self.settle(ticket, outcome))
    }

    fn remove(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len() + self.flying.len();
        self.waiting.retain(|call| call.ticket != ticket);
        self.flying.retain(|_, call| call.ticket != ticket);
        self.waiting.len() + self.flying.len() < before
    }

    fn settle(&mut self, ticket: Ticket, outcome: Result<Json, Failure>) -> Settled {
        self.earlier.retain(|_, earlier| *earlier != ticket);
        (ticket, outcome.map_err(CallError::Refused))
    }

    /// Sends again what has no reply in time, and ends what had all its attempts.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Settled> {
        self.paused_until = self.paused_until.filter(|until| now < *until);
        let late: Vec<u64> = self
            .flying
            .iter()
            .filter(|(_, call)| call.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        let mut settled = Vec::new();
        for id in late {
            let Some(call) = self.flying.remove(&id) else {
                continue;
            };
            if call.repeat == Repeat::Safe && call.attempts < self.bounds.attempts_max {
                self.wait_again(id, call);
            } else {
                self.earlier.retain(|_, earlier| *earlier != call.ticket);
                let attempts = call.attempts;
                settled.push((call.ticket, Err(CallError::Timeout { attempts })));
            }
        }
        settled
    }

    /// Ends publications that were sent so long ago that the server may have forgotten their keys: a repeat could be a second one.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Settled> {
        let is_old = |call: &Call| {
            matches!(call.command, Command::Publish(_))
                && call
                    .sent_first
                    .is_some_and(|sent| now.saturating_duration_since(sent) >= KEY_LIFETIME)
        };
        let old: Vec<Ticket> = self
            .waiting
            .iter()
            .filter(|call| is_old(call))
            .map(|call| call.ticket)
            .collect();
        for ticket in &old {
            self.remove(*ticket);
        }
        old.into_iter()
            .map(|ticket| (ticket, Err(CallError::Lost)))
            .collect()
    }

    /// The connection is lost, and with it every reply that was on its way.
    pub(super) fn handle_lost(&mut self) -> Vec<Settled> {
        self.earlier.clear();
        self.paused_until = None;
        let mut settled = Vec::new();
        for (id, mut call) in std::mem::take(&mut self.flying) {
            match call.repeat {
                Repeat::Safe => {
                    // A lost connection is not the call's fault: it gets its attempt back.
                    call.attempts -= 1;
                    self.wait_again(id, call);
                }
                Repeat::Never => settled.push((call.ticket, Err(CallError::Lost))),
            }
        }
        self.earlier.clear();
        settled
    }

    /// Ends everything.
    pub(super) fn end(&mut self) -> Vec<Settled> {
        let flying = std::mem::take(&mut self.flying).into_values();
        let waiting = std::mem::take(&mut self.waiting);
        self.earlier.clear();
        let calls = flying.chain(waiting);
        calls
            .map(|call| (call.ticket, Err(CallError::Ended)))
            .collect()
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_send`](Self::poll_send) has something to do without input.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let replies = self.flying.values().filter_map(|call| call.deadline);
        let pause = self.paused_until.filter(|_| !self.waiting.is_empty());
        replies.chain(pause).min()
    }
}

/// Calls without a reply at once. The server takes 64, and closes after 50 refusals in a row for their rate: with this many a
/// burst never comes near either.
const FLYING_MAX: usize = 16;

/// The server remembers an idempotency key for 5 minutes; a minute less, for what is on its way.
const KEY_LIFETIME: Duration = Duration::from_mins(4);

/// The pause after a refusal that does not say how long to wait.
const PAUSE_DEFAULT: Duration = Duration::from_secs(1);
