//! The client's conversation with the server, without a socket, a clock or a random number.
//!
//! Give it what happens (`handle_*`), do what it asks ([`Session::poll_action`]), and call [`Session::handle_timeout`] when
//! [`Session::poll_timeout`] says so. There is one connection or attempt at a time, ever: [`Action::Connect`] comes only after
//! the connection before has ended.

mod call;
mod config;
mod event;
mod inbound;
mod lifecycle;
mod room;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_model::{CloseCode, Command, Json, RetryRule, RoomName, Secret, SocketId};
use nuncio_protocol::Incoming;
use nuncio_protocol::client::{Heartbeat, RoomPosition, encode};

use crate::Backoff;
use call::{CallBounds, Calls, Settled};
use room::{Membership, Room};

pub use call::{CallError, Repeat, Ticket};
pub use config::{ApplicationCodes, Credential, SessionConfig};
pub use event::{EndReason, Event};
pub use room::JoinFrom;

/// One client's conversation over as many connections as it takes.
///
/// ```text
///            start           opened            auth_ok, resumed
///   Waiting ------> Connecting ----> Entering ----------------> Online
///      ^                |               |                         |
///      +--- closed -----+---------------+-------------------------+----> Ended
///                                       a code that forbids to come back
/// ```
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    backoff: Backoff,
    rooms: BTreeMap<RoomName, Room>,
    /// Joins without a reply yet, by `id`.
    joins: BTreeMap<u64, SentJoin>,
    /// Who waits for a room to be joined.
    joiners: BTreeMap<RoomName, Vec<Ticket>>,
    /// No join is sent before: the server asked to wait.
    joins_paused_until: Option<Instant>,
    calls: Calls,
    ticket_last: u64,
    session: Option<SocketId>,
    connection: Option<SocketId>,
    resume: Option<String>,
    /// A token that was asked for between connections.
    token: Option<Secret>,
    /// The token that the server saw last: if it is refused, the same one is not offered again.
    token_offered: Option<Secret>,
    announced: Option<Duration>,
    heartbeat: Option<Heartbeat>,
    heard_at: Option<Instant>,
    actions: VecDeque<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Waiting {
        until: Instant,
    },
    /// Between connections: the server wants another token.
    Renewing,
    Connecting,
    Entering {
        step: Step,
        deadline: Instant,
    },
    Online {
        since: Instant,
    },
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Resume { id: u64 },
    AskToken,
    Auth,
}

#[derive(Debug)]
struct SentJoin {
    rooms: Vec<RoomName>,
    deadline: Instant,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; then [`Session::handle_opened`] or [`Session::handle_closed`].
    Connect,
    /// Ask the application for a token; then [`Session::handle_token`].
    AskToken,
    /// Send this text.
    Send(Bytes),
    /// Close the connection with 1000.
    Close,
    /// Drop the connection: it is dead. It is not heard of any more.
    Abort,
    /// Tell the application.
    Tell(Event),
    /// Answer a call.
    Settle(Ticket, Result<Answer, CallError>),
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The `data` of its reply.
    Data(Json),
    /// A room was joined.
    Joined {
        /// Where it stands.
        room: RoomPosition,
        /// Users in the room.
        members: u64,
    },
}

impl Session {
    /// Connects when [`start`](Self::start) is called.
    pub fn new(config: SessionConfig) -> Self {
        let bounds = CallBounds {
            timeout: config.call_timeout,
            attempts_max: config.call_attempts_max,
            queue_max: config.queue_max,
        };
        Self {
            phase: Phase::New,
            backoff: Backoff::new(config.backoff),
            config,
            rooms: BTreeMap::new(),
            joins: BTreeMap::new(),
            joiners: BTreeMap::new(),
            joins_paused_until: None,
            calls: Calls::new(bounds),
            ticket_last: 0,
            session: None,
            connection: None,
            resume: None,
            token: None,
            token_offered: None,
            announced: None,
            heartbeat: None,
            heard_at: None,
            actions: VecDeque::new(),
        }
    }

    /// Begins, or ends a pause between attempts: the network is back, or the user asks. Changes nothing otherwise.
    pub fn start(&mut self) {
        match self.phase {
            Phase::New | Phase::Waiting { .. } => self.connect(),
            Phase::Renewing
            | Phase::Connecting
            | Phase::Entering { .. }
            | Phase::Online { .. }
            | Phase::Ended => {}
        }
    }

    /// Asks for something. It is sent when the client is online; the answer comes as [`Action::Settle`].
    pub fn call(&mut self, command: Command, repeat: Repeat, now: Instant) -> Ticket {
        let ticket = self.next_ticket();
        let taken = match self.phase {
            Phase::Ended => Err(CallError::Ended),
            _ => self.calls.push(ticket, command, repeat),
        };
        match taken {
            Ok(()) => self.send_calls(now),
            Err(error) => self.actions.push_back(Action::Settle(ticket, Err(error))),
        }
        ticket
    }

    /// Sends something that is worth nothing later, such as that the user types. Answers whether it was sent.
    pub fn send_now(&mut self, command: Command) -> bool {
        let is_online = self.is_online();
        if is_online {
            self.send(&Incoming::Command {
                id: None,
                command,
                form: nuncio_protocol::JoinForm::One,
            });
        }
        is_online
    }

    /// Answers an [`Event::Event`] that has an `ack_id`. Answers whether it was sent.
    pub fn answer(&mut self, ack: u64, data: Json) -> bool {
        let is_online = self.is_online();
        if is_online {
            self.send(&Incoming::Answer { ack, data });
        }
        is_online
    }

    /// Joins a room, and again after each loss of the session, until [`leave`](Self::leave).
    pub fn join(&mut self, room: RoomName, from: JoinFrom, now: Instant) -> Ticket {
        let ticket = self.next_ticket();
        if self.phase == Phase::Ended {
            let ended = Action::Settle(ticket, Err(CallError::Ended));
            self.actions.push_back(ended);
            return ticket;
        }
        self.joiners.entry(room.clone()).or_default().push(ticket);
        let known = self.rooms.entry(room).or_insert_with(|| Room::new(from));
        if known.membership == Membership::Joined {
            // To ask again is the way to learn the room's present position; nothing is replayed.
            known.membership = Membership::Wanted;
        }
        self.send_joins(now);
        ticket
    }

    /// Leaves a room.
    pub fn leave(&mut self, room: &RoomName) {
        self.rooms.remove(room);
        for ticket in self.joiners.remove(room).unwrap_or_default() {
            let lost = Action::Settle(ticket, Err(CallError::Lost));
            self.actions.push_back(lost);
        }
        // Offline it is enough to forget it: a resumed session leaves what nobody wants.
        self.send_now(Command::Leave(room.clone()));
    }

    /// Closes the connection and ends.
    pub fn close(&mut self) {
        if self.phase != Phase::Ended {
            self.actions.push_back(Action::Close);
            self.end(EndReason::Closed);
        }
    }

    /// The connection is open.
    pub fn handle_opened(&mut self, now: Instant) {
        if self.phase != Phase::Connecting {
            return;
        }
        self.heard_at = Some(now);
        let deadline = now + self.config.enter_timeout;
        let step = match self.resume.take() {
            Some(resume) => self.send_resume(resume),
            None => self.send_auth(),
        };
        self.phase = Phase::Entering { step, deadline };
    }

    /// The application's answer to [`Action::AskToken`]; `None` when it has none at present.
    pub fn handle_token(&mut self, token: Option<Secret>, now: Instant, random: u64) {
        match (self.phase, token) {
            (Phase::Renewing, Some(token)) if self.token_offered.as_ref() == Some(&token) => {
                let reason = "no newer token".to_owned();
                self.end(EndReason::Token { reason });
            }
            (Phase::Renewing, token) => {
                self.token = token;
                self.wait(Duration::ZERO, now, random);
            }
            (
                Phase::Entering {
                    step: Step::AskToken,
                    deadline,
                },
                Some(token),
            ) => {
                self.token = Some(token);
                let step = self.send_auth();
                self.phase = Phase::Entering { step, deadline };
            }
            (
                Phase::Entering {
                    step: Step::AskToken,
                    ..
                },
                None,
            ) => self.abort(now, random),
            (Phase::Online { .. }, Some(token)) => self.send_refresh(token),
            (
                Phase::New
                | Phase::Waiting { .. }
                | Phase::Connecting
                | Phase::Entering { .. }
                | Phase::Online { .. }
                | Phase::Ended,
                _,
            ) => {}
        }
    }

    /// The server gave a sign of life that is no message: a ping.
    pub const fn handle_heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// The connection is closed, or did not open (1006). What follows is what the close code asks for.
    pub fn handle_closed(&mut self, code: CloseCode, reason: &str, now: Instant, random: u64) {
        if matches!(
            self.phase,
            Phase::New | Phase::Waiting { .. } | Phase::Renewing | Phase::Ended
        ) {
            return;
        }
        self.lose(code, reason, now);
        let announced = self.announced.take().unwrap_or_default();
        let ended = EndReason::Code {
            code,
            reason: reason.to_owned(),
        };
        match code.retry() {
            // What was announced holds also where the connection broke before its close frame.
            RetryRule::Backoff | RetryRule::Announced => self.wait(announced, now, random),
            RetryRule::NewToken if self.config.credential == Credential::Token => {
                self.phase = Phase::Renewing;
                self.actions.push_back(Action::AskToken);
            }
            RetryRule::NewToken => {
                let reason = reason.to_owned();
                self.end(EndReason::Token { reason });
            }
            RetryRule::Application => match self.config.application_codes {
                ApplicationCodes::End => self.end(ended),
                ApplicationCodes::Reconnect => self.wait(Duration::ZERO, now, random),
            },
            RetryRule::Never => self.end(ended),
        }
    }

    /// The server refused the connection with a status: 401 asks for another token, 503 may say how long to wait.
    pub fn handle_refused(
        &mut self,
        status: u16,
        retry_after: Option<Duration>,
        now: Instant,
        random: u64,
    ) {
        let code = match status {
            401 => CloseCode::POLICY,
            503 => CloseCode::TRY_AGAIN,
            _ => CloseCode::ABNORMAL,
        };
        self.announced = retry_after;
        self.handle_closed(code, &format!("status {status}"), now, random);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, random: u64) {
        match self.phase {
            Phase::Waiting { until } if until <= now => self.connect(),
            Phase::Entering { deadline, .. } if deadline <= now => self.abort(now, random),
            Phase::Online { .. } if self.dead_at().is_some_and(|at| at <= now) => {
                self.abort(now, random);
            }
            Phase::Online { .. } => self.handle_online_timeout(now),
            Phase::New
            | Phase::Waiting { .. }
            | Phase::Renewing
            | Phase::Connecting
            | Phase::Entering { .. }
            | Phase::Ended => {}
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Entering { deadline, .. } => Some(deadline),
            Phase::Online { .. } => {
                let joins = self.joins.values().map(|join| join.deadline).min();
                let times = [
                    self.calls.poll_timeout(),
                    self.dead_at(),
                    joins,
                    self.joins_paused_until,
                ];
                times.into_iter().flatten().min()
            }
            Phase::New | Phase::Renewing | Phase::Connecting | Phase::Ended => None,
        }
    }

    /// Whether calls are sent at present.
    pub const fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online { .. })
    }

    fn handle_online_timeout(&mut self, now: Instant) {
        let settled = self.calls.handle_timeout(now);
        self.settle(settled);
        let late: Vec<u64> = self
            .joins
            .iter()
            .filter(|(_, join)| join.deadline <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let rooms = self.joins.remove(&id).map(|join| join.rooms);
            self.want_again(rooms.unwrap_or_default());
        }
        self.send_joins(now);
        self.send_calls(now);
    }

    /// These joins had no reply that counts: they are sent again.
    fn want_again(&mut self, rooms: Vec<RoomName>) {
        for name in rooms {
            if let Some(room) = self.rooms.get_mut(&name) {
                room.handle_lost();
            }
        }
    }

    fn send_calls(&mut self, now: Instant) {
        let expired = self.calls.expire(now);
        self.settle(expired);
        while self.is_online()
            && let Some(message) = self.calls.poll_send(now)
        {
            self.send(&message);
        }
    }

    /// The server is taken for gone when it did not even ping for as long as it would wait itself.
    fn dead_at(&self) -> Option<Instant> {
        let Heartbeat { interval, timeout } = self.heartbeat?;
        Some(self.heard_at? + interval + timeout)
    }

    fn next_ticket(&mut self) -> Ticket {
        self.ticket_last += 1;
        Ticket(self.ticket_last)
    }

    fn send(&mut self, message: &Incoming) {
        self.actions.push_back(Action::Send(encode(message)));
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Tell(event));
    }

    fn settle(&mut self, settled: impl IntoIterator<Item = Settled>) {
        let settled = settled.into_iter();
        self.actions.extend(
            settled.map(|(ticket, outcome)| Action::Settle(ticket, outcome.map(Answer::Data))),
        );
    }
}
