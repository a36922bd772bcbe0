//! What a session says once the server has answered its calls.

use nuncio_model::{
    CallId, CloseCode, ErrorCode, Identity, Joined, Json, Now, Outcome, PositionReason, Push,
    Refusal, Reply, RoomName, TurnedAway,
};
use nuncio_protocol::JoinForm;
use nuncio_protocol::encode::{self, Recovery};

use super::{Fresh, Session, State, refuse, send_push, send_reply};
use crate::call::{Call, Kind};
use crate::expiry::Expiry;
use crate::output::Output;
use crate::rights;

impl Session {
    /// Takes the outcome of a call that was answered at once.
    pub fn complete(
        &mut self,
        call: Call,
        result: Result<Outcome, Refusal>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if matches!(self.state, State::Closed) {
            return;
        }
        if result.is_ok() {
            self.budget.accepted();
        }
        let Call { id, kind, .. } = call;
        match (kind, result) {
            (Kind::Authenticate, result) => {
                self.complete_authenticate(id.as_ref(), result, now, out)
            }
            (Kind::Resume, result) => self.complete_resume(id.as_ref(), result, now, out),
            (Kind::Refresh, Ok(Outcome::Refreshed(identity))) => {
                let reply = Reply::Refreshed { exp: identity.exp };
                self.regrant(*identity, now);
                send_reply(id.as_ref(), &reply, JoinForm::One, out);
            }
            (Kind::Join { form, refused }, Ok(Outcome::Reply(Reply::Joined(rooms)))) => {
                complete_join(id.as_ref(), rooms, form, refused, out);
            }
            (_, Ok(Outcome::Silent)) => {
                let null = Reply::Answer {
                    data: Json::null(),
                    attachments: Box::default(),
                };
                send_reply(id.as_ref(), &null, JoinForm::One, out);
            }
            (_, Ok(Outcome::Reply(reply))) => send_reply(id.as_ref(), &reply, JoinForm::One, out),
            (_, Err(refusal)) => self.refuse(id.as_ref(), &refusal, out),
            (kind, Ok(outcome)) => unreachable!("a call of {kind:?} was answered with {outcome:?}"),
        }
    }

    /// Keeps a call whose outcome comes later.
    pub fn pend(&mut self, call: Call) {
        self.pending.push(call);
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

    fn complete_authenticate(
        &mut self,
        id: Option<&CallId>,
        result: Result<Outcome, Refusal>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        match result {
            Ok(Outcome::Admitted(admitted)) => {
                out.push(Output::Send(encode::auth_ok(
                    &admitted.identity,
                    &admitted.resume,
                )));
                send_reply(id, &Reply::Done, JoinForm::One, out);
                self.become_open(&admitted.identity, now, Fresh::Yes);
                for joined in &admitted.joined {
                    send_joined(joined, out);
                }
                out.push(Output::Release);
            }
            Ok(Outcome::TurnedAway(away)) => {
                let TurnedAway {
                    code,
                    message,
                    data,
                } = *away;
                let refusal = Refusal {
                    data,
                    ..Refusal::new(code, message)
                };
                refuse(id, &refusal, out);
                let reason = match code {
                    ErrorCode::NotAuthenticated => "Authentication failed",
                    _ => "Refused",
                };
                self.close(CloseCode::POLICY, reason, out);
            }
            Ok(outcome) => unreachable!("authentication was answered with {outcome:?}"),
            Err(refusal) => match refusal.code {
                ErrorCode::RoomLimit | ErrorCode::Unavailable | ErrorCode::Internal => {
                    refuse(id, &refusal, out);
                    self.close(CloseCode::TRY_AGAIN, "Try again later", out);
                }
                _ => self.close(CloseCode::POLICY, "Authentication failed", out),
            },
        }
    }

    fn complete_resume(
        &mut self,
        id: Option<&CallId>,
        result: Result<Outcome, Refusal>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        match result {
            Ok(Outcome::Resumed(resumed)) => {
                let rooms = resumed.rooms.iter().filter_map(|room| room.as_ref().ok());
                let recoveries = rooms.clone().map(|joined| Recovery {
                    room: joined.room.clone(),
                    position: joined.position,
                    recovered: joined.recovered,
                });
                out.push(Output::Send(encode::resumed(
                    &resumed.resume,
                    &recoveries.collect::<Vec<_>>(),
                )));
                send_reply(id, &Reply::Done, JoinForm::One, out);
                self.become_open(&resumed.identity, now, Fresh::No);
                for joined in rooms {
                    send_replay(joined, out);
                }
                for (room, refusal) in resumed.rooms.iter().filter_map(|room| room.as_ref().err()) {
                    send_push(
                        &Push::Removed {
                            room: room.clone(),
                            code: refusal.code,
                        },
                        out,
                    );
                }
                out.push(Output::Release);
            }
            Ok(outcome) => unreachable!("a resume was answered with {outcome:?}"),
            Err(refusal) => {
                if let State::Anonymous { asked, .. } = &mut self.state {
                    *asked = false;
                }
                refuse(id, &refusal, out);
            }
        }
    }

    fn become_open(&mut self, identity: &Identity, now: Now, fresh: Fresh) {
        let expiry = Expiry::new(identity.exp, now);
        self.state = State::Open {
            grants: identity.grants.clone(),
            expiry,
            fresh: fresh == Fresh::Yes,
        };
    }
}

fn complete_join(
    id: Option<&CallId>,
    mut rooms: Vec<Result<Joined, (RoomName, Refusal)>>,
    form: JoinForm,
    refused: Vec<(usize, RoomName, Refusal)>,
    out: &mut Vec<Output>,
) {
    rights::merge_join(&mut rooms, refused);
    let reply = Reply::Joined(rooms);
    let Reply::Joined(rooms) = &reply else { return };
    match (id, form, &rooms[..]) {
        (_, JoinForm::One, [Err((_, refusal))]) => refuse(id, refusal, out),
        (Some(id), ..) => out.push(Output::Send(encode::reply(id, &reply, form))),
        (None, ..) => {
            for (_, refusal) in rooms.iter().filter_map(|room| room.as_ref().err()) {
                refuse(None, refusal, out);
            }
        }
    }
    for joined in rooms.iter().filter_map(|room| room.as_ref().ok()) {
        send_replay(joined, out);
    }
    out.push(Output::Release);
}

fn send_joined(joined: &Joined, out: &mut Vec<Output>) {
    let Joined {
        room,
        position,
        recovered,
        ..
    } = joined;
    let reason = PositionReason::Joined;
    send_push(
        &Push::Position {
            room: room.clone(),
            position: *position,
            recovered: *recovered,
            reason,
        },
        out,
    );
    send_replay(joined, out);
}

fn send_replay(joined: &Joined, out: &mut Vec<Output>) {
    out.extend(
        joined
            .replay
            .iter()
            .map(|publication| Output::Send(encode::publication(publication))),
    );
}
