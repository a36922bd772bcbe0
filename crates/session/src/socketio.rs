//! The Socket.IO dialect's session: the same commands, limits and grants as the native one, under the names of `docs/protocol.md`, last section.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nuncio_model::{
    CloseCode, Command, ErrorCode, Grants, Identity, Namespace, Now, Opening, Push, Refusal,
    Request, RetryRule, RoomName, Vocabulary,
};
use nuncio_protocol::JoinForm;
use nuncio_socketio::server::{Config, Connection, DisconnectReason, Output as Said};
use nuncio_socketio::{Encoded, Event, Parser, Protocol};
use smallvec::SmallVec;

use crate::budget::{Broke, Budget, Cost};
use crate::call::{Call, Kind};
use crate::expiry::{Expires, Expiry};
use crate::pending::Pending;
use crate::rights;
use crate::settings::Settings;

mod application;
mod complete;
mod encode;
mod event;
mod output;

pub use encode::{publication, push};
pub use output::Output;

/// The conversation of one Socket.IO connection, with all its namespaces.
///
/// - inputs: `handle_*`, [`complete`](Self::complete) and [`complete_pending`](Self::complete_pending), in any order; each adds to the outputs it is given;
/// - time: [`poll_timeout`](Self::poll_timeout) says when [`handle_timeout`](Self::handle_timeout) wants to be called;
/// - [`is_saturated`](Self::is_saturated) says when to stop reading.
///
/// Heartbeats and transports are Engine.IO's. The budget is the connection's: more namespaces do not allow more messages.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    connection: Connection,
    members: SmallVec<[Member; 1]>,
    budget: Budget,
    pending: Pending,
    opening: Opening,
    calls: u32,
    arrivals: u32,
}

/// The client in one namespace.
#[derive(Debug)]
struct Member {
    number: u32,
    /// Beside the number, where it costs no room.
    vocabulary: Vocabulary,
    namespace: nuncio_socketio::Namespace,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    /// The server has not decided yet.
    Asked,
    /// Somebody, until its token ends.
    Open { grants: Arc<Grants>, expiry: Expiry },
}

impl Standing {
    fn of(identity: &Identity, now: Now) -> Self {
        Self::Open {
            grants: identity.grants.clone(),
            expiry: Expiry::new(identity.exp, now),
        }
    }

    /// The same for another token.
    fn renew(&mut self, identity: &Identity, now: Now) {
        if let Self::Open { .. } = self {
            *self = Self::of(identity, now);
        }
    }
}

impl Session {
    /// A session over a connection that was just opened.
    pub fn new(
        settings: Arc<Settings>,
        config: Arc<Config>,
        protocol: Protocol,
        opening: Opening,
        now: Now,
    ) -> Self {
        Self {
            settings,
            connection: Connection::new(now.instant, config, protocol),
            members: SmallVec::new(),
            budget: Budget::default(),
            pending: Pending::default(),
            opening,
            calls: 0,
            arrivals: 0,
        }
    }

    /// A text message of Engine.IO, without its type digit.
    pub fn handle_text(&mut self, text: Bytes, now: Now, out: &mut Vec<Output>) {
        self.connection.handle_text(now.instant, text);
        self.drain(now, out);
    }

    /// A binary message of Engine.IO.
    pub fn handle_binary(&mut self, bytes: Bytes, now: Now, out: &mut Vec<Output>) {
        self.connection.handle_binary(bytes);
        self.drain(now, out);
    }

    /// The Engine.IO connection ended.
    pub fn handle_end(&mut self, reason: DisconnectReason, now: Now, out: &mut Vec<Output>) {
        self.connection.handle_close(reason);
        self.drain(now, out);
        self.forget(reason, out);
    }

    /// The server took the client out of a room.
    pub fn handle_removed(
        &mut self,
        namespace: &Namespace,
        room: RoomName,
        code: ErrorCode,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let push = push(
            self.parser(),
            namespace,
            &Push::Removed { room, code },
            None,
        );
        self.connection.send(push);
        self.drain(now, out);
    }

    /// The server shuts down. Clients come back by themselves, unless they are told to leave a namespace: they are not.
    pub fn handle_drain(&mut self, now: Now, out: &mut Vec<Output>) {
        let reason = DisconnectReason::ServerShuttingDown;
        self.close(
            CloseCode::RESTART,
            "Server shutting down".into(),
            reason,
            now,
            out,
        );
    }

    /// The client reads too slowly: it comes back and reads the history.
    pub fn handle_overflow(&mut self, now: Now, out: &mut Vec<Output>) {
        let reason = DisconnectReason::TransportError;
        self.close(
            CloseCode::TRY_AGAIN,
            "Slow consumer".into(),
            reason,
            now,
            out,
        );
    }

    /// A newer connection of the client has one of its sessions. It comes for the others too: none is told to leave.
    pub fn handle_taken_over(&mut self, now: Now, out: &mut Vec<Output>) {
        let (code, reason) = (
            CloseCode::RESUMED_ELSEWHERE,
            DisconnectReason::ForcedServerClose,
        );
        self.close(code, "Resumed elsewhere".into(), reason, now, out);
    }

    /// The connection is to end with this code. Only a client that may come back by itself is not told to leave.
    pub fn handle_close(
        &mut self,
        code: CloseCode,
        reason: Cow<'static, str>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        match code.retry() {
            RetryRule::Backoff | RetryRule::Announced => {}
            RetryRule::Never | RetryRule::NewToken | RetryRule::Application => {
                self.disconnect_all()
            }
        }
        self.close(code, reason, DisconnectReason::ForcedServerClose, now, out);
    }

    fn close(
        &mut self,
        code: CloseCode,
        text: Cow<'static, str>,
        reason: DisconnectReason,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        self.connection.close(reason);
        let from = out.len();
        self.drain(now, out);
        for output in &mut out[from..] {
            if let Output::Close { code: to, reason } = output {
                *to = Some(code);
                reason.clone_from(&text);
            }
        }
    }

    /// The backend changed what the client may do in one namespace; the end of its token stays.
    pub fn handle_grants(&mut self, namespace: &Namespace, granted: &Arc<Grants>) {
        for member in &mut self.members {
            if let Standing::Open { grants, .. } = &mut member.standing
                && member.namespace.as_str() == namespace.as_str()
            {
                *grants = granted.clone();
            }
        }
    }

    /// One namespace is to end for the client. A code after which clients come back by themselves ends the connection, since after a DISCONNECT they do not.
    pub fn handle_disconnect(
        &mut self,
        namespace: &Namespace,
        code: CloseCode,
        reason: Cow<'static, str>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if matches!(code.retry(), RetryRule::Backoff | RetryRule::Announced) {
            return self.handle_close(code, reason, now, out);
        }
        let mut members = self.members.iter();
        let member = members.find(|member| member.namespace.as_str() == namespace.as_str());
        if let Some(left) = member.map(|member| member.namespace.clone()) {
            self.connection.disconnect(&left);
            self.drain(now, out);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Output>) {
        self.connection.handle_timeout(now.instant);
        let parser = self.parser();
        let mut ended = SmallVec::<[_; 1]>::new();
        for member in &mut self.members {
            let Standing::Open { expiry, .. } = &mut member.standing else {
                continue;
            };
            let speaks = member.vocabulary == Vocabulary::BuiltIn;
            match expiry.handle_timeout(now) {
                Some(Expires::Soon(exp)) if speaks => {
                    let warning = Push::Expiring { exp };
                    let warning = push(parser, member.namespace.as_str(), &warning, None);
                    self.connection.send(warning);
                }
                Some(Expires::Now) => ended.push((member.namespace.clone(), speaks)),
                Some(Expires::Soon(_)) | None => {}
            }
        }
        for (namespace, speaks) in ended {
            if speaks {
                let refusal = Refusal::new(ErrorCode::NotAuthenticated, "Token expired");
                let told = encode::error(parser, &namespace, &refusal);
                self.connection.send(told);
            }
            self.connection.disconnect(&namespace);
        }
        self.drain(now, out);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let expiries = self
            .members
            .iter()
            .filter_map(|member| match &member.standing {
                Standing::Open { expiry, .. } => expiry.poll_timeout(),
                Standing::Asked => None,
            });
        expiries.chain(self.connection.poll_timeout()).min()
    }

    /// Whether so many calls wait for their outcome that no more should be read.
    pub fn is_saturated(&self) -> bool {
        self.pending.len() >= self.settings.connection.calls_max
    }

    /// The parser its client uses; the default one until its first packet has told.
    pub fn parser(&self) -> Parser {
        self.connection.parser()
    }

    /// Carries out what the packets say. Everything that is sent goes through the connection, so that it keeps its order.
    fn drain(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(said) = self.connection.poll_output() {
            match said {
                Said::Connect { namespace, auth } => {
                    self.handle_connect(namespace, &auth, now, out)
                }
                Said::Event {
                    namespace,
                    id,
                    event,
                } => self.handle_event(&namespace, id, &event, now, out),
                Said::Ack {
                    namespace,
                    id,
                    args,
                } => self.handle_ack(&namespace, id, &args, now, out),
                // Who asked keeps the time.
                Said::AckTimeout { .. } => {}
                Said::Disconnected { namespace, reason } => self.leave(&namespace, reason, out),
                Said::Send(encoded) => out.push(Output::Send(encoded)),
                Said::Close => {
                    self.forget(DisconnectReason::ForcedServerClose, out);
                    out.push(Output::Close {
                        code: None,
                        reason: "the Socket.IO connection ended".into(),
                    });
                }
            }
        }
    }

    fn handle_connect(
        &mut self,
        namespace: nuncio_socketio::Namespace,
        auth: &Bytes,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Ok(name) = Namespace::parse(namespace.as_str()) else {
            let refusal = nuncio_socketio::server::Refusal::UnknownNamespace;
            let _ = self.connection.refuse(&namespace, refusal);
            return;
        };
        if let Err(broke) = self
            .budget
            .charge(Cost::Control, now.instant, &self.settings.rate)
        {
            let refusal = unaffordable(broke);
            return self.refuse_connect(&namespace, &refusal, out);
        }
        self.arrivals += 1;
        let number = self.arrivals;
        self.members.push(Member {
            number,
            namespace,
            vocabulary: Vocabulary::BuiltIn,
            standing: Standing::Asked,
        });
        out.push(Output::Arrive {
            member: number,
            namespace: name,
        });
        let request = Request::Connect {
            auth: String::from_utf8_lossy(auth).into_owned().into(),
            opening: self.opening.clone(),
        };
        self.ask(number, None, request, Kind::Authenticate, out);
    }

    fn handle_event(
        &mut self,
        namespace: &nuncio_socketio::Namespace,
        id: Option<u64>,
        event: &Event,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let command = match self.vocabulary(namespace) {
            Vocabulary::BuiltIn => event::command_of(event),
            Vocabulary::Application => event::call_of(event).map(|call| (call, JoinForm::One)),
        };
        let cost = match &command {
            Ok((command, _)) => Cost::of(command),
            Err(_) => Cost::Message,
        };
        if let Err(broke) = self.budget.charge(cost, now.instant, &self.settings.rate) {
            let refusal = unaffordable(broke);
            return self.refuse(namespace, id, &refusal, out);
        }
        let asked = command.and_then(|(command, form)| self.permit(namespace, command, form));
        match asked {
            Ok((member, request, kind)) => self.ask(member, id, request, kind, out),
            Err(refusal) => self.refuse(namespace, id, &refusal, out),
        }
    }

    /// Checks what the grants say.
    fn permit(
        &self,
        namespace: &nuncio_socketio::Namespace,
        command: Command,
        form: JoinForm,
    ) -> Result<(u32, Request, Kind), Refusal> {
        let member = self.members.iter().find(|member| {
            member.namespace == *namespace && matches!(member.standing, Standing::Open { .. })
        });
        let Some(Member {
            number,
            standing: Standing::Open { grants, .. },
            ..
        }) = member
        else {
            return Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "Not authenticated",
            ));
        };
        let (request, kind) = match command {
            Command::Refresh { token } => (Request::Refresh(token), Kind::Refresh),
            Command::Join(requests) => {
                let (granted, mut refused) =
                    rights::split_join(grants, requests, self.settings.history_max);
                if form == JoinForm::One && !refused.is_empty() {
                    return Err(refused.remove(0).2);
                }
                let request = Request::Command(Command::Join(granted));
                (request, Kind::Join { form, refused })
            }
            command => {
                rights::check(grants, &command)?;
                (Request::Command(command), Kind::Other)
            }
        };
        Ok((*number, request, kind))
    }

    fn ask(
        &mut self,
        member: u32,
        id: Option<u64>,
        request: Request,
        kind: Kind,
        out: &mut Vec<Output>,
    ) {
        self.calls = self.calls.wrapping_add(1);
        let call = Call {
            number: self.calls,
            member,
            id: id.map(nuncio_model::CallId::Number),
            kind,
        };
        out.push(Output::Call {
            member,
            call,
            request,
        });
    }

    fn send(&mut self, encoded: Encoded) {
        self.connection.send(encoded);
    }

    fn disconnect_all(&mut self) {
        self.connection.disconnect_all();
    }

    fn leave(
        &mut self,
        namespace: &nuncio_socketio::Namespace,
        reason: DisconnectReason,
        out: &mut Vec<Output>,
    ) {
        let left = self
            .members
            .iter()
            .position(|member| member.namespace == *namespace);
        if let Some(index) = left {
            let member = self.members.remove(index).number;
            out.push(Output::Leave { member, reason });
        }
    }

    /// Those that were not let in yet leave with the connection.
    fn forget(&mut self, reason: DisconnectReason, out: &mut Vec<Output>) {
        for member in self.members.drain(..) {
            out.push(Output::Leave {
                member: member.number,
                reason,
            });
        }
    }
}

fn unaffordable(broke: Broke) -> Refusal {
    match broke {
        Broke::Wait(wait) => Refusal::rate_limited(wait),
        Broke::Ignorant => Refusal::new(ErrorCode::RateLimited, "Rate limit exceeded"),
    }
}
