//! What reaches clients: publications and emits. Two types, and nothing turns one into the other.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    ErrorCode, EventName, Json, MessageId, Namespace, Position, RoomName, SocketId, UserId,
};

/// A message of exactly one room: sequenced, stored, replayed, and delivered to every member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Unique in the cluster, sorted by time.
    pub id: MessageId,
    /// The namespace of the room.
    pub namespace: Namespace,
    /// The room.
    pub room: RoomName,
    /// Its place in the room's order.
    pub position: Position,
    /// Wall clock of the server, in milliseconds since the Unix epoch. A label: order comes from `position`.
    pub ts: u64,
    /// Who published it; `None` for the backend.
    pub author: Option<UserId>,
    /// What was said.
    pub body: Body,
}

/// What a publication or an application's event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A `chat:message`.
    Chat {
        /// Any JSON.
        content: Json,
    },
    /// An application's own event.
    Event {
        /// Its name.
        name: EventName,
        /// One argument, or an array of all arguments (`protocol.md`, "The same room, two protocols").
        data: Json,
        /// Binary parts, to which `data` refers by Socket.IO placeholders. Empty for native senders.
        attachments: Box<[Bytes]>,
    },
}

impl Body {
    /// Bytes of content, as limits and history count them.
    pub fn len(&self) -> usize {
        match self {
            Self::Chat { content } => content.as_bytes().len(),
            Self::Event {
                name,
                data,
                attachments,
            } => {
                name.len()
                    + data.as_bytes().len()
                    + attachments.iter().map(Bytes::len).sum::<usize>()
            }
        }
    }

    /// Whether there is no content at all, which valid JSON never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Something for a set of sockets that is in no room's history: several rooms, except someone, volatile, direct, typing, presence.
#[derive(Debug, Clone)]
pub struct Emit {
    /// The namespace of the targets.
    pub namespace: Namespace,
    /// Who gets it, each socket once.
    pub target: Target,
    /// Who does not: rooms (a socket's id is its private room).
    pub except: Vec<Target>,
    /// What they get.
    pub push: Push,
    /// Whether a slow consumer may miss it.
    pub volatility: Volatility,
}

/// A set of sockets of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every socket of the namespace.
    Everyone,
    /// The members of any of these rooms.
    Rooms(Vec<RoomName>),
    /// These sockets.
    Sockets(Vec<SocketId>),
    /// All sockets of one user.
    User(UserId),
}

/// Whether an emit waits in a slow consumer's outbox or is skipped for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Volatility {
    /// It waits; a full outbox disconnects the consumer.
    #[default]
    Kept,
    /// It is skipped where anything still waits to be written.
    Volatile,
}

/// Whether a message may be compressed on its way. It is about one delivery: what is replayed later is compressed as agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As the connection agreed, from its threshold on.
    #[default]
    AsAgreed,
    /// Not at all: it would gain nothing.
    Never,
}

/// The content of an [`Emit`]: the same for every receiver with the same encoder, so nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// An application's event.
    Event {
        /// Its name.
        name: EventName,
        /// As in [`Body::Event`].
        data: Json,
        /// As in [`Body::Event`].
        attachments: Box<[Bytes]>,
        /// The room it was emitted to, where that is exactly one.
        room: Option<RoomName>,
        /// Who emitted it.
        author: Option<UserId>,
        /// As in [`Publication::ts`].
        ts: u64,
        /// Whether it is worth compressing.
        compression: Compression,
    },
    /// An event of the server that its receivers are to answer, each by the same number.
    Question {
        /// Its name.
        name: EventName,
        /// As in [`Body::Event`].
        data: Json,
        /// As in [`Body::Event`].
        attachments: Box<[Bytes]>,
        /// As in [`Publication::ts`].
        ts: u64,
        /// What the answers carry: at most 2^53-1.
        ack: u64,
        /// Whether it is worth compressing.
        compression: Compression,
    },
    /// `message:private`.
    Private {
        /// The sender's session; `None` for the backend.
        from: Option<SocketId>,
        /// The sender; `None` for the backend.
        from_user: Option<UserId>,
        /// Any JSON.
        content: Json,
        /// As in [`Publication::ts`].
        ts: u64,
    },
    /// `user:joined`: the first session of a user in a room.
    Joined {
        /// The room.
        room: RoomName,
        /// The user.
        user: UserId,
    },
    /// `user:left`: the last session of a user in a room.
    Left {
        /// The room.
        room: RoomName,
        /// The user.
        user: UserId,
    },
    /// `user:typing`.
    Typing {
        /// The room.
        room: RoomName,
        /// The user.
        user: UserId,
        /// Whether it began or ended.
        typing: Typing,
    },
    /// `presence:update`.
    Presence {
        /// The user.
        user: UserId,
        /// Came or went.
        status: Status,
    },
    /// `presence:count`, instead of names in large rooms.
    PresenceCount {
        /// The room.
        room: RoomName,
        /// How many users are in it.
        count: u64,
    },
    /// `room:position`: the continuity of a joined room broke.
    Position {
        /// The room.
        room: RoomName,
        /// Where it goes on.
        position: Position,
        /// Whether what was missed follows.
        recovered: bool,
        /// Why it broke.
        reason: PositionReason,
    },
    /// `room:removed`: the session is no longer in the room, and did not ask for it.
    Removed {
        /// The room.
        room: RoomName,
        /// Why.
        code: ErrorCode,
    },
    /// `reconnect`: before the server closes with 1012 or 1013.
    Reconnect {
        /// How long to wait, plus jitter.
        after: Duration,
        /// A sentence.
        reason: &'static str,
    },
    /// `auth:expiring`: the token ends soon.
    Expiring {
        /// Seconds since the Unix epoch.
        exp: u64,
    },
}

/// Whether someone began or stopped typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// `typing:start`.
    Started,
    /// `typing:stop`, or nothing for 6 seconds.
    Stopped,
}

/// A user's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// At least one connected session.
    Online,
    /// None for longer than the grace.
    Offline,
}

/// Why a client is told a room's position (`room:position`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionReason {
    /// Publications are missing between what was delivered and what came.
    Gap,
    /// The room's numbering began anew.
    NewEpoch,
    /// The room's history was cleared.
    Cleared,
    /// The server joined the session to the room.
    Joined,
}

impl PositionReason {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::NewEpoch => "new epoch",
            Self::Cleared => "cleared",
            Self::Joined => "joined",
        }
    }
}
