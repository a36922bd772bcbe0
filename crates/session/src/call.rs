//! A call: what a session asked the server to do, until it is done.

use nuncio_model::{CallId, Refusal, RoomName};
use nuncio_protocol::JoinForm;

/// One request under way, with what its reply needs.
#[derive(Debug)]
pub struct Call {
    /// Names the call within its session, for [`Session::complete_pending`](crate::Session::complete_pending).
    pub number: u32,
    /// The place in a Socket.IO connection that asks; 0 in the native dialect.
    pub(crate) member: u32,
    pub(crate) id: Option<CallId>,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Authenticate,
    Resume,
    Refresh,
    Join {
        form: JoinForm,
        /// Rooms that the grants forbid, with their places in the request.
        refused: Vec<(usize, RoomName, Refusal)>,
    },
    Other,
}
