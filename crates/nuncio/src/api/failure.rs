//! What a backend is told when a command cannot be done.

use std::time::Duration;

use http::StatusCode;
use nuncio_model::{ErrorCode, NameError, Refusal};
use schemars::JsonSchema;
use serde::Serialize;

/// Stable codes of the server API: those of the native protocol, and what HTTP adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ErrorCode")]
pub(super) enum Code {
    /// The body is not JSON.
    ParseError,
    /// A field is missing, unknown or wrong; the message names it.
    InvalidMessage,
    /// No key, or one that is not known.
    Unauthorized,
    /// The key's scopes, rooms or namespaces do not allow it.
    Forbidden,
    /// No such user, session, room or path.
    NotFound,
    /// The path knows other methods; `Allow` names them.
    MethodNotAllowed,
    /// The body took too long.
    Timeout,
    /// Too many rooms in one session, or too many members in one room.
    RoomLimit,
    /// The body, a message or a field is too large.
    TooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// Too much at once of this key; `retryAfter` says when to try again.
    RateLimited,
    /// A fault of the server.
    Internal,
    /// Cannot be done at present: the disk is full, the server shuts down. Try again later.
    Unavailable,
}

impl Code {
    pub(super) const ALL: [Self; 13] = [
        Self::ParseError,
        Self::InvalidMessage,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::RoomLimit,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ParseError => "PARSE_ERROR",
            Self::InvalidMessage => "INVALID_MESSAGE",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Timeout => "TIMEOUT",
            Self::RoomLimit => "ROOM_LIMIT",
            Self::TooLarge => "TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::ParseError | Self::InvalidMessage => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::RoomLimit => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<ErrorCode> for Code {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::ParseError => Self::ParseError,
            ErrorCode::InvalidMessage | ErrorCode::UnknownType => Self::InvalidMessage,
            ErrorCode::NotAuthenticated | ErrorCode::Forbidden => Self::Forbidden,
            ErrorCode::RateLimited => Self::RateLimited,
            ErrorCode::RoomLimit => Self::RoomLimit,
            ErrorCode::TooLarge => Self::TooLarge,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Unavailable => Self::Unavailable,
            ErrorCode::Internal => Self::Internal,
        }
    }
}

/// A command that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// The methods that are allowed instead, for the header.
    pub(super) allow: Option<String>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            allow: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidMessage, message)
    }

    pub(super) fn not_allowed(methods: String) -> Self {
        Self {
            allow: Some(methods.clone()),
            ..Self::new(Code::MethodNotAllowed, format!("use {methods}"))
        }
    }

    pub(super) fn rate_limited(message: impl Into<String>, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..Self::new(Code::RateLimited, message)
        }
    }

    /// As it is told.
    pub(super) fn told(&self) -> ErrorObject {
        let after = self.retry_after;
        ErrorObject {
            code: self.code,
            message: self.message.clone(),
            retry_after: after.map(|after| after.as_millis().max(1) as u64),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            retry_after: refusal.retry_after,
            ..Self::new(refusal.code.into(), refusal.message)
        }
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Refusal::from(error).into()
    }
}

/// Why a command was not done.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Error")]
pub(super) struct ErrorObject {
    /// Branch on this.
    code: Code,
    /// A sentence for people, which names what is wrong and what is wanted.
    message: String,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The body of every refusal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Failed")]
pub(super) struct Failed {
    /// What went wrong.
    pub(super) error: ErrorObject,
}
