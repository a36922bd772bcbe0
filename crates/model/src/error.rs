//! What a client is told when a command cannot be done.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{Json, JsonError, NameError};

/// The stable codes of `protocol.md`, "Errors". A client branches on these, never on the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The text is not JSON.
    ParseError,
    /// JSON, but not a message of the protocol.
    InvalidMessage,
    /// No such message type.
    UnknownType,
    /// A command before authentication.
    NotAuthenticated,
    /// The grants do not allow it.
    Forbidden,
    /// Too many messages; see `retryAfter`.
    RateLimited,
    /// Too many rooms in one session, or too many members in one room.
    RoomLimit,
    /// A message or a field is too large.
    TooLarge,
    /// The user, session or room does not exist.
    NotFound,
    /// Cannot be done at present, for example because the disk is full: try again later.
    Unavailable,
    /// A fault of the server.
    Internal,
}

impl ErrorCode {
    /// All codes, for counters and documentation.
    pub const ALL: [Self; 11] = [
        Self::ParseError,
        Self::InvalidMessage,
        Self::UnknownType,
        Self::NotAuthenticated,
        Self::Forbidden,
        Self::RateLimited,
        Self::RoomLimit,
        Self::TooLarge,
        Self::NotFound,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParseError => "PARSE_ERROR",
            Self::InvalidMessage => "INVALID_MESSAGE",
            Self::UnknownType => "UNKNOWN_TYPE",
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::RoomLimit => "ROOM_LIMIT",
            Self::TooLarge => "TOO_LARGE",
            Self::NotFound => "NOT_FOUND",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A command that was refused: the code, a sentence for people, and what the program needs besides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// A sentence that names the offending value, quoted with [`quote`].
    pub message: String,
    /// When to try again, for [`ErrorCode::RateLimited`].
    pub retry_after: Option<Duration>,
    /// What the refusing middleware or hook adds for the program.
    pub data: Option<Json>,
}

impl Refusal {
    /// A refusal with nothing besides its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            data: None,
        }
    }

    /// [`ErrorCode::InvalidMessage`]: which field is wrong and what is wanted.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidMessage, message)
    }

    /// [`ErrorCode::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// [`ErrorCode::RateLimited`] with the guide's words.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(ErrorCode::RateLimited, "Rate limit exceeded")
        }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Invalid(_) => Self::new(ErrorCode::ParseError, "Invalid JSON"),
            JsonError::TooDeep { .. } => Self::invalid(error.to_string()),
        }
    }
}

/// Quotes an offending value for a message: at most 64 bytes of it, escaped, so that it can break no log, terminal or page.
///
/// ```
/// assert_eq!(nuncio_model::quote("a\"b\u{1b}").to_string(), r#""a\"b\u{1b}""#);
/// assert!(nuncio_model::quote(&"é".repeat(100)).to_string().len() < 80);
/// ```
pub fn quote(text: &str) -> impl fmt::Display + '_ {
    struct Quoted<'a>(&'a str);
    impl fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut end = self.0.len().min(64);
            while !self.0.is_char_boundary(end) {
                end -= 1;
            }
            write!(f, "{:?}", &self.0[..end])?;
            if end < self.0.len() {
                f.write_str("…")
            } else {
                Ok(())
            }
        }
    }
    Quoted(text)
}
