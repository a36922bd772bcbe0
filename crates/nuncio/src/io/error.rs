//! What can go wrong between a program and its clients.

use std::fmt;

use nuncio_model::{ErrorCode, Json, NameError, SocketId, TurnedAway};
use serde::Serialize;

/// Why nothing was emitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// Clients take such an event for one of their own life cycle.
    #[error("the event {event:?} is one of the client's own: choose another name")]
    Reserved {
        /// The name.
        event: String,
    },
    /// That is no name for an event.
    #[error("{0}")]
    Event(NameError),
    /// That is no name for a room; see [`RoomName`](nuncio_model::RoomName).
    #[error("{0}")]
    Room(NameError),
    /// A room was not joined: for handlers that join and emit.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The store that keeps messages for clients to recover can keep none at present, or too much waits for it: nobody gets it.
    #[error("{0}")]
    Refused(nuncio_model::Refusal),
    /// The data cannot be written as JSON.
    #[error("what was to be emitted cannot be written as JSON: {0}")]
    Data(#[from] serde_json::Error),
}

/// Why a socket did not join a room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// That is no name for a room.
    #[error("{0}")]
    Room(#[from] NameError),
    /// The room or the socket has as many as it may have, or the room's history cannot be read.
    #[error("{0}")]
    Refused(#[from] nuncio_model::Refusal),
    /// The client is gone, or not in yet: a middleware runs before.
    #[error("the socket is not connected")]
    NotConnected,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The question was not even sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The client did not answer in time.
    #[error("operation has timed out")]
    Timeout,
    /// The client went before it answered.
    #[error("socket has been disconnected")]
    Disconnected,
    /// The client answered something else than was wanted.
    #[error("the answer is not what was wanted: {0}")]
    Answer(serde_json::Error),
}

/// Some of several did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{} of {} clients did not answer", missing.len(), missing.len() + answers.len())]
pub struct Unanswered<T: fmt::Debug> {
    /// What the others answered, in the order in which it came.
    pub answers: Vec<T>,
    /// Who did not, or answered something else than was wanted.
    pub missing: Vec<SocketId>,
}

/// Why the answers of several clients are not complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskManyError<T: fmt::Debug> {
    /// The question was not even sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// Some did not answer in time, or went before.
    #[error(transparent)]
    Unanswered(Unanswered<T>),
}

/// What a client is told that may not come in: Socket.IO's `connect_error`.
///
/// ```
/// use nuncio::io::Refused;
/// use serde_json::json;
///
/// let refused = Refused::new("Authentication failed").data(json!({ "retry": false }));
/// assert_eq!(refused.to_string(), "Authentication failed");
/// ```
#[derive(Debug, Clone)]
pub struct Refused(TurnedAway);

impl Refused {
    /// Refuses with a sentence: `err.message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(TurnedAway {
            code: ErrorCode::Forbidden,
            message: message.into(),
            data: None,
        })
    }

    /// Adds what the client's program is to know: `err.data`.
    ///
    /// # Panics
    /// When the value has a map whose keys are not text.
    #[must_use]
    pub fn data(mut self, data: impl Serialize) -> Self {
        self.0.data = Some(Json::of(&data));
        self
    }

    pub(super) fn into_turned_away(self) -> TurnedAway {
        self.0
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl From<&str> for Refused {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
