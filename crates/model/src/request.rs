//! What a session asks of the server it belongs to, and what it is told.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Command, ErrorCode, Identity, JoinRequest, Joined, Json, Offset, Opening, Position,
    Publication, Push, Refusal, Reply, ResumeToken, RoomName, SocketId,
};

/// A text that must not be seen: a token of any kind. `Debug` shows only that it is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever checks it or gives it to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One thing that a session cannot do alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Let this client in, by its token.
    Authenticate(Secret),
    /// Let this Socket.IO client into its namespace.
    Connect {
        /// The payload of its CONNECT, a JSON object.
        auth: Secret,
        /// The request that opened the connection.
        opening: Opening,
    },
    /// Go on with letting this client in: what that waited for has come about.
    Proceed,
    /// Take what the client answers to a question of the server. The outcome is [`Outcome::Silent`].
    Answer {
        /// The number of the question.
        ack: u64,
        /// One value, or an array of all.
        data: Json,
        /// As in [`Body::Event`](crate::Body::Event).
        attachments: Box<[Bytes]>,
    },
    /// Let this client in, whose request said who it is.
    Enter(Box<Identity>),
    /// Let this client watch rooms: it receives what is said there, and says nothing.
    Watch(Box<Watch>),
    /// Let this Socket.IO client in, of which it is known who it is: into its session before, where it has one.
    Return {
        /// The payload of its CONNECT.
        auth: Secret,
        /// As in [`Connect`](Self::Connect).
        opening: Opening,
        /// Who it is.
        identity: Box<Identity>,
    },
    /// Give this client a session that it had.
    Resume {
        /// The resume token.
        token: Secret,
        /// What the client saw last of each room.
        rooms: Vec<(RoomName, Position)>,
    },
    /// Exchange the client's token for a newer one.
    Refresh(Secret),
    /// The same, once it is known what the newer one says.
    Renew(Box<Identity>),
    /// Do what the client asks.
    Command(Command),
}

/// Who wants to watch which rooms, all of which are granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The user; `None` for a visitor.
    pub identity: Option<Identity>,
    /// The rooms, and from where on.
    pub rooms: Vec<JoinRequest>,
}

/// The answer to a [`Request`] that succeeded.
#[derive(Debug)]
pub enum Outcome {
    /// The client is in.
    Admitted(Box<Admitted>),
    /// The client watches these rooms; one that it could not enter is refused.
    Watching(Vec<Result<Joined, (RoomName, Refusal)>>),
    /// The client has its session back.
    Resumed(Box<Resumed>),
    /// The client has a new token, and perhaps other grants.
    Refreshed(Box<Identity>),
    /// The command is done.
    Reply(Reply),
    /// It is done, and there is nothing to say: the handler of an event did not answer it.
    Silent,
    /// The server's program, or its backend, does not let the client in, and says so in its own words.
    TurnedAway(Box<TurnedAway>),
}

/// What a client is told that the server's program, or its backend, does not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnedAway {
    /// What kind of no it is.
    pub code: ErrorCode,
    /// A sentence.
    pub message: String,
    /// What its program is to know.
    pub data: Option<Json>,
}

/// Who gives the events of a namespace their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vocabulary {
    /// The server: `message:send` publishes, `room:join` joins.
    #[default]
    BuiltIn,
    /// The handlers of a program, which get every event as it is.
    Application,
}

/// A client that was let in.
#[derive(Debug)]
pub struct Admitted {
    /// Who it is.
    pub identity: Identity,
    /// By which it may take the session over after a loss.
    pub resume: ResumeToken,
    /// Rooms that the token joins it to, with what it is told of each.
    pub joined: Vec<Joined>,
    /// What a client is told of its connection state, where that can be recovered; boxed, because it mostly cannot.
    pub recovery: Option<Box<Recovery>>,
    /// What the events of its namespace mean.
    pub vocabulary: Vocabulary,
}

/// What a Socket.IO client gets in a namespace with connection state recovery. Its private id is the text of [`Admitted::resume`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// A session of its own begins.
    New,
    /// It has the session back that it lost: its id, its rooms and its data.
    Recovered {
        /// What the application had set, as it was given.
        data: Option<Bytes>,
        /// What was sent to it and never arrived, in order, each with its place.
        missed: Vec<Missed>,
    },
}

/// A message that a client missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Its place in the order.
    pub offset: Offset,
    /// What was said.
    pub content: Content,
}

/// What an order domain orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A message of a room.
    Publication(Arc<Publication>),
    /// An application's event, or a private message.
    Push(Arc<Push>),
}

/// A session that was taken over.
#[derive(Debug)]
pub struct Resumed {
    /// The session's id, from before.
    pub id: SocketId,
    /// Who it is.
    pub identity: Identity,
    /// The next resume token.
    pub resume: ResumeToken,
    /// Its rooms; one that it may not be in any longer is refused.
    pub rooms: Vec<Result<Joined, (RoomName, Refusal)>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_seen_in_the_log_of_a_command() {
        let token = "eyJhbGciOi";
        let requests = [
            Request::Authenticate(token.into()),
            Request::Resume {
                token: token.into(),
                rooms: Vec::new(),
            },
            Request::Refresh(token.into()),
            Request::Command(Command::Refresh {
                token: token.into(),
            }),
        ];

        for request in requests {
            assert!(!format!("{request:?}").contains(token), "{request:?}");
        }
    }
}
