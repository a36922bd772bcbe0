//! Commands that a backend decides about, each in its place among the session's others.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nuncio_hub::Notice;
use nuncio_model::{
    Body, Command, ErrorCode, EventName, IdempotencyKey, JoinRequest, Json, Namespace, Now,
    Outcome, PublishRequest, Refusal, Reply, RoomName, UserId,
};
use nuncio_transport::{Socket, clock};
use serde::Serialize;
use tokio::task::JoinSet;

use super::answer::{Decided, PublishAnswer, Verdict};
use super::ask::{SharedRule, Unanswered};
use super::order::{Asked, Entered, Rooms, Ticket};
use super::{Hooks, Rule};
use crate::app::Nuncio;
use crate::calls::Answered;
use crate::config::{HookKind, OnFailure};

/// A command that waits for its turn, or for a backend.
pub(super) struct Held {
    socket: Arc<Socket>,
    call: u32,
    command: Command,
}

/// A room to join, or why it is not joined.
pub(crate) type Wish = Result<JoinRequest, (RoomName, Refusal)>;

/// What is common to all questions about a command.
#[derive(Serialize)]
struct About<'a> {
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// Nobody, for a visitor's feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a UserId>,
    #[serde(rename = "roomId", skip_serializing_if = "Option::is_none")]
    room: Option<&'a RoomName>,
}

#[derive(Serialize)]
struct PublishQuestion<'a> {
    #[serde(flatten)]
    about: About<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a EventName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<String>,
    #[serde(rename = "idempotencyKey", skip_serializing_if = "Option::is_none")]
    key: Option<&'a IdempotencyKey>,
}

impl Nuncio {
    /// Does a command, once the backend agrees where it has a say, and after the session's earlier ones to the same room.
    pub(crate) fn decide(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        call: u32,
        command: Command,
        now: Now,
    ) -> Answered {
        let Some(hooks) = self.hooks.as_ref().filter(|hooks| hooks.decide_commands) else {
            return self.perform(socket, call, command, now);
        };
        let rooms = rooms_of(&command);
        let asked = hooks.asked(socket, &command);
        let held = Held {
            socket: socket.clone(),
            call,
            command,
        };
        match hooks.order.enter(socket.id, rooms, asked, held) {
            Entered::Free(held) => self.perform(socket, call, held.command, now),
            Entered::Asks(ticket, held) => {
                self.consult(hooks, Place::new(self, &held, ticket), held);
                None
            }
            Entered::Waits => None,
            Entered::Full => {
                let message = "Too many messages to this room wait for the backend";
                Some(Err(Refusal {
                    retry_after: Some(std::time::Duration::from_secs(1)),
                    ..Refusal::unavailable(message)
                }))
            }
        }
    }

    /// Whether a user, or a visitor, may watch rooms without a session: the `join` hook decides, one room after the other.
    ///
    /// # Errors
    /// The backend's refusal.
    pub(crate) async fn check_watch(
        &self,
        namespace: &Namespace,
        user: Option<&UserId>,
        rooms: &[RoomName],
    ) -> Result<(), Refusal> {
        let Some(hooks) = &self.hooks else {
            return Ok(());
        };
        for room in rooms {
            let question = About {
                namespace: namespace.as_str(),
                session: None,
                user,
                room: Some(room),
            };
            if let Some(rule) = hooks.rule(HookKind::Join, namespace, Some(room)) {
                hooks.may_join(rule, &question).await?;
            }
        }
        Ok(())
    }

    /// Asks the backend in a task of its own, which then does the command.
    fn consult(self: &Arc<Self>, hooks: &Arc<Hooks>, place: Place, held: Held) {
        let (app, hooks) = (self.clone(), hooks.clone());
        tokio::spawn(async move {
            let Held {
                socket,
                call,
                command,
            } = held;
            let answered = match hooks.consulted(&socket, command).await {
                Consulted::Perform(command) => app.perform(&socket, call, command, clock::now()),
                Consulted::Join(wishes) => app.join(&socket, call, wishes, clock::now()),
                Consulted::Answer(answered) => Some(answered),
            };
            tell(&socket, call, answered);
            drop(place);
        });
    }

    /// Lets those go on that waited for a call that was done.
    fn go_on(self: &Arc<Self>, hooks: &Arc<Hooks>, freed: Vec<(Ticket, Held)>) {
        let mut freed = VecDeque::from(freed);
        while let Some((ticket, held)) = freed.pop_front() {
            if hooks.asked(&held.socket, &held.command) == Asked::Yes {
                self.consult(hooks, Place::new(self, &held, ticket), held);
                continue;
            }
            let Held {
                socket,
                call,
                command,
            } = held;
            let answered = self.perform(&socket, call, command, clock::now());
            tell(&socket, call, answered);
            // What it held back comes before what other calls did: they are in the order of their tickets already.
            for next in hooks.order.leave(&socket.id, ticket).into_iter().rev() {
                freed.push_front(next);
            }
        }
    }
}

/// Gives the session an answer that did not come with the call.
fn tell(socket: &Arc<Socket>, call: u32, answered: Answered) {
    if let Some(result) = answered {
        socket.outbox.notify(Notice::Completed { call, result });
    }
}

/// A call's place in the order. When it is dropped, those behind it go on, even if its task has panicked.
struct Place {
    app: Arc<Nuncio>,
    session: nuncio_model::SocketId,
    ticket: Ticket,
}

impl Place {
    fn new(app: &Arc<Nuncio>, held: &Held, ticket: Ticket) -> Self {
        Self {
            app: app.clone(),
            session: held.socket.id,
            ticket,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(hooks) = self.app.hooks.clone() {
            let freed = hooks.order.leave(&self.session, self.ticket);
            self.app.go_on(&hooks, freed);
        }
    }
}

/// What came of a question.
enum Consulted {
    Perform(Command),
    Join(Vec<Wish>),
    Answer(Result<Outcome, Refusal>),
}

impl Hooks {
    fn asked(&self, socket: &Socket, command: &Command) -> Asked {
        let has_say = match command {
            Command::Join(requests) => requests.iter().any(|request| {
                self.rule_for(socket, HookKind::Join, &request.room)
                    .is_some()
            }),
            Command::Publish(request) => self
                .rule_for(socket, HookKind::Publish, &request.room)
                .is_some(),
            Command::Call { .. } => self.rule(HookKind::Call, &socket.namespace, None).is_some(),
            Command::Leave(_)
            | Command::Private { .. }
            | Command::Typing { .. }
            | Command::Presence { .. }
            | Command::History(_)
            | Command::Refresh { .. } => false,
        };
        if has_say { Asked::Yes } else { Asked::No }
    }

    fn rule_for(&self, socket: &Socket, kind: HookKind, room: &RoomName) -> Option<&SharedRule> {
        self.rule(kind, &socket.namespace, Some(room))
    }

    async fn consulted(self: &Arc<Self>, socket: &Arc<Socket>, command: Command) -> Consulted {
        match command {
            Command::Join(requests) => Consulted::Join(self.join(socket, requests).await),
            Command::Publish(request) => self.publish(socket, request).await,
            Command::Call {
                event,
                data,
                attachments,
            } => Consulted::Answer(self.call(socket, &event, &data, &attachments).await),
            other @ (Command::Leave(_)
            | Command::Private { .. }
            | Command::Typing { .. }
            | Command::Presence { .. }
            | Command::History(_)
            | Command::Refresh { .. }) => Consulted::Perform(other),
        }
    }

    /// Asks about each room by itself, at the same time.
    async fn join(self: &Arc<Self>, socket: &Arc<Socket>, requests: Vec<JoinRequest>) -> Vec<Wish> {
        let mut asking = JoinSet::new();
        let mut agreed = vec![Ok(()); requests.len()];
        for (index, request) in requests.iter().enumerate() {
            let Some(rule) = self.rule_for(socket, HookKind::Join, &request.room) else {
                continue;
            };
            // No, until there is an answer.
            agreed[index] = Err(Refusal::new(ErrorCode::Internal, "Internal error"));
            let (hooks, rule, socket) = (self.clone(), rule.clone(), socket.clone());
            let room = request.room.clone();
            asking.spawn(async move {
                let question = about(&socket, Some(&room));
                (index, hooks.may_join(&rule, &question).await)
            });
        }
        while let Some(asked) = asking.join_next().await {
            if let Ok((index, answer)) = asked {
                agreed[index] = answer;
            }
        }
        let wishes = requests.into_iter().zip(agreed);
        wishes
            .map(|(request, agreed)| match agreed {
                Ok(()) => Ok(request),
                Err(refusal) => Err((request.room, refusal)),
            })
            .collect()
    }

    async fn may_join(&self, rule: &Rule, question: &About<'_>) -> Result<(), Refusal> {
        match self.ask::<Verdict>(rule, HookKind::Join, question).await {
            Ok(verdict) if verdict.allow => Ok(()),
            Ok(verdict) => Err(verdict.refusal(ErrorCode::Forbidden)),
            Err(why) => overruled(rule, &why),
        }
    }

    async fn publish(&self, socket: &Arc<Socket>, mut request: PublishRequest) -> Consulted {
        let Some(rule) = self.rule_for(socket, HookKind::Publish, &request.room) else {
            return Consulted::Perform(Command::Publish(request));
        };
        let question = publish_question(socket, &request);
        let answer = self
            .ask::<PublishAnswer>(rule, HookKind::Publish, &question)
            .await;
        let decided =
            answer.and_then(|answer| answer.decide(&request.body).map_err(Unanswered::Unreadable));
        match decided {
            Ok(Decided::Publish(rewritten)) => {
                if let Some(body) = rewritten {
                    request.body = body;
                }
                Consulted::Perform(Command::Publish(request))
            }
            Ok(Decided::Answer(data)) => Consulted::Answer(Ok(Outcome::Reply(Reply::Answer {
                data,
                attachments: Box::default(),
            }))),
            Ok(Decided::Refuse(refusal)) => Consulted::Answer(Err(refusal)),
            Err(why) => match overruled(rule, &why) {
                Ok(()) => Consulted::Perform(Command::Publish(request)),
                Err(refusal) => Consulted::Answer(Err(refusal)),
            },
        }
    }

    /// A remote call. No answer is no answer, whatever the configuration says.
    async fn call(
        &self,
        socket: &Arc<Socket>,
        event: &EventName,
        data: &Json,
        attachments: &[Bytes],
    ) -> Result<Outcome, Refusal> {
        let Some(rule) = self.rule(HookKind::Call, &socket.namespace, None) else {
            return Err(Refusal::unavailable("Nothing answers this event"));
        };
        let question = PublishQuestion {
            about: about(socket, None),
            event: Some(event),
            content: None,
            data: Some(data),
            attachments: attachments
                .iter()
                .map(|bytes| BASE64.encode(bytes))
                .collect(),
            key: None,
        };
        let answer = self.ask::<PublishAnswer>(rule, HookKind::Call, &question);
        let answer = answer
            .await
            .and_then(|answer| answer.answer().map_err(Unanswered::Unreadable));
        match answer {
            Ok(Ok(data)) => Ok(Outcome::Reply(Reply::Answer {
                data,
                attachments: Box::default(),
            })),
            Ok(Err(refusal)) => Err(refusal),
            Err(why) => Err(why.refusal()),
        }
    }
}

/// What holds without an answer: the configuration's word.
pub(super) fn overruled(rule: &Rule, why: &Unanswered) -> Result<(), Refusal> {
    match rule.on_failure {
        OnFailure::Allow if why.is_outage() => Ok(()),
        OnFailure::Allow | OnFailure::Deny => Err(why.refusal()),
    }
}

fn about<'a>(socket: &'a Socket, room: Option<&'a RoomName>) -> About<'a> {
    About {
        namespace: socket.namespace.as_str(),
        session: Some(socket.id.to_string()),
        user: Some(&socket.user),
        room,
    }
}

fn publish_question<'a>(socket: &'a Socket, request: &'a PublishRequest) -> PublishQuestion<'a> {
    let (event, content, data, attachments) = match &request.body {
        Body::Chat { content } => (None, Some(content), None, &[][..]),
        Body::Event {
            name,
            data,
            attachments,
        } => (Some(name), None, Some(data), &attachments[..]),
    };
    PublishQuestion {
        about: about(socket, Some(&request.room)),
        event,
        content,
        data,
        attachments: attachments
            .iter()
            .map(|bytes| BASE64.encode(bytes))
            .collect(),
        key: request.idempotency_key.as_ref(),
    }
}

/// The rooms in which a command has its place.
fn rooms_of(command: &Command) -> Rooms {
    match command {
        Command::Join(requests) => requests
            .iter()
            .map(|request| request.room.clone())
            .collect(),
        Command::Leave(room) | Command::Typing { room, .. } | Command::Presence { room, .. } => {
            [room.clone()].into_iter().collect()
        }
        Command::Publish(request) => [request.room.clone()].into_iter().collect(),
        Command::History(query) => [query.room.clone()].into_iter().collect(),
        Command::Private { .. } | Command::Call { .. } | Command::Refresh { .. } => Rooms::new(),
    }
}
