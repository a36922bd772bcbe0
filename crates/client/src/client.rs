//! The native client: [`Session`](crate::Session) on a real socket, clock and randomness.

mod config;
mod driver;

use nuncio_model::{
    Body, Command, EventName, HistoryQuery, IdempotencyKey, Json, PublishRequest, Published,
    RoomName, Typing, UserId,
};
use nuncio_protocol::client::{Page, PresenceAnswer, PublishAnswer, RoomPosition, Unreadable};
use tokio::sync::{mpsc, oneshot};

use crate::session::{Answer, CallError, Event, JoinFrom, Repeat};
use crate::websocket::random;
use driver::Request;

pub use config::Config;

/// A client of nuncio. Clones share it; when the last one is dropped, it closes.
///
/// Everything may be asked for at any time: offline it waits until the client is online again, up to
/// [`SessionConfig::queue_max`](crate::SessionConfig::queue_max) calls.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
}

impl Client {
    /// Begins to connect, in a task of its own. Must be called inside a tokio runtime.
    pub fn start(config: Config) -> (Self, Events) {
        let (requests, asked) = mpsc::channel(64);
        let (tell, told) = mpsc::channel(config.events_max.max(1));
        tokio::spawn(driver::run(config, asked, tell));
        (Self { requests }, Events { told })
    }

    /// Joins a room, and again whenever the session is lost, until [`leave`](Self::leave).
    ///
    /// # Errors
    /// [`CallError::Refused`] when the server refuses the room, [`CallError::Ended`].
    pub async fn join(&self, room: &RoomName, from: JoinFrom) -> Result<Joined, CallError> {
        let (reply, answer) = oneshot::channel();
        let room = room.clone();
        self.ask(Request::Join { room, from, reply }).await?;
        match answer.await.unwrap_or(Err(CallError::Ended))? {
            Answer::Joined { room, members } => Ok(Joined { room, members }),
            Answer::Data(_) => Err(CallError::Ended),
        }
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`CallError::Ended`].
    pub async fn leave(&self, room: &RoomName) -> Result<(), CallError> {
        self.ask(Request::Leave(room.clone())).await
    }

    /// Publishes a `chat:message` and waits until the server has it. A missing reply is asked for again under the same key, also
    /// on the next connection: it is published once.
    ///
    /// # Errors
    /// Each [`CallError`]; after [`CallError::Lost`] and [`CallError::Timeout`] it may have been published.
    pub async fn publish(&self, room: &RoomName, content: Json) -> Result<Published, CallError> {
        self.publish_body(room, Body::Chat { content }).await
    }

    /// Publishes an application's event in a room, as [`publish`](Self::publish) does.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_event(
        &self,
        room: &RoomName,
        name: EventName,
        data: Json,
    ) -> Result<Published, CallError> {
        let attachments = Box::default();
        let body = Body::Event {
            name,
            data,
            attachments,
        };
        self.publish_body(room, body).await
    }

    /// Sends an event to the server itself, and returns what its handler answers. It is never repeated.
    ///
    /// # Errors
    /// Each [`CallError`].
    pub async fn call(&self, event: EventName, data: Json) -> Result<Json, CallError> {
        let attachments = Box::default();
        let command = Command::Call {
            event,
            data,
            attachments,
        };
        self.command(command, Repeat::Never).await
    }

    /// Sends a private message to a user or a session. It is never repeated: it has no key.
    ///
    /// # Errors
    /// Each [`CallError`]; after [`CallError::Lost`] it may have arrived.
    pub async fn private(&self, to: &str, content: Json) -> Result<(), CallError> {
        let to = to.into();
        let command = Command::Private { to, content };
        self.command(command, Repeat::Never).await.map(|_| ())
    }

    /// Tells the room that the user types, or stopped. Nothing is sent while offline: it would be worth nothing later.
    ///
    /// # Errors
    /// [`CallError::Ended`].
    pub async fn typing(&self, room: &RoomName, typing: Typing) -> Result<(), CallError> {
        let room = room.clone();
        self.ask(Request::Now(Command::Typing { room, typing }))
            .await
    }

    /// The users of a room after one, at most `limit`; 0 asks for their count alone.
    ///
    /// # Errors
    /// Each [`CallError`] but [`CallError::Lost`].
    pub async fn presence(
        &self,
        room: &RoomName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<PresenceAnswer, CallError> {
        let room = room.clone();
        let command = Command::Presence { room, after, limit };
        let data = self.command(command, Repeat::Safe).await?;
        PresenceAnswer::parse(&data).map_err(unreadable)
    }

    /// A page of a room's history.
    ///
    /// # Errors
    /// Each [`CallError`] but [`CallError::Lost`].
    pub async fn history(&self, query: HistoryQuery) -> Result<Page, CallError> {
        let command = Command::History(query);
        let data = self.command(command, Repeat::Safe).await?;
        Page::parse(&data).map_err(unreadable)
    }

    /// Answers an [`Event::Event`] that has an `ack_id`.
    ///
    /// # Errors
    /// [`CallError::Ended`].
    pub async fn answer(&self, ack_id: u64, data: Json) -> Result<(), CallError> {
        self.ask(Request::Answer { ack_id, data }).await
    }

    /// Ends the pause before the next attempt: the network is back, or the user asks.
    ///
    /// # Errors
    /// [`CallError::Ended`].
    pub async fn wake(&self) -> Result<(), CallError> {
        self.ask(Request::Wake).await
    }

    /// Closes, and connects no more. The last event is [`Event::Ended`].
    ///
    /// # Errors
    /// [`CallError::Ended`] when it has ended already.
    pub async fn close(&self) -> Result<(), CallError> {
        self.ask(Request::Close).await
    }

    async fn publish_body(&self, room: &RoomName, body: Body) -> Result<Published, CallError> {
        let room = room.clone();
        let command = Command::Publish(PublishRequest {
            room,
            body,
            idempotency_key: Some(fresh_key()),
        });
        let data = self.command(command, Repeat::Safe).await?;
        let PublishAnswer(published) = PublishAnswer::parse(&data).map_err(unreadable)?;
        Ok(published)
    }

    async fn command(&self, command: Command, repeat: Repeat) -> Result<Json, CallError> {
        let (reply, answer) = oneshot::channel();
        let call = Request::Call {
            command,
            repeat,
            reply,
        };
        self.ask(call).await?;
        match answer.await.unwrap_or(Err(CallError::Ended))? {
            Answer::Data(data) => Ok(data),
            Answer::Joined { .. } => Err(CallError::Ended),
        }
    }

    async fn ask(&self, request: Request) -> Result<(), CallError> {
        let asked = self.requests.send(request).await;
        asked.map_err(|_| CallError::Ended)
    }
}

/// What happens, in order.
#[derive(Debug)]
pub struct Events {
    told: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` after [`Event::Ended`]. Nothing more is read from the server while [`Config::events_max`] events
    /// wait here, replies to calls neither: read events in one task and call in another.
    pub async fn next(&mut self) -> Option<Event> {
        self.told.recv().await
    }
}

/// A room was joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Where it stands.
    pub room: RoomPosition,
    /// Users in the room, this one included.
    pub members: u64,
}

fn fresh_key() -> IdempotencyKey {
    let key = format!("{:032x}", u128::from_ne_bytes(random()));
    IdempotencyKey::parse(&key).expect("32 hexadecimal digits are a key")
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn unreadable(error: Unreadable) -> CallError {
    CallError::Unreadable(error.to_string())
}
