//! One namespace: what waits to be sent, what waits to be acknowledged, what the server remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::Ticket;
use crate::socketio::{AckError, Args, EmitError};

/// The part of a socket that outlives its connections. What is to be sent is taken out by [`poll_outgoing`](Self::poll_outgoing).
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) rules: SocketRules,
    pub(super) stage: Stage,
    /// What the server gave to find the socket's state again.
    pub(super) pid: Option<String>,
    /// The position of the last event.
    pub(super) offset: Option<String>,
    ids: u64,
    /// Emitted while there was no connection.
    buffer: VecDeque<Outgoing>,
    /// To be sent now.
    ready: VecDeque<Outgoing>,
    acks: BTreeMap<u64, Waiting>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// With retries: one after the other, the first one is under way.
    queue: VecDeque<Queued>,
    queue_head: Option<u64>,
    settled: VecDeque<(Ticket, Result<Args, AckError>)>,
}

/// The rules of one socket.
#[derive(Debug, Clone, Copy)]
pub struct SocketRules {
    /// See [`SocketConfig::retries`](crate::socketio::SocketConfig::retries).
    pub retries: u32,
    /// See [`SocketConfig::ack_timeout`](crate::socketio::SocketConfig::ack_timeout).
    pub ack_timeout: Option<Duration>,
    /// Events that may wait, and acknowledgements.
    pub buffer_max: usize,
}

/// ```text
/// Idle --connect--> Wanted --engine open--> Authenticating --auth known--> Asking --CONNECT--> Joined
///  ^                  ^                            |                          |                   |
///  |                  +---------- connection lost -+--------------------------+-------------------+
///  +------------------------------ disconnect, CONNECT_ERROR, DISCONNECT -------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Wanted,
    Authenticating,
    Asking,
    Joined,
}

/// One event on its way.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) id: Option<u64>,
    pub(super) name: String,
    pub(super) args: Args,
}

#[derive(Debug)]
struct Waiting {
    owner: Owner,
    deadline: Option<Instant>,
    is_buffered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Caller(Ticket),
    Queue,
}

#[derive(Debug)]
struct Queued {
    name: String,
    args: Args,
    ticket: Option<Ticket>,
    timeout: Option<Duration>,
    tries: u32,
}

/// How an event is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Whether it may be lost.
    pub delivery: Delivery,
    /// How long its acknowledgement is waited for, instead of the socket's rule.
    pub timeout: Option<Duration>,
}

/// Whether an event may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// It waits for the connection.
    #[default]
    Kept,
    /// It is dropped unless the connection is ready at that moment.
    Volatile,
}

/// Whether the connection would take an event at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Busy,
}

impl Socket {
    pub(super) fn new(rules: SocketRules) -> Self {
        Self {
            rules,
            stage: Stage::Wanted,
            pid: None,
            offset: None,
            ids: 0,
            buffer: VecDeque::new(),
            ready: VecDeque::new(),
            acks: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            queue_head: None,
            settled: VecDeque::new(),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Takes an event. With a ticket its acknowledgement is asked for and [settled](Self::poll_settled); not after an error.
    pub(super) fn emit(
        &mut self,
        name: &str,
        args: Args,
        ticket: Option<Ticket>,
        flags: Flags,
        readiness: Readiness,
        now: Instant,
    ) -> Result<(), EmitError> {
        let name = name.to_owned();
        if self.rules.retries > 0 && flags.delivery == Delivery::Kept {
            return self.enqueue(name, args, ticket, flags.timeout, now);
        }
        let is_joined = self.stage == Stage::Joined;
        if flags.delivery == Delivery::Volatile && !(is_joined && readiness == Readiness::Ready) {
            if let Some(ticket) = ticket {
                self.settled.push_back((ticket, Err(AckError::Dropped)));
            }
            return Ok(());
        }
        let max = self.rules.buffer_max;
        let is_full = !is_joined && self.buffer.len() >= max;
        if is_full || ticket.is_some() && self.acks.len() >= max {
            return Err(EmitError::BufferFull { max });
        }
        let owner = ticket.map(Owner::Caller);
        self.transmit(name, args, owner, flags.timeout, now);
        Ok(())
    }

    /// The acknowledgement of an event.
    pub(super) fn handle_ack(&mut self, id: u64, args: Args, now: Instant) {
        self.resolve(id, Ok(args), now);
    }

    /// The server let the socket in: what waited goes out.
    pub(super) fn handle_joined(&mut self, now: Instant) {
        self.stage = Stage::Joined;
        for waiting in self.acks.values_mut() {
            waiting.is_buffered = false;
        }
        self.ready.append(&mut self.buffer);
        self.drain_queue(now);
    }

    /// The socket is not connected any more: acknowledgements of what was sent will not come.
    pub(super) fn handle_left(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.ready.clear();
        let sent = self.acks.iter().filter(|(_, waiting)| !waiting.is_buffered);
        let sent: Vec<_> = sent.map(|(&id, _)| id).collect();
        for id in sent {
            self.resolve(id, Err(AckError::Disconnected), now);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.buffer.retain(|outgoing| outgoing.id != Some(id));
            self.resolve(id, Err(AckError::Timeout), now);
        }
    }

    /// Nobody waits for this acknowledgement any longer. With retries the event is sent again nevertheless.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        let owner = Owner::Caller(ticket);
        let deadlines = &mut self.deadlines;
        self.acks.retain(|&id, waiting| {
            let goes = waiting.owner == owner;
            if let (true, Some(deadline)) = (goes, waiting.deadline) {
                deadlines.remove(&(deadline, id));
            }
            !goes
        });
    }

    /// The socket is given up: whoever waits is told.
    pub(super) fn end(&mut self) {
        let error = AckError::Emit(EmitError::Closed);
        for waiting in std::mem::take(&mut self.acks).into_values() {
            if let Owner::Caller(ticket) = waiting.owner {
                self.settled.push_back((ticket, Err(error)));
            }
        }
        for queued in std::mem::take(&mut self.queue) {
            if let Some(ticket) = queued.ticket {
                self.settled.push_back((ticket, Err(error)));
            }
        }
        self.deadlines.clear();
        self.buffer.clear();
    }

    pub(super) fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.ready.pop_front()
    }

    pub(super) fn poll_settled(&mut self) -> Option<(Ticket, Result<Args, AckError>)> {
        self.settled.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn deadline(&self, id: u64) -> Option<Instant> {
        self.acks.get(&id)?.deadline
    }

    fn transmit(
        &mut self,
        name: String,
        args: Args,
        owner: Option<Owner>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Option<u64> {
        let is_joined = self.stage == Stage::Joined;
        let id = owner.map(|owner| self.expect_ack(owner, timeout, now, !is_joined));
        let outgoing = Outgoing { id, name, args };
        if is_joined {
            self.ready.push_back(outgoing);
        } else {
            self.buffer.push_back(outgoing);
        }
        id
    }

    fn expect_ack(
        &mut self,
        owner: Owner,
        timeout: Option<Duration>,
        now: Instant,
        is_buffered: bool,
    ) -> u64 {
        let id = self.ids;
        self.ids += 1;
        let deadline = timeout.or(self.rules.ack_timeout).map(|after| now + after);
        self.deadlines
            .extend(deadline.map(|deadline| (deadline, id)));
        let waiting = Waiting {
            owner,
            deadline,
            is_buffered,
        };
        self.acks.insert(id, waiting);
        id
    }

    fn resolve(&mut self, id: u64, result: Result<Args, AckError>, now: Instant) {
        let Some(waiting) = self.acks.remove(&id) else {
            return;
        };
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        match waiting.owner {
            Owner::Caller(ticket) => self.settled.push_back((ticket, result)),
            Owner::Queue => self.handle_queue_ack(id, result, now),
        }
    }

    fn enqueue(
        &mut self,
        name: String,
        args: Args,
        ticket: Option<Ticket>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<(), EmitError> {
        let max = self.rules.buffer_max;
        if self.queue.len() >= max {
            return Err(EmitError::BufferFull { max });
        }
        self.queue.push_back(Queued {
            name,
            args,
            ticket,
            timeout,
            tries: 0,
        });
        self.drain_queue(now);
        Ok(())
    }

    /// Sends the first of the queue, unless it is under way.
    fn drain_queue(&mut self, now: Instant) {
        if self.stage != Stage::Joined || self.queue_head.is_some() {
            return;
        }
        if let Some(first) = self.queue.front_mut() {
            first.tries += 1;
            let (name, args, timeout) = (first.name.clone(), first.args.clone(), first.timeout);
            self.queue_head = self.transmit(name, args, Some(Owner::Queue), timeout, now);
        }
    }

    /// Acknowledged, the first of the queue is done; else it is sent again, as often as the rule allows.
    fn handle_queue_ack(&mut self, id: u64, result: Result<Args, AckError>, now: Instant) {
        if self.queue_head != Some(id) {
            return;
        }
        self.queue_head = None;
        let is_last_try = self
            .queue
            .front()
            .is_some_and(|first| first.tries > self.rules.retries);
        if (result.is_ok() || is_last_try)
            && let Some(ticket) = self.queue.pop_front().and_then(|first| first.ticket)
        {
            self.settled.push_back((ticket, result));
        }
        self.drain_queue(now);
    }
}
