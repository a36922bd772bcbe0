//! What a Socket.IO session says once the server has answered its calls.

use nuncio_model::{
    Admitted, CallId, Content, ErrorCode, Identity, Joined, Json, Missed, Now, Outcome,
    PositionReason, Push, Recovery, Refusal, Reply, TurnedAway, Vocabulary,
};
use nuncio_protocol::JoinForm;
use nuncio_socketio::Namespace;
use nuncio_socketio::server::{self, DisconnectReason};

use super::{Member, Output, Session, Standing, encode};
use crate::call::{Call, Kind};
use crate::rights;

impl Session {
    /// Keeps a call whose outcome comes later.
    pub fn pend(&mut self, call: Call) {
        self.pending.push(call);
    }

    /// The place in the connection that asks by a call that was kept; `None` once it is answered, or the client has gone.
    pub fn member_of(&self, number: u32) -> Option<u32> {
        let mut pending = self.pending.iter();
        let call = pending.find(|call| call.number == number)?;
        Some(call.member)
    }

    /// Takes the outcome of a call that was kept.
    pub fn complete_pending(
        &mut self,
        number: u32,
        result: Result<Outcome, Refusal>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some(call) = self.pending.take(number) {
            self.complete(call, result, now, out);
        }
    }

    /// Takes the outcome of a call that was answered at once.
    pub fn complete(
        &mut self,
        call: Call,
        result: Result<Outcome, Refusal>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let holds = matches!(
            (&call.kind, &result),
            (Kind::Authenticate, Ok(Outcome::Admitted(_))) | (Kind::Join { .. }, Ok(_))
        );
        if let Some(namespace) = self.namespace_of(call.member) {
            if result.is_ok() {
                self.budget.accepted();
            }
            self.answer(&namespace, call, result, now, out);
            self.drain(now, out);
        }
        if holds {
            out.push(Output::Release);
        }
    }

    fn answer(
        &mut self,
        namespace: &Namespace,
        call: Call,
        result: Result<Outcome, Refusal>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let id = call.id.map(|id| match id {
            CallId::Number(number) => number,
            CallId::Text(text) => unreachable!("ids of Socket.IO are numbers, not {text:?}"),
        });
        match (call.kind, result) {
            (Kind::Authenticate, Ok(Outcome::Admitted(admitted))) => {
                self.enter(namespace, &admitted, now);
                match admitted.vocabulary {
                    Vocabulary::BuiltIn => {
                        for joined in &admitted.joined {
                            self.tell_joined(namespace, joined);
                        }
                    }
                    Vocabulary::Application => {}
                }
            }
            (Kind::Authenticate, Ok(Outcome::TurnedAway(away))) => {
                self.turn_away(namespace, &away, out);
            }
            (Kind::Authenticate, Err(refusal)) => self.refuse_connect(namespace, &refusal, out),
            (Kind::Refresh, Ok(Outcome::Refreshed(identity))) => {
                let reply = Reply::Refreshed { exp: identity.exp };
                self.stand(call.member, &identity, now);
                self.reply(namespace, id, &reply, JoinForm::One);
            }
            (Kind::Join { form, refused }, Ok(Outcome::Reply(Reply::Joined(mut rooms)))) => {
                rights::merge_join(&mut rooms, refused);
                self.complete_join(namespace, id, rooms, form, out);
            }
            (_, Ok(Outcome::Silent)) => {}
            (_, Ok(Outcome::Reply(reply))) => self.reply(namespace, id, &reply, JoinForm::One),
            (_, Err(refusal)) => {
                let refusal = self.count(refusal);
                self.refuse(namespace, id, &refusal, out);
            }
            (kind, Ok(outcome)) => unreachable!("a call of {kind:?} was answered with {outcome:?}"),
        }
    }

    /// Lets the client in. One that has its session back gets what it missed right after that.
    fn enter(&mut self, namespace: &Namespace, admitted: &Admitted, now: Now) {
        let sid = admitted.resume.socket.to_string();
        let pid = admitted.recovery.as_ref();
        let pid = pid.map(|_| admitted.resume.reveal());
        let accepted = self.connection.accept(namespace, &sid, pid.as_deref());
        if accepted.is_ok()
            && let Some(member) = self.member_in(namespace)
        {
            member.vocabulary = admitted.vocabulary;
            member.standing = Standing::of(&admitted.identity, now);
        }
        if let Some(Recovery::Recovered { missed, .. }) = admitted.recovery.as_deref() {
            for Missed { offset, content } in missed {
                let offset = Some(*offset);
                self.send(match content {
                    Content::Publication(missed) => {
                        encode::publication(self.parser(), missed, offset)
                    }
                    Content::Push(missed) => {
                        encode::push(self.parser(), namespace.as_str(), missed, offset)
                    }
                });
            }
        }
    }

    fn stand(&mut self, number: u32, identity: &Identity, now: Now) {
        let mut members = self.members.iter_mut();
        if let Some(member) = members.find(|member| member.number == number) {
            member.standing.renew(identity, now);
        }
    }

    /// CONNECT_ERROR in the words of the server's program.
    fn turn_away(&mut self, namespace: &Namespace, away: &TurnedAway, out: &mut Vec<Output>) {
        out.push(Output::Refused(away.code));
        let refusal = server::Refusal::Error {
            message: &away.message,
            data: away.data.as_ref().map(Json::as_str),
        };
        let _ = self.connection.refuse(namespace, refusal);
        self.leave(namespace, DisconnectReason::ServerNamespaceDisconnect, out);
    }

    /// CONNECT_ERROR: what went wrong, for people and as data.
    pub(super) fn refuse_connect(
        &mut self,
        namespace: &Namespace,
        refusal: &Refusal,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Refused(refusal.code));
        let data = nuncio_protocol::encode::refusal(refusal);
        let data = std::str::from_utf8(&data).ok();
        let refused = match refusal.code {
            ErrorCode::NotFound => server::Refusal::UnknownNamespace,
            ErrorCode::NotAuthenticated => server::Refusal::Error {
                message: "Authentication failed",
                data,
            },
            _ => server::Refusal::Error {
                message: &refusal.message,
                data,
            },
        };
        // Nobody waits for it when the client has gone meanwhile.
        let _ = self.connection.refuse(namespace, refused);
        self.leave(namespace, DisconnectReason::ServerNamespaceDisconnect, out);
    }

    /// Tells a refusal. One that names no time to wait puts the client out: it has ignored too many.
    pub(super) fn refuse(
        &mut self,
        namespace: &Namespace,
        id: Option<u64>,
        refusal: &Refusal,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Refused(refusal.code));
        match (id, self.vocabulary(namespace)) {
            (Some(id), _) => self.send(encode::refused(self.parser(), namespace, id, refusal)),
            (None, Vocabulary::BuiltIn) => {
                self.send(encode::error(self.parser(), namespace, refusal))
            }
            // All events of the namespace are the program's: an error would be one that it never emitted.
            (None, Vocabulary::Application) => {}
        }
        if refusal.code == ErrorCode::RateLimited && refusal.retry_after.is_none() {
            self.disconnect_all();
        }
    }

    fn complete_join(
        &mut self,
        namespace: &Namespace,
        id: Option<u64>,
        rooms: Vec<Result<Joined, (nuncio_model::RoomName, Refusal)>>,
        form: JoinForm,
        out: &mut Vec<Output>,
    ) {
        if let (JoinForm::One, [Err((_, refusal))]) = (form, &rooms[..]) {
            return self.refuse(namespace, id, refusal, out);
        }
        if id.is_none() {
            for (_, refusal) in rooms.iter().filter_map(|room| room.as_ref().err()) {
                self.refuse(namespace, None, refusal, out);
            }
        }
        let reply = Reply::Joined(rooms);
        self.reply(namespace, id, &reply, form);
        let Reply::Joined(rooms) = &reply else { return };
        for joined in rooms.iter().flatten() {
            self.replay(joined);
        }
    }

    fn tell_joined(&mut self, namespace: &Namespace, joined: &Joined) {
        let position = Push::Position {
            room: joined.room.clone(),
            position: joined.position,
            recovered: joined.recovered,
            reason: PositionReason::Joined,
        };
        self.send(encode::push(
            self.parser(),
            namespace.as_str(),
            &position,
            None,
        ));
        self.replay(joined);
    }

    fn replay(&mut self, joined: &Joined) {
        for publication in &joined.replay {
            self.send(encode::publication(
                self.parser(),
                publication,
                joined.offset,
            ));
        }
    }

    fn reply(&mut self, namespace: &Namespace, id: Option<u64>, reply: &Reply, form: JoinForm) {
        if let Some(id) = id {
            self.send(encode::reply(self.parser(), namespace, id, reply, form));
        }
    }

    /// A refusal for the user's rate counts like one for the connection's.
    fn count(&mut self, mut refusal: Refusal) -> Refusal {
        if let (ErrorCode::RateLimited, Some(wait)) = (refusal.code, refusal.retry_after)
            && self.budget.refused(wait, &self.settings.rate) == crate::budget::Broke::Ignorant
        {
            refusal.retry_after = None;
        }
        refusal
    }

    fn namespace_of(&self, number: u32) -> Option<Namespace> {
        let mut members = self.members.iter();
        let member = members.find(|member| member.number == number)?;
        Some(member.namespace.clone())
    }

    pub(super) fn member_in(&mut self, namespace: &Namespace) -> Option<&mut Member> {
        let mut members = self.members.iter_mut();
        members.find(|member| member.namespace == *namespace)
    }
}
