//! What the task of a session has to say to a request.

use bytes::Bytes;
use http::StatusCode;
use nuncio_model::{ErrorCode, Refusal};
use nuncio_protocol::stream;

/// The answer to a poll, or to what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Messages, and the cursor that acknowledges them.
    Batch(u64, Vec<Bytes>),
    /// The body of this number was taken, now or before.
    Taken(u64),
    /// Nothing of it was done.
    Refused(StatusCode, Bytes),
}

impl Reply {
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self::Refused(status_of(refusal.code), stream::error_body(refusal))
    }

    /// The session is over, or was never there.
    pub(super) fn gone() -> Self {
        Self::refused(&Refusal::new(
            ErrorCode::NotFound,
            "no such session: it ended, or moved to another connection; resume it, or authenticate anew",
        ))
    }

    /// Somebody else's number, or a slip of the client's.
    pub(super) fn conflict(message: String) -> Self {
        let body = stream::error_body(&Refusal::invalid(message));
        Self::Refused(StatusCode::CONFLICT, body)
    }
}

/// What HTTP calls a refusal.
pub(super) const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::ParseError | ErrorCode::InvalidMessage | ErrorCode::UnknownType => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::NotAuthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RoomLimit | ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
