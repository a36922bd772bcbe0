//! What the application is told.

use std::time::Duration;

use nuncio_model::{CloseCode, Position, RoomName, SocketId, Status, Typing, UserId};
use nuncio_protocol::client::{Event as AppEvent, Failure, Message, Private};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client is in: calls are sent and rooms are joined.
    Online {
        /// The session's public id, which others see in `from`.
        session: SocketId,
        /// Whether it is the session from before.
        resumed: bool,
    },
    /// The connection is lost, or did not come about.
    Offline {
        /// Its close code; 1006 for a loss.
        code: CloseCode,
        /// The server's reason.
        reason: String,
    },
    /// The next attempt follows after this pause.
    Waiting {
        /// The pause.
        delay: Duration,
    },
    /// The last event: the client connects no more.
    Ended(EndReason),
    /// A `chat:message`, each once, in the order of its room.
    Message(Message),
    /// An application's event; as [`Message`](Self::Message) where it has a `seq`. With `ack_id` the server waits for an answer.
    Event(AppEvent),
    /// A private message.
    Private(Private),
    /// Messages of a room are missing and will not follow. It goes on after this position: read the history, or reload.
    Gap {
        /// The room.
        room: RoomName,
        /// What was seen last before the gap.
        seen: Option<Position>,
    },
    /// A user came into a room.
    Joined(RoomName, UserId),
    /// A user left a room.
    Left(RoomName, UserId),
    /// A user types, or stopped.
    Typing(RoomName, UserId, Typing),
    /// A user that shares a room came or went.
    Presence(UserId, Status),
    /// How many users a large room has.
    PresenceCount(RoomName, u64),
    /// The session is not in this room any more, or could not join it again.
    Removed(RoomName, Box<str>),
    /// The server refused a message that was no call.
    Error(Failure),
}

/// Why the client connects no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// It was closed by the application.
    #[error("closed")]
    Closed,
    /// After this close code a client does not come back.
    #[error("the server closed with {code}: {reason}")]
    Code {
        /// The code.
        code: CloseCode,
        /// The server's reason.
        reason: String,
    },
    /// As many attempts as allowed have failed.
    #[error("{attempts} attempts failed")]
    Attempts {
        /// How many.
        attempts: u32,
    },
    /// The server refuses the token, and there is no other one.
    #[error("the token is refused: {reason}")]
    Token {
        /// The server's reason.
        reason: String,
    },
}
