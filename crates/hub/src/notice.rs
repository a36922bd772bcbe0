//! What a connection's task is told from outside: the small inbox beside the outbox.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use nuncio_model::{CloseCode, ErrorCode, Grants, Namespace, Outcome, Refusal, Request, RoomName};

/// One thing for a connection's task.
#[derive(Debug)]
pub enum Notice {
    /// A call that was pending is answered.
    Completed {
        /// The number the session gave the call.
        call: u32,
        /// The outcome.
        result: Result<Outcome, Refusal>,
    },
    /// What a pending call waited for has come about: ask again.
    Retry {
        /// The number the session gave the call.
        call: u32,
        /// What it asked.
        request: Request,
    },
    /// End the connection with this code.
    Close {
        /// The code.
        code: CloseCode,
        /// At most 123 bytes.
        reason: Cow<'static, str>,
    },
    /// The server shuts down: say when to come back, then close with 1012.
    Drain {
        /// How long the client is to wait before it connects again.
        after: Duration,
    },
    /// A newer connection wants the session: give it up.
    TakenOver,
    /// The bound of the outbox was passed.
    Overflow,
    /// The session is no longer in a room.
    Removed {
        /// Where the room is.
        namespace: Namespace,
        /// The room.
        room: RoomName,
        /// Why.
        code: ErrorCode,
    },
    /// The backend changed what the session may do.
    Regranted {
        /// The session's namespace.
        namespace: Namespace,
        /// What it may do from now on.
        grants: Arc<Grants>,
    },
    /// End the session of one namespace; a connection without others ends with it.
    Disconnect {
        /// The session's namespace.
        namespace: Namespace,
        /// The code.
        code: CloseCode,
        /// At most 123 bytes.
        reason: Cow<'static, str>,
    },
    /// Tokens were revoked: look whether the client's is one of them.
    Recheck,
}
