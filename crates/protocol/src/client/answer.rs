//! The `data` of replies, by the call that they answer.

use nuncio_model::{Epoch, Json, MessageId, Position, Published, RoomName, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{Unreadable, decode};
use super::message::{Failure, RoomPosition, ServerMessage};

/// The answer to a publication: where it landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishAnswer(pub Published);

impl PublishAnswer {
    /// Reads the `data` of a reply to `chat:message` or to an `event` with a room.
    ///
    /// # Errors
    /// [`Unreadable`] when it is another call's.
    pub fn parse(data: &Json) -> Result<Self, Unreadable> {
        let Stored { id, epoch, seq, ts } = serde_json::from_str(data.as_str())?;
        let position = Position { epoch, seq };
        Ok(Self(Published { id, position, ts }))
    }
}

/// The answer for one room of a `room:join`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomAnswer {
    /// The room was joined.
    Joined {
        /// Where it stands.
        room: RoomPosition,
        /// Users in the room.
        members: u64,
    },
    /// It was refused.
    Refused(RoomName, Failure),
}

/// The answer to `room:join`: one entry for each room, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswer(pub Vec<RoomAnswer>);

impl JoinAnswer {
    /// Reads the `data` of a reply to a join of either form.
    ///
    /// # Errors
    /// [`Unreadable`] when it is another call's.
    pub fn parse(data: &Json) -> Result<Self, Unreadable> {
        let Rooms { rooms } = serde_json::from_str(data.as_str())?;
        let entries = match rooms {
            Some(rooms) => rooms.into_iter().map(|entry| room(entry.get())).collect(),
            None => room(data.as_str()).map(|only| vec![only]),
        };
        entries.map(Self)
    }
}

/// The answer to `presence:get`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PresenceAnswer {
    /// Users in the room, on all pages.
    pub count: u64,
    /// This page; `None` when only the count was asked for.
    pub users: Option<Vec<PresenceUser>>,
    /// Give this as `after` for the next page; `None` on the last.
    pub next: Option<UserId>,
}

impl PresenceAnswer {
    /// Reads the `data` of a reply.
    ///
    /// # Errors
    /// [`Unreadable`] when it is another call's.
    pub fn parse(data: &Json) -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(data.as_str())?)
    }
}

/// One user of a room.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PresenceUser {
    /// The user.
    #[serde(rename = "userId")]
    pub user: UserId,
    /// How many sessions it has in the room.
    pub sessions: u32,
}

/// The answer to `history:get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The room's newest position.
    pub position: Position,
    /// [`ServerMessage::Message`] and [`ServerMessage::Event`], in order of `seq`.
    pub messages: Vec<ServerMessage>,
}

impl Page {
    /// Reads the `data` of a reply.
    ///
    /// # Errors
    /// [`Unreadable`] when it is another call's.
    pub fn parse(data: &Json) -> Result<Self, Unreadable> {
        let History {
            epoch,
            seq,
            messages,
        } = serde_json::from_str(data.as_str())?;
        let messages = messages.into_iter().map(|message| decode(message.get()));
        Ok(Self {
            position: Position { epoch, seq },
            messages: messages.collect::<Result<_, _>>()?,
        })
    }
}

fn room(text: &str) -> Result<RoomAnswer, Unreadable> {
    let Entry {
        room,
        error,
        members,
    } = serde_json::from_str(text)?;
    match error {
        Some(failure) => Ok(RoomAnswer::Refused(room, failure)),
        None => Ok(RoomAnswer::Joined {
            room: serde_json::from_str(text)?,
            members: members.unwrap_or_default(),
        }),
    }
}

#[derive(Deserialize)]
struct Stored {
    id: MessageId,
    epoch: Epoch,
    seq: u64,
    ts: u64,
}

#[derive(Deserialize)]
struct Rooms<'a> {
    #[serde(borrow)]
    rooms: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "roomId")]
    room: RoomName,
    error: Option<Failure>,
    members: Option<u64>,
}

#[derive(Deserialize)]
struct History<'a> {
    epoch: Epoch,
    seq: u64,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}
