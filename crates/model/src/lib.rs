//! The vocabulary of nuncio: ids, names, commands, replies, publications, error and close codes, limits.
//!
//! Everything here is parsed, so that a value that exists is valid: the core never validates twice. Nothing here reads a clock, opens a
//! socket or knows a wire format.

mod close;
mod command;
mod error;
mod grant;
mod id;
mod json;
mod limits;
mod message;
mod name;
mod now;
mod offset;
mod opening;
mod rate;
mod request;

pub use close::{CloseCode, RetryRule};
pub use command::{
    CallId, Command, HistoryQuery, JoinRequest, Joined, Member, PresencePage, PublishRequest,
    Published, Reply,
};
pub use error::{ErrorCode, Refusal, quote};
pub use grant::{Grants, Identity, Pattern, Right, Rights, RoomGrant};
pub use id::{Epoch, IdError, MessageId, Position, ResumeToken, SocketId};
pub use json::{Json, JsonError};
pub use limits::{ConnectionLimits, HistoryLimits, RateLimits, RoomLimits};
pub use message::{
    Body, Compression, Emit, PositionReason, Publication, Push, Status, Target, Typing, Volatility,
};
pub use name::{EventName, IdempotencyKey, NameError, Namespace, RoomName, UserId};
pub use now::Now;
pub use offset::Offset;
pub use opening::{Head, Opening};
pub use rate::RateBucket;
pub use request::{
    Admitted, Content, Missed, Outcome, Recovery, Request, Resumed, Secret, TurnedAway, Vocabulary,
    Watch,
};
