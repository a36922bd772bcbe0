//! From text to [`ServerMessage`]: first the type, then the fields of that type.

use std::borrow::Cow;
use std::time::Duration;

use nuncio_model::{CallId, Json, RoomName, Status, Typing, UserId};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::message::{Failure, Reply, RoomPosition, Secret, ServerMessage};

/// A text that no version of the server sends.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or a field of the message is missing or has another type.
    #[error("the server's message cannot be read: {0}")]
    Field(#[from] serde_json::Error),
    /// Neither a message nor a reply.
    #[error("the server's message has neither type nor ack")]
    NoType,
}

/// Reads one message of the server.
///
/// # Errors
/// [`Unreadable`]. The connection may go on; the message is lost.
pub fn decode(text: &str) -> Result<ServerMessage, Unreadable> {
    let head: Head<'_> = serde_json::from_str(text)?;
    match head.kind {
        Some(kind) => of_type(&kind, text),
        None => reply(text),
    }
}

fn of_type(kind: &str, text: &str) -> Result<ServerMessage, Unreadable> {
    Ok(match kind {
        "welcome" => ServerMessage::Welcome(read(text)?),
        "auth_ok" => ServerMessage::AuthOk(read(text)?),
        "auth:expiring" => ServerMessage::Expiring(read::<Expiring>(text)?.exp),
        "resumed" => {
            let Resumed { resume, rooms } = read(text)?;
            ServerMessage::Resumed { resume, rooms }
        }
        "chat:message" => ServerMessage::Message(read(text)?),
        "event" => ServerMessage::Event(read(text)?),
        "message:private" => ServerMessage::Private(read(text)?),
        "user:joined" => {
            let InRoom { room, user } = read(text)?;
            ServerMessage::Joined(room, user)
        }
        "user:left" => {
            let InRoom { room, user } = read(text)?;
            ServerMessage::Left(room, user)
        }
        "user:typing" => {
            let InRoom { room, user } = read(text)?;
            ServerMessage::Typing(room, user, read::<IsTyping>(text)?.typing())
        }
        "presence:update" => {
            let Presence { user, status } = read(text)?;
            ServerMessage::Presence(user, status.into())
        }
        "presence:count" => {
            let Count { room, count } = read(text)?;
            ServerMessage::PresenceCount(room, count)
        }
        "room:position" => {
            let room: RoomPosition = read(text)?;
            let reason = read::<Reason>(text)?.reason;
            ServerMessage::Position { room, reason }
        }
        "room:removed" => {
            let Removed { room, code } = read(text)?;
            ServerMessage::Removed(room, code)
        }
        "error" => ServerMessage::Error(read(text)?),
        "reconnect" => {
            let Reconnect { after, reason } = read(text)?;
            ServerMessage::Reconnect(after, reason)
        }
        "pong" => ServerMessage::Pong,
        unknown => ServerMessage::Unknown(unknown.into()),
    })
}

fn reply(text: &str) -> Result<ServerMessage, Unreadable> {
    let fields: ReplyFields<'_> = read(text)?;
    let Some(ack) = fields.ack else {
        return Err(Unreadable::NoType);
    };
    let outcome = match (fields.error, fields.data) {
        (Some(failure), _) => Err(failure),
        (None, Some(data)) => Ok(Json::from(data)),
        (None, None) => Ok(Json::null()),
    };
    let ack = ack.into();
    Ok(ServerMessage::Reply(Reply { ack, outcome }))
}

fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Unreadable> {
    Ok(serde_json::from_str(text)?)
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ReplyFields<'a> {
    ack: Option<Ack>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ack {
    Number(u64),
    Text(Box<str>),
}

impl From<Ack> for CallId {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Number(number) => Self::Number(number),
            Ack::Text(text) => Self::Text(text),
        }
    }
}

#[derive(Deserialize)]
struct Expiring {
    exp: u64,
}

#[derive(Deserialize)]
struct Resumed {
    resume: Secret,
    rooms: Vec<RoomPosition>,
}

#[derive(Deserialize)]
struct InRoom {
    #[serde(rename = "roomId")]
    room: RoomName,
    #[serde(rename = "userId")]
    user: UserId,
}

#[derive(Deserialize)]
struct IsTyping {
    typing: bool,
}

impl IsTyping {
    const fn typing(&self) -> Typing {
        if self.typing {
            Typing::Started
        } else {
            Typing::Stopped
        }
    }
}

#[derive(Deserialize)]
struct Presence {
    #[serde(rename = "userId")]
    user: UserId,
    status: StatusWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatusWord {
    Online,
    Offline,
}

impl From<StatusWord> for Status {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Online => Self::Online,
            StatusWord::Offline => Self::Offline,
        }
    }
}

#[derive(Deserialize)]
struct Count {
    #[serde(rename = "roomId")]
    room: RoomName,
    count: u64,
}

#[derive(Deserialize)]
struct Reason {
    reason: Box<str>,
}

#[derive(Deserialize)]
struct Removed {
    #[serde(rename = "roomId")]
    room: RoomName,
    code: Box<str>,
}

#[derive(Deserialize)]
struct Reconnect {
    #[serde(deserialize_with = "millis")]
    after: Duration,
    reason: Box<str>,
}

/// JSON as it was written.
pub(super) fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Json::from)
}

/// JSON that may be left out.
pub(super) fn optional_json<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Json>, D::Error> {
    json(deserializer).map(Some)
}

/// A duration in milliseconds.
pub(super) fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// A duration in milliseconds that may be left out.
pub(super) fn optional_millis<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let value = Option::<u64>::deserialize(deserializer)?;
    Ok(value.map(Duration::from_millis))
}
