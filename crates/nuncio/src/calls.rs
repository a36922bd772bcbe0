//! What sessions ask for, done.

use std::sync::Arc;

use nuncio_hub::{Memberships, Notice, Role, Submission};
use nuncio_model::{
    Admitted, Command, ErrorCode, Identity, JoinRequest, Now, Outcome, PublishRequest, Refusal,
    Reply, Request, ResumeToken, Right, RoomName, Secret, UserId, quote,
};
use nuncio_transport::{App as _, Client, Socket, Standing, random};

use crate::answer::now_or_later;
use crate::app::{Nuncio, transport};
use crate::hooks::{Arriving, Beginning, Wish};
use crate::io::{Arrival, Entering};
use crate::recovery::mark_of;

pub(crate) type Answered = Option<Result<Outcome, Refusal>>;

impl Nuncio {
    pub(crate) fn answer(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        request: Request,
        now: Now,
    ) -> Answered {
        match request {
            Request::Authenticate(token) if self.is_decided(&client.namespace) => {
                let arriving = Arriving {
                    token: Some(self.presented(token, now)),
                    ..Arriving::default()
                };
                self.let_in(client, call, arriving);
                None
            }
            Request::Connect { auth, opening } if self.is_decided(&client.namespace) => {
                match self.arriving(auth, opening, now) {
                    Ok(arriving) => {
                        self.let_in(client, call, arriving);
                        None
                    }
                    Err(refusal) => Some(Err(refusal)),
                }
            }
            Request::Return {
                auth,
                opening,
                identity,
            } => {
                let arrival = Arrival {
                    identity: *identity,
                    auth: Some(auth),
                    head: opening.head().cloned(),
                };
                self.welcome_back(client, call, arrival, now)
            }
            Request::Authenticate(token) => match self.verify(&token, now) {
                Ok(identity) => self.welcome(client, call, Arrival::native(identity), now),
                Err(refusal) => Some(Err(refusal)),
            },
            Request::Connect { auth, opening } => {
                match self.identify(client, &auth, opening.token(), now) {
                    Ok(identity) => {
                        let (auth, head) = (Some(auth), opening.head().cloned());
                        let arrival = Arrival {
                            identity,
                            auth,
                            head,
                        };
                        self.welcome_back(client, call, arrival, now)
                    }
                    Err(refusal) => Some(Err(refusal)),
                }
            }
            Request::Enter(identity) => {
                let identity = self.named(*identity, client.id);
                self.welcome(client, call, Arrival::native(identity), now)
            }
            Request::Proceed => self.proceed(client, call, now),
            Request::Answer {
                ack,
                data,
                attachments,
            } => {
                self.take_answer(client, ack, (data, attachments));
                Some(Ok(Outcome::Silent))
            }
            Request::Resume { token, rooms } => self.resume(client, call, token, rooms, now),
            Request::Watch(watch) => self.watch(client, call, *watch, now),
            Request::Refresh(token) => self.refresh(client, call, token, now),
            Request::Renew(identity) => Some(self.renew(client, *identity, now)),
            Request::Command(command) => match client.socket.clone() {
                Some(socket) => self.command(&socket, call, command, now),
                None => Some(Err(Refusal::new(
                    ErrorCode::NotAuthenticated,
                    "Not authenticated",
                ))),
            },
        }
    }

    pub(crate) fn verify(&self, token: &Secret, now: Now) -> Result<Identity, Refusal> {
        self.authenticator
            .verify(token.reveal(), now.unix_s())
            .map_err(|error| {
                tracing::info!(%error, "a token was refused");
                Refusal::new(ErrorCode::NotAuthenticated, error.client_message())
            })
    }

    /// Lets a client in, and into the rooms that its token names; with handlers, where its namespace has some.
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        identity: Identity,
        entering: Option<Entering>,
        now: Now,
    ) -> Answered {
        let standing = standing_of(&identity);
        let (role, beginning) = (Role::Session, Beginning::New);
        let socket = match self.connect(client, &identity.user, &standing, role, beginning) {
            Ok(socket) => socket,
            Err(refusal) => return Some(Err(refusal)),
        };
        let vocabulary = Entering::vocabulary_of(entering.as_ref(), &socket);
        let resume = ResumeToken {
            socket: socket.id,
            secret: socket.secret,
        };
        let granted = identity
            .join
            .iter()
            .filter(|room| identity.grants.rights(room).has(Right::Join));
        let rooms: Vec<_> = granted
            .map(|room| JoinRequest {
                room: room.clone(),
                since: None,
                history: None,
            })
            .collect();
        let recovery = self.recovery_of(client).map(Box::new);
        let answered = now_or_later(&client.outbox, call, |answer| {
            self.node.join(
                &socket,
                rooms,
                self.config.connection.rooms_max,
                now,
                move |joined| {
                    let joined = joined.into_iter().filter_map(Result::ok).collect();
                    answer(Ok(Outcome::Admitted(Box::new(Admitted {
                        identity,
                        resume,
                        joined,
                        recovery,
                        vocabulary,
                    }))));
                },
            );
        });
        if let Some(entering) = entering {
            entering.start();
        }
        answered
    }

    /// Gives a client its place in the hub.
    pub(crate) fn connect(
        &self,
        client: &mut Client,
        user: &UserId,
        standing: &Standing,
        role: Role,
        beginning: Beginning,
    ) -> Result<Arc<Socket>, Refusal> {
        self.check_namespace(&client.namespace, &standing.grants)?;
        let socket = socket_of(
            client,
            ResumeToken {
                socket: client.id,
                secret: random::bytes(),
            },
            user,
            role,
        );
        match self.recovery_of(client) {
            Some(_) => self.node.connect_recorded(&socket, mark_of(standing))?,
            None => self.node.connect(&socket)?,
        }
        self.seat(client, &socket, standing, beginning);
        Ok(socket)
    }

    /// Notes whose connection this is from now on.
    pub(crate) fn seat(
        &self,
        client: &mut Client,
        socket: &Arc<Socket>,
        standing: &Standing,
        beginning: Beginning,
    ) {
        self.anonymous.lock().remove(&client.id);
        client.id = socket.id;
        self.metrics
            .sessions
            .get_or_create(&[("transport", transport(client.encoder).to_owned())])
            .inc();
        client.socket = Some(socket.clone());
        client.about.standing = Some(standing.clone());
        self.record_begin(client, beginning);
        // Who was revoked after its token was verified, and before it could be found here.
        if self.is_revoked(client) {
            client.outbox.notify(Notice::Recheck);
        }
    }

    /// Exchanges a client's token; rooms that the new one does not grant are left.
    pub(crate) fn renew(
        &self,
        client: &mut Client,
        identity: Identity,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let Some(socket) = client.socket.clone() else {
            return Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "Not authenticated",
            ));
        };
        if identity.user != socket.user {
            let message = format!(
                "the token is for user {}, the session is of user {}",
                quote(&identity.user),
                quote(&socket.user)
            );
            return Err(Refusal::new(ErrorCode::Forbidden, message));
        }
        identity.grants.check_namespace(&socket.namespace)?;
        for room in socket.rooms() {
            if !identity.grants.rights(&room).has(Right::Join)
                && self.node.leave(&socket, &room, now)
            {
                socket.outbox.notify(Notice::Removed {
                    namespace: socket.namespace.clone(),
                    room,
                    code: ErrorCode::Forbidden,
                });
            }
        }
        client.about.standing = Some(standing_of(&identity));
        Ok(Outcome::Refreshed(Box::new(identity)))
    }

    fn command(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        call: u32,
        command: Command,
        now: Now,
    ) -> Answered {
        if is_metered(&command)
            && let Err(refusal) = self.node.charge(socket, now, &self.config.rate)
        {
            return Some(Err(refusal));
        }
        self.decide(socket, call, command, now)
    }

    /// Does a command that nobody else has a say in any more.
    pub(crate) fn perform(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        call: u32,
        command: Command,
        now: Now,
    ) -> Answered {
        let reply = match command {
            Command::Join(requests) => {
                let wishes = requests.into_iter().map(Ok).collect();
                return self.join(socket, call, wishes, now);
            }
            Command::Publish(request) => return self.publish(socket, call, request, now),
            Command::History(mut query) => {
                let limit = self.config.history.messages_max as u32;
                query.limit = Some(query.limit.map_or(limit, |asked| asked.min(limit)));
                return now_or_later(&socket.outbox, call, |answer| {
                    let done = move |page: Result<nuncio_hub::Page, Refusal>| {
                        let reply = page.map(|page| Reply::History {
                            position: page.position,
                            publications: page.publications,
                        });
                        answer(reply.map(Outcome::Reply));
                    };
                    self.node
                        .history(&socket.namespace, &query, now, Box::new(done));
                });
            }
            Command::Leave(room) => {
                self.node.leave(socket, &room, now);
                Ok(Reply::Done)
            }
            Command::Private { to, content } => {
                return now_or_later(&socket.outbox, call, |answer| {
                    let nobody = format!("no user or session {} is connected", quote(&to));
                    let done = move |taken: Result<u32, Refusal>| {
                        answer(match taken {
                            Ok(0) => Err(Refusal::new(ErrorCode::NotFound, nobody)),
                            Ok(sessions) => Ok(Outcome::Reply(Reply::Sent { sessions })),
                            Err(refusal) => Err(refusal),
                        });
                    };
                    self.node.private(socket, &to, content, now, Box::new(done));
                });
            }
            Command::Typing { room, typing } => {
                self.node.typing(socket, &room, typing, now);
                Ok(Reply::Done)
            }
            Command::Presence { room, after, limit } => {
                let key = nuncio_hub::RoomKey {
                    namespace: socket.namespace.clone(),
                    room,
                };
                Ok(Reply::Presence(self.node.presence(
                    &key,
                    after.as_ref(),
                    limit,
                )))
            }
            Command::Call {
                event,
                data,
                attachments,
            } => return self.handle_event(socket, call, event, data, attachments),
            Command::Refresh { .. } => unreachable!("the session makes a request of its own of it"),
        };
        Some(reply.map(Outcome::Reply))
    }

    /// Joins what is not refused; the refusals keep their places in the reply.
    pub(crate) fn join(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        call: u32,
        wishes: Vec<Wish>,
        now: Now,
    ) -> Answered {
        let mut refused = Vec::new();
        let mut public = Vec::new();
        for (index, wish) in wishes.into_iter().enumerate() {
            let checked = wish.and_then(|request| match self.check_public(&request.room) {
                Ok(()) => Ok(request),
                Err(refusal) => Err((request.room, refusal)),
            });
            match checked {
                Ok(request) => public.push(request),
                Err((room, refusal)) => refused.push((index, room, refusal)),
            }
        }
        let positioned: Vec<_> = public
            .iter()
            .filter(|request| request.since.is_some())
            .map(|request| request.room.clone())
            .collect();
        let app = self.clone();
        let done = move |mut rooms: nuncio_hub::JoinOutcome| {
            for joined in rooms.iter().flatten() {
                if positioned.contains(&joined.room) {
                    app.metrics.recovery(joined.recovered);
                }
            }
            for (index, room, refusal) in refused {
                rooms.insert(index, Err((room, refusal)));
            }
            Outcome::Reply(Reply::Joined(rooms))
        };
        now_or_later(&socket.outbox, call, |answer| {
            let rooms_max = self.config.connection.rooms_max;
            self.node
                .join(socket, public, rooms_max, now, move |rooms| {
                    answer(Ok(done(rooms)));
                });
        })
    }

    /// Refuses the private room of a session, which is its id: what is emitted there is for the session alone.
    pub(crate) fn check_public(&self, room: &RoomName) -> Result<(), Refusal> {
        let session = room.parse().ok();
        let is_private = session.is_some_and(|id| {
            self.node.socket(&id).is_some() || self.parking.has(&id) || self.node.has_record(&id)
        });
        if !is_private {
            return Ok(());
        }
        let message = format!(
            "room {} is the private room of a session: send message:private",
            quote(room)
        );
        Err(Refusal::new(ErrorCode::Forbidden, message))
    }

    fn publish(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        call: u32,
        request: PublishRequest,
        now: Now,
    ) -> Answered {
        if let Err(refusal) = self.check_public(&request.room) {
            return Some(Err(refusal));
        }
        let submission = Submission {
            namespace: socket.namespace.clone(),
            author: Some(socket.user.clone()),
            request,
            now,
        };
        let metrics = self.metrics.clone();
        now_or_later(&socket.outbox, call, |answer| {
            let done = move |published: Result<nuncio_model::Published, Refusal>| {
                metrics
                    .publish_seconds
                    .observe(now.instant.elapsed().as_secs_f64());
                answer(published.map(|published| Outcome::Reply(Reply::Published(published))));
            };
            self.node.publish(submission, Box::new(done));
        })
    }
}

/// Whether a command counts against the user's rate; joins and leaves have a budget of their own, in the session.
const fn is_metered(command: &Command) -> bool {
    !matches!(command, Command::Join(_) | Command::Leave(_))
}

/// A client's place in the hub, with the id and the secret of its session.
pub(crate) fn socket_of(
    client: &Client,
    session: ResumeToken,
    user: &UserId,
    role: Role,
) -> Arc<Socket> {
    let ResumeToken { socket: id, secret } = session;
    Arc::new(Socket {
        id,
        user: user.clone(),
        namespace: client.namespace.clone(),
        encoder: client.encoder.into(),
        role,
        secret,
        outbox: client.outbox.clone(),
        rooms: Memberships::default(),
    })
}

pub(crate) fn standing_of(identity: &Identity) -> Standing {
    Standing {
        grants: identity.grants.clone(),
        exp: identity.exp,
        iat: identity.iat,
        token_id: identity.token_id.clone(),
    }
}
