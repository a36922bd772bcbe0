//! The native dialect's session (`docs/protocol.md`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use nuncio_model::{
    CallId, CloseCode, Command, ErrorCode, Grants, Identity, JoinRequest, Now, Push, Refusal,
    Reply, Request, RoomName, Secret, SocketId,
};
use nuncio_protocol::encode::{self, Welcome};
use nuncio_protocol::{Incoming, JoinForm, Undecodable, decode};

use crate::budget::{Broke, Budget, Cost};
use crate::call::{Call, Kind};
use crate::expiry::{Expires, Expiry};
use crate::heartbeat::{Beat, Heartbeat};
use crate::output::Output;
use crate::pending::Pending;
use crate::rights::{self, check};
use crate::settings::Settings;

mod complete;

/// One client's conversation, owned by exactly one task while the client is connected.
///
/// - inputs: [`open`](Self::open) first, then `handle_*`, [`complete`](Self::complete) and [`complete_pending`](Self::complete_pending), in any order;
///   each adds to the outputs it is given;
/// - time: [`poll_timeout`](Self::poll_timeout) says when [`handle_timeout`](Self::handle_timeout) wants to be called;
/// - [`is_saturated`](Self::is_saturated) says when to stop reading.
///
/// After [`Output::Close`] or [`Output::Terminate`] no input has any effect.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    heartbeat: Heartbeat,
    budget: Budget,
    pending: Pending,
    calls: u32,
}

/// ```text
///             Authenticate, Resume                Close, Terminate
/// Anonymous ──────────────────────> Open ─────────────────────────> Closed
///     └── deadline, refusal ──────────────────────────────────────────^
/// ```
#[derive(Debug)]
enum State {
    /// Nobody yet, until the deadline.
    Anonymous { deadline: Instant, asked: bool },
    /// Somebody, until its token ends.
    Open {
        grants: Arc<Grants>,
        expiry: Expiry,
        fresh: bool,
    },
    /// Everything is said.
    Closed,
}

impl Session {
    /// A session of nobody. `spread` (0 to 255) differs between clients, so that their heartbeats do not come together.
    pub fn new(settings: Arc<Settings>, now: Now, spread: u8) -> Self {
        let limits = &settings.connection;
        let first = limits.heartbeat_interval * (u32::from(spread) + 1) / 256;
        let heartbeat = Heartbeat::new(now.instant, first);
        let state = State::Anonymous {
            deadline: now.instant + limits.auth_timeout,
            asked: false,
        };
        Self {
            settings,
            state,
            heartbeat,
            budget: Budget::default(),
            pending: Pending::default(),
            calls: 0,
        }
    }

    /// Greets the client.
    pub fn open(&self, id: SocketId, out: &mut Vec<Output>) {
        let Settings {
            connection,
            rate,
            history_max,
            server,
        } = &*self.settings;
        let history_max = *history_max as usize;
        let welcome = Welcome {
            id,
            connection,
            rate,
            history_max,
            server,
            resume: None,
        };
        out.push(Output::Send(encode::welcome(&welcome)));
    }

    /// Asks the server to let in a client whose request said who it is.
    pub fn enter(&mut self, identity: Identity, out: &mut Vec<Output>) {
        self.ask(
            None,
            Request::Enter(Box::new(identity)),
            Kind::Authenticate,
            out,
        );
    }

    /// Asks the server for the session that a resume token in the request names.
    pub fn resume(&mut self, token: Secret, out: &mut Vec<Output>) {
        self.ask(
            None,
            Request::Resume {
                token,
                rooms: Vec::new(),
            },
            Kind::Resume,
            out,
        );
    }

    /// Takes one text message.
    pub fn handle_message(&mut self, text: &str, now: Now, out: &mut Vec<Output>) {
        match decode(text) {
            Err(Undecodable { id, refusal }) => {
                if self.charge(Cost::Message, id.as_ref(), now, out) {
                    refuse(id.as_ref(), &refusal, out);
                }
            }
            Ok(incoming) => {
                let (cost, id) = cost_of(&incoming);
                if self.charge(cost, id, now, out) {
                    self.handle_incoming(incoming, out);
                }
            }
        }
    }

    /// Takes one binary message, which the protocol has no use for.
    pub fn handle_binary(&mut self, len: usize, now: Now, out: &mut Vec<Output>) {
        if self.charge(Cost::Message, None, now, out) {
            let refusal = Refusal::invalid(format!(
                "binary frame: {len} bytes that are no JSON text; send a text frame"
            ));
            refuse(None, &refusal, out);
        }
    }

    /// Notes a sign of life: any frame.
    pub fn handle_frame(&mut self) {
        let limits = &self.settings.connection;
        self.heartbeat
            .handle_frame(limits.heartbeat_interval, limits.heartbeat_timeout);
    }

    fn handle_incoming(&mut self, incoming: Incoming, out: &mut Vec<Output>) {
        match incoming {
            Incoming::Ping { id } => {
                out.push(Output::Send(encode::pong()));
                send_reply(id.as_ref(), &Reply::Done, JoinForm::One, out);
            }
            Incoming::Auth { id, token } => self.handle_auth(id, Secret::new(token), out),
            Incoming::Resume { id, resume, rooms } => {
                let request = Request::Resume {
                    token: Secret::new(resume),
                    rooms,
                };
                self.handle_resume(id, request, out);
            }
            Incoming::Answer { ack, data } => {
                let attachments = Box::default();
                let request = Request::Answer {
                    ack,
                    data,
                    attachments,
                };
                if self.is_open() {
                    self.ask(None, request, Kind::Other, out);
                }
            }
            Incoming::Command { id, command, form } => match self.state {
                State::Open { .. } => self.handle_command(id, command, form, out),
                State::Anonymous { .. } => self.close(CloseCode::POLICY, "Not authenticated", out),
                State::Closed => {}
            },
        }
    }

    fn handle_auth(&mut self, id: Option<CallId>, token: Secret, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Anonymous {
                asked: asked @ false,
                ..
            } => {
                *asked = true;
                self.ask(id, Request::Authenticate(token), Kind::Authenticate, out);
            }
            State::Anonymous { .. } | State::Open { .. } => {
                let refusal =
                    Refusal::invalid("already authenticated: a new token goes into auth:refresh");
                refuse(id.as_ref(), &refusal, out);
            }
            State::Closed => {}
        }
    }

    fn handle_resume(&mut self, id: Option<CallId>, request: Request, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Anonymous {
                asked: asked @ false,
                ..
            }
            | State::Open {
                fresh: asked @ true,
                ..
            } => {
                *asked = !*asked;
                self.ask(id, request, Kind::Resume, out);
            }
            State::Anonymous { .. } | State::Open { .. } => {
                let refusal = Refusal::invalid("resume must be the first message of a connection");
                refuse(id.as_ref(), &refusal, out);
            }
            State::Closed => {}
        }
    }

    fn handle_command(
        &mut self,
        id: Option<CallId>,
        command: Command,
        form: JoinForm,
        out: &mut Vec<Output>,
    ) {
        let State::Open { grants, fresh, .. } = &mut self.state else {
            return;
        };
        *fresh = false;
        let grants = grants.clone();
        match command {
            Command::Refresh { token } => self.ask(id, Request::Refresh(token), Kind::Refresh, out),
            Command::Join(requests) => self.handle_join(id, requests, form, &grants, out),
            command => match check(&grants, &command) {
                Ok(()) => self.ask(id, Request::Command(command), Kind::Other, out),
                Err(refusal) => refuse(id.as_ref(), &refusal, out),
            },
        }
    }

    fn handle_join(
        &mut self,
        id: Option<CallId>,
        requests: Vec<JoinRequest>,
        form: JoinForm,
        grants: &Grants,
        out: &mut Vec<Output>,
    ) {
        let (granted, refused) = rights::split_join(grants, requests, self.settings.history_max);
        match (form, refused.first()) {
            (JoinForm::One, Some((_, _, refusal))) => refuse(id.as_ref(), refusal, out),
            (JoinForm::One, None) | (JoinForm::Many, _) => {
                self.ask(
                    id,
                    Request::Command(Command::Join(granted)),
                    Kind::Join { form, refused },
                    out,
                );
            }
        }
    }

    fn ask(&mut self, id: Option<CallId>, request: Request, kind: Kind, out: &mut Vec<Output>) {
        self.calls = self.calls.wrapping_add(1);
        out.push(Output::Call(
            Call {
                number: self.calls,
                member: 0,
                id,
                kind,
            },
            request,
        ));
    }

    /// The client has other grants from now on; whoever decided that has taken it out of rooms it may no longer be in.
    pub fn regrant(&mut self, identity: Identity, now: Now) {
        if let State::Open { grants, expiry, .. } = &mut self.state {
            *expiry = Expiry::new(identity.exp, now);
            *grants = identity.grants;
        }
    }

    /// The backend changed what the client may do; the end of its token stays.
    pub fn handle_grants(&mut self, granted: Arc<Grants>) {
        if let State::Open { grants, .. } = &mut self.state {
            *grants = granted;
        }
    }

    /// The server took the client out of a room.
    pub fn handle_removed(&self, room: RoomName, code: ErrorCode, out: &mut Vec<Output>) {
        if !matches!(self.state, State::Closed) {
            send_push(&Push::Removed { room, code }, out);
        }
    }

    /// The server shuts down: the client is told when to come back.
    pub fn handle_drain(&mut self, after: Duration, out: &mut Vec<Output>) {
        self.close_after(after, CloseCode::RESTART, "Server shutting down", out);
    }

    /// The client reads too slowly: it is told to come back and recover.
    pub fn handle_overflow(&mut self, out: &mut Vec<Output>) {
        self.close_after(
            Duration::from_secs(1),
            CloseCode::TRY_AGAIN,
            "Slow consumer",
            out,
        );
    }

    /// The connection is to end with this code.
    pub fn handle_close(
        &mut self,
        code: CloseCode,
        reason: impl Into<std::borrow::Cow<'static, str>>,
        out: &mut Vec<Output>,
    ) {
        self.close(code, reason, out);
    }

    fn close_after(
        &mut self,
        after: Duration,
        code: CloseCode,
        reason: &'static str,
        out: &mut Vec<Output>,
    ) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            let last = Some(encode::push(&Push::Reconnect { after, reason }));
            out.push(Output::Close {
                last,
                code,
                reason: reason.into(),
            });
        }
    }

    fn close(
        &mut self,
        code: CloseCode,
        reason: impl Into<std::borrow::Cow<'static, str>>,
        out: &mut Vec<Output>,
    ) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            out.push(Output::Close {
                last: None,
                code,
                reason: reason.into(),
            });
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Closed => return,
            State::Anonymous { deadline, .. } if *deadline <= now.instant => {
                return self.close(CloseCode::POLICY, "Not authenticated", out);
            }
            State::Anonymous { .. } => {}
            State::Open { expiry, .. } => match expiry.handle_timeout(now) {
                Some(Expires::Soon(exp)) => send_push(&Push::Expiring { exp }, out),
                Some(Expires::Now) => {
                    return self.close(CloseCode::TOKEN_EXPIRED, "Token expired", out);
                }
                None => {}
            },
        }
        match self
            .heartbeat
            .handle_timeout(now.instant, self.settings.connection.heartbeat_timeout)
        {
            Some(Beat::Ping) => out.push(Output::Ping),
            Some(Beat::Dead) => {
                self.state = State::Closed;
                out.push(Output::Terminate);
            }
            None => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; never after the end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat.poll_timeout();
        match &self.state {
            State::Anonymous { deadline, .. } => Some(heartbeat.min(*deadline)),
            State::Open { expiry, .. } => Some(
                expiry
                    .poll_timeout()
                    .map_or(heartbeat, |at| at.min(heartbeat)),
            ),
            State::Closed => None,
        }
    }

    /// Whether so many calls wait for their outcome that no more should be read.
    pub fn is_saturated(&self) -> bool {
        let entering = matches!(
            self.state,
            State::Anonymous { .. } | State::Open { fresh: false, .. }
        ) && self.is_entering();
        self.pending.len() >= self.settings.connection.calls_max || entering
    }

    /// Whether it is being decided who the client is; what it says next depends on that.
    pub fn is_entering(&self) -> bool {
        self.pending
            .iter()
            .any(|call| matches!(call.kind, Kind::Authenticate | Kind::Resume))
    }

    /// Whether a user is behind the session.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Takes the cost of a message from the budget; `false` when it was refused.
    fn charge(&mut self, cost: Cost, id: Option<&CallId>, now: Now, out: &mut Vec<Output>) -> bool {
        if matches!(self.state, State::Closed) {
            return false;
        }
        match self.budget.charge(cost, now.instant, &self.settings.rate) {
            Ok(()) => return true,
            Err(Broke::Wait(wait)) => refuse(id, &Refusal::rate_limited(wait), out),
            Err(Broke::Ignorant) => self.close(CloseCode::POLICY, "Rate limit exceeded", out),
        }
        false
    }

    /// Tells a refusal of the server; one for the user's rate counts like one for the session's.
    fn refuse(&mut self, id: Option<&CallId>, refusal: &Refusal, out: &mut Vec<Output>) {
        refuse(id, refusal, out);
        if let (ErrorCode::RateLimited, Some(wait)) = (refusal.code, refusal.retry_after)
            && self.budget.refused(wait, &self.settings.rate) == Broke::Ignorant
        {
            self.close(CloseCode::POLICY, "Rate limit exceeded", out);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fresh {
    /// Nothing was asked for yet: the client may still say that it wants an earlier session.
    Yes,
    No,
}

fn cost_of(incoming: &Incoming) -> (Cost, Option<&CallId>) {
    match incoming {
        Incoming::Ping { id } => (Cost::Free, id.as_ref()),
        Incoming::Answer { .. } => (Cost::Control, None),
        Incoming::Auth { id, .. } | Incoming::Resume { id, .. } => (Cost::Message, id.as_ref()),
        Incoming::Command { id, command, .. } => (Cost::of(command), id.as_ref()),
    }
}

fn send_reply(id: Option<&CallId>, reply: &Reply, form: JoinForm, out: &mut Vec<Output>) {
    if let Some(id) = id {
        out.push(Output::Send(encode::reply(id, reply, form)));
    }
}

fn refuse(id: Option<&CallId>, refusal: &Refusal, out: &mut Vec<Output>) {
    out.push(Output::Refuse(refusal.code, encode::refuse(id, refusal)));
}

fn send_push(push: &Push, out: &mut Vec<Output>) {
    out.push(Output::Send(encode::push(push)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_costs_at_most_144_bytes() {
        let bytes = size_of::<Session>();

        assert!(bytes <= 144, "{bytes}");
    }
}
