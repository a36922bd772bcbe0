//! The messages that a client receives (`docs/protocol.md`).

use std::fmt;
use std::time::Duration;

use nuncio_model::{
    CallId, Epoch, ErrorCode, EventName, Json, MessageId, Position, RoomName, SocketId, Status,
    Typing, UserId,
};
use serde::Deserialize;

use super::decode::{json, millis, optional_json, optional_millis};

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// `welcome`.
    Welcome(WelcomeMessage),
    /// `auth_ok`.
    AuthOk(AuthOk),
    /// `auth:expiring`: the token ends at this second since the Unix epoch.
    Expiring(u64),
    /// `resumed`.
    Resumed {
        /// The token for the next time. Never logged.
        resume: Secret,
        /// Where the rooms stand.
        rooms: Vec<RoomPosition>,
    },
    /// `chat:message`.
    Message(Message),
    /// `event`.
    Event(Event),
    /// `message:private`.
    Private(Private),
    /// `user:joined`.
    Joined(RoomName, UserId),
    /// `user:left`.
    Left(RoomName, UserId),
    /// `user:typing`.
    Typing(RoomName, UserId, Typing),
    /// `presence:update`.
    Presence(UserId, Status),
    /// `presence:count`.
    PresenceCount(RoomName, u64),
    /// `room:position`.
    Position {
        /// Where the room goes on.
        room: RoomPosition,
        /// Why its continuity broke: `gap`, `new epoch`, `cleared`.
        reason: Box<str>,
    },
    /// `room:removed`, with the code that says why.
    Removed(RoomName, Box<str>),
    /// The reply to a call.
    Reply(Reply),
    /// `error`: a message without an `id` was refused.
    Error(Failure),
    /// `reconnect`: wait this long, plus jitter.
    Reconnect(Duration, Box<str>),
    /// `pong`.
    Pong,
    /// A type of a newer server, to be ignored.
    Unknown(Box<str>),
}

/// What `welcome` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WelcomeMessage {
    /// The session's public id.
    pub id: SocketId,
    /// The version of the protocol.
    pub protocol: u32,
    /// How often the server pings.
    pub heartbeat: Heartbeat,
    /// What is in force on this connection.
    pub limits: Limits,
    /// The server's name and version.
    pub server: Box<str>,
    /// The token to resume with, where the connection is authenticated already.
    pub resume: Option<Secret>,
}

/// When a silent peer is taken for gone: after the sum of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Heartbeat {
    /// Pause between pings.
    #[serde(deserialize_with = "millis")]
    pub interval: Duration,
    /// How much longer than the interval a peer may stay silent.
    #[serde(deserialize_with = "millis")]
    pub timeout: Duration,
}

/// The limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of one message.
    pub message_bytes: u64,
    /// Rooms of the session.
    pub rooms: u64,
    /// Messages a second, sustained; 0 is without limit.
    pub rate_per_second: u32,
    /// Messages at once after a pause.
    pub burst: u32,
    /// Messages that a room keeps.
    pub history_max: u64,
}

/// `auth_ok`: who the client is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuthOk {
    /// The user.
    pub user: User,
    /// When the token ends, in seconds since the Unix epoch.
    pub exp: Option<u64>,
    /// The token to resume with.
    pub resume: Secret,
}

/// The user of a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Its id.
    pub sub: UserId,
    /// What the token says of the user for others to see.
    #[serde(default, deserialize_with = "optional_json")]
    pub info: Option<Json>,
}

/// Where a room stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomPosition {
    /// The room.
    #[serde(rename = "roomId")]
    pub room: RoomName,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its newest publication.
    pub seq: u64,
    /// Whether all that was missed follows.
    pub recovered: bool,
}

impl RoomPosition {
    /// The room's position.
    pub const fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            seq: self.seq,
        }
    }
}

/// A `chat:message` of a room.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Unique in the cluster, sorted by time.
    pub id: MessageId,
    /// Its place in the room's order.
    pub seq: u64,
    /// The room's epoch, where it changed.
    pub epoch: Option<Epoch>,
    /// The room.
    #[serde(rename = "roomId")]
    pub room: RoomName,
    /// Who wrote it; `None` for the backend.
    #[serde(rename = "userId")]
    pub user: Option<UserId>,
    /// Any JSON.
    #[serde(deserialize_with = "json")]
    pub content: Json,
    /// The server's wall clock in milliseconds since the Unix epoch.
    pub ts: u64,
}

/// An application's event: a publication where it has a `seq`, else an emit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its name.
    #[serde(rename = "event")]
    pub name: EventName,
    /// One argument, or an array of all arguments.
    #[serde(deserialize_with = "json")]
    pub data: Json,
    /// The room, where it was sent to exactly one.
    #[serde(rename = "roomId")]
    pub room: Option<RoomName>,
    /// As in [`Message::seq`].
    pub seq: Option<u64>,
    /// As in [`Message::epoch`].
    pub epoch: Option<Epoch>,
    /// As in [`Message::id`].
    pub id: Option<MessageId>,
    /// As in [`Message::ts`].
    pub ts: u64,
    /// As in [`Message::user`].
    #[serde(rename = "userId")]
    pub user: Option<UserId>,
    /// The server asks: answer with this number in [`Incoming::Answer`](crate::Incoming::Answer).
    pub ack_id: Option<u64>,
}

/// A `message:private`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Private {
    /// The sender's session; `None` for the backend.
    pub from: Option<SocketId>,
    /// The sender; `None` for the backend.
    pub from_user: Option<UserId>,
    /// Any JSON.
    #[serde(deserialize_with = "json")]
    pub content: Json,
    /// As in [`Message::ts`].
    pub ts: u64,
}

/// The one reply to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The call's `id`.
    pub ack: CallId,
    /// Its `data`, or why it was refused. The types of this module that end in `Answer` read the data.
    pub outcome: Result<Json, Failure>,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{code}: {message}")]
pub struct Failure {
    /// The code as text: a newer server may have more than [`ErrorCode`] knows.
    pub code: Box<str>,
    /// A sentence for people.
    #[serde(default)]
    pub message: Box<str>,
    /// When to try again, for `RATE_LIMITED`.
    #[serde(default, deserialize_with = "optional_millis")]
    pub retry_after: Option<Duration>,
    /// What a hook of the backend adds.
    #[serde(default, deserialize_with = "optional_json")]
    pub data: Option<Json>,
}

impl Failure {
    /// The code, if this version knows it.
    pub fn known_code(&self) -> Option<ErrorCode> {
        let mut codes = ErrorCode::ALL.into_iter();
        codes.find(|code| code.as_str() == &*self.code)
    }
}

/// A token, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// The text, for the server's eyes only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
