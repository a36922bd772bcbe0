//! What clients ask for, and what they are answered.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Body, EventName, IdempotencyKey, Json, MessageId, Offset, Position, Publication, RoomName,
    Secret, Typing, UserId,
};

/// The `id` that a client gave its call, returned in the reply as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallId {
    /// An integer from 0 to 2^53-1.
    Number(u64),
    /// 1 to 64 bytes of text.
    Text(Box<str>),
}

impl CallId {
    /// The largest number that every JSON parser reads exactly.
    pub const NUMBER_MAX: u64 = (1 << 53) - 1;
    /// The longest text, in bytes.
    pub const TEXT_BYTES_MAX: usize = 64;
}

/// One thing a client asks for, whatever protocol it came in by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `room:join`.
    Join(Vec<JoinRequest>),
    /// `room:leave`.
    Leave(RoomName),
    /// `chat:message`, or an `event` with a room.
    Publish(PublishRequest),
    /// `message:private`.
    Private {
        /// A user id or a session id, as written.
        to: Box<str>,
        /// Any JSON.
        content: Json,
    },
    /// `typing:start`, `typing:stop`.
    Typing {
        /// The room.
        room: RoomName,
        /// Which of the two.
        typing: Typing,
    },
    /// `presence:get`.
    Presence {
        /// The room.
        room: RoomName,
        /// The last user of the page before.
        after: Option<UserId>,
        /// Users a page; 0 asks for the count alone.
        limit: u32,
    },
    /// `history:get`.
    History(HistoryQuery),
    /// `event` without a room: to the Rust handler or the backend's hook, whose answer is the reply.
    Call {
        /// The event's name.
        event: EventName,
        /// As in [`Body::Event`].
        data: Json,
        /// As in [`Body::Event`].
        attachments: Box<[Bytes]>,
    },
    /// `auth:refresh`.
    Refresh {
        /// The new token.
        token: Secret,
    },
}

/// One room to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The room.
    pub room: RoomName,
    /// The last position the client saw: what was published since is replayed.
    pub since: Option<Position>,
    /// Without `since`: how many of the newest messages to send first.
    pub history: Option<u32>,
}

/// A publication before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// The room.
    pub room: RoomName,
    /// What is said.
    pub body: Body,
    /// Names the intention, so that a repeat gets the first one's answer.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A page of a room's history. `before` and `after` are exclusive; with neither, the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The room.
    pub room: RoomName,
    /// Messages with a lower `seq`, the newest of them.
    pub before: Option<u64>,
    /// Messages with a higher `seq`, the oldest of them.
    pub after: Option<u64>,
    /// How many; `None` is as many as the room keeps.
    pub limit: Option<u32>,
}

/// The one reply to a [`Command`] that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to add: `{status:"ok"}`.
    Done,
    /// One entry for each room of the request, in its order; a room may be refused while others are joined.
    Joined(Vec<Result<Joined, (RoomName, crate::Refusal)>>),
    /// The message is stored.
    Published(Published),
    /// `message:private` reached so many sessions.
    Sent {
        /// Sessions that it was handed to.
        sessions: u32,
    },
    /// `presence:get`.
    Presence(PresencePage),
    /// `history:get`: messages in order, and the room's current position.
    History {
        /// The room's newest position.
        position: Position,
        /// In order of `seq`.
        publications: Vec<Arc<Publication>>,
    },
    /// The answer of a handler or of the backend to an `event`.
    Answer {
        /// As in [`Body::Event`].
        data: Json,
        /// As in [`Body::Event`].
        attachments: Box<[Bytes]>,
    },
    /// `auth:refresh` is done.
    Refreshed {
        /// When the new token ends, in seconds since the Unix epoch.
        exp: Option<u64>,
    },
}

/// A room was joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The room.
    pub room: RoomName,
    /// Its position at the join: what follows `replay` continues from here without a gap.
    pub position: Position,
    /// Whether `replay` is all that was published after `since`. `true` without `since`: nothing was missed.
    pub recovered: bool,
    /// Users in the room, this one included.
    pub members: u64,
    /// Missed or asked-for messages, sent after the reply, in order.
    pub replay: Vec<Arc<Publication>>,
    /// Where connection states can be recovered: the place in the namespace's order up to which everything is before the reply.
    pub offset: Option<Offset>,
}

/// Where a publication landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The message's id.
    pub id: MessageId,
    /// Its place in the room.
    pub position: Position,
    /// Its time label in milliseconds.
    pub ts: u64,
}

/// Users of a room, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresencePage {
    /// Users in the room, on all pages.
    pub count: u64,
    /// This page; `None` when only the count was asked for.
    pub members: Option<Vec<Member>>,
    /// Give this as `after` for the next page; `None` on the last.
    pub next: Option<UserId>,
}

/// One user of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// Its sessions in the room.
    pub sessions: u32,
}
