//! Sessions that come back: from the parking, or from the connection that still has them.

use std::sync::Arc;

use nuncio_hub::{End, Notice, Role};
use nuncio_model::{
    ErrorCode, Identity, JoinRequest, Now, Outcome, Position, Refusal, Request, ResumeToken,
    Resumed, RoomName, Secret, UserId,
};
use nuncio_transport::{Client, Standing};

use crate::answer::now_or_later;
use crate::app::{Nuncio, TAKEOVER_TIMEOUT, transport};
use crate::calls::Answered;
use crate::hooks::Beginning;
use crate::io::{Arrival, DisconnectReason, Entering};
use crate::parking::{Parked, Waiter};

impl Nuncio {
    /// Gives a client the session that it had, from the parking or from the connection that still has it.
    pub(crate) fn resume(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        token: Secret,
        rooms: Vec<(RoomName, Position)>,
        now: Now,
    ) -> Answered {
        let Ok(parsed) = token.reveal().parse::<ResumeToken>() else {
            return Some(Err(self.no_session()));
        };
        if let Some(parked) = self.parking.take(&parsed, now.instant) {
            return self.resume_parked(client, call, parked, rooms, now);
        }
        let live = self.node.socket(&parsed.socket);
        let live = live.filter(|socket| {
            ResumeToken {
                socket: socket.id,
                secret: socket.secret,
            }
            .matches(&parsed)
        });
        let outbox = client.outbox.clone();
        let waiter = Waiter {
            outbox,
            call,
            request: Request::Resume {
                token,
                rooms: rooms.clone(),
            },
            until: now.instant + TAKEOVER_TIMEOUT,
        };
        let Some(live) = live else {
            if self.parking.wait_if_coming(&parsed, waiter) {
                return None;
            }
            // It was neither here nor there: since the first look it may have been parked.
            return match self.parking.take(&parsed, now.instant) {
                Some(parked) => self.resume_parked(client, call, parked, rooms, now),
                None => Some(Err(self.no_session())),
            };
        };
        if live.id == client.id {
            return Some(Err(self.no_session()));
        }
        if let Some(earlier) = self.parking.wait(live.id, waiter) {
            earlier.refuse(self.no_session());
        }
        // Between the look and the wait it may have been given up, and nobody was told.
        if let Some(parked) = self.parking.take(&parsed, now.instant) {
            self.parking.waiter(parsed.socket);
            return self.resume_parked(client, call, parked, rooms, now);
        }
        live.outbox.notify(Notice::TakenOver);
        None
    }

    fn no_session(&self) -> Refusal {
        self.metrics
            .resumes
            .get_or_create(&[("outcome", "unknown".to_owned())])
            .inc();
        Refusal::new(
            ErrorCode::NotFound,
            "no session to resume: it ended, or its time is over; authenticate and join anew",
        )
    }

    fn resume_parked(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        parked: Parked,
        seen: Vec<(RoomName, Position)>,
        now: Now,
    ) -> Answered {
        let Parked {
            token,
            user,
            namespace,
            standing,
            rooms,
        } = parked;
        if let Some(exp) = standing.exp
            && exp.saturating_add(self.config.connection.clock_leeway.as_secs()) <= now.unix_s()
        {
            return Some(Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "the token of the session ended: authenticate anew",
            )));
        }
        let identity = identity_of(user, &standing);
        if self.authenticator.revocations().is_revoked(&identity) {
            return Some(Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "the token of the session was revoked",
            )));
        }
        if let Some(fresh) = client.socket.take() {
            let reason = DisconnectReason::ClientNamespaceDisconnect;
            let _leaving = self.io.leave_for(&fresh.id, reason);
            self.node.disconnect(&fresh, End::Ended, now);
            self.record_exchange(client, &fresh, now);
            self.metrics
                .sessions
                .get_or_create(&[("transport", transport(client.encoder).to_owned())])
                .dec();
        }
        self.anonymous.lock().remove(&client.id);
        let head = self.io.take_head(&client.id);
        client.id = token.socket;
        client.namespace = namespace;
        let (role, beginning) = (Role::Session, Beginning::Resumed);
        let socket = match self.connect(client, &identity.user, &standing, role, beginning) {
            Ok(socket) => socket,
            Err(refusal) => return Some(Err(refusal)),
        };
        self.metrics
            .resumes
            .get_or_create(&[("outcome", "resumed".to_owned())])
            .inc();
        let arrival = Arrival {
            head,
            ..Arrival::native(identity.clone())
        };
        let entering = Entering::again(&self.io, client, arrival, now);
        let _ = Entering::vocabulary_of(entering.as_ref(), &socket);
        let resume = ResumeToken {
            socket: socket.id,
            secret: socket.secret,
        };
        let requests = rooms.iter().map(|room| JoinRequest {
            room: room.clone(),
            since: position_of(&seen, room),
            history: None,
        });
        let requests: Vec<_> = requests.collect();
        let app = self.clone();
        let answered = now_or_later(&client.outbox, call, |answer| {
            self.node.join(
                &socket,
                requests,
                self.config.connection.rooms_max,
                now,
                move |mut rooms| {
                    for joined in rooms.iter_mut().flatten() {
                        // Without a position of the client's nobody knows what it has read.
                        joined.recovered &= position_of(&seen, &joined.room).is_some();
                        app.metrics.recovery(joined.recovered);
                    }
                    let resumed = Resumed {
                        id: resume.socket,
                        identity,
                        resume,
                        rooms,
                    };
                    answer(Ok(Outcome::Resumed(Box::new(resumed))));
                },
            );
        });
        if let Some(entering) = entering {
            entering.start();
        }
        answered
    }
}

/// Who a parked session was, without what only the token said.
fn identity_of(user: UserId, standing: &Standing) -> Identity {
    let Standing {
        grants,
        exp,
        iat,
        token_id,
    } = standing.clone();
    Identity {
        user,
        profile: None,
        exp,
        iat,
        token_id,
        grants,
        join: Vec::new(),
    }
}

fn position_of(seen: &[(RoomName, Position)], room: &RoomName) -> Option<Position> {
    seen.iter()
        .find(|(name, _)| name == room)
        .map(|(_, position)| *position)
}
