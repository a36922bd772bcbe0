//! The same protocol from the other end: encode what a client sends, decode what it receives.
//!
//! A client must live with servers that are newer than it is, so [`decode()`] ignores unknown fields, hands unknown types on as
//! [`ServerMessage::Unknown`], and keeps codes and reasons as text.

mod answer;
mod decode;
mod encode;
mod message;

pub use answer::{JoinAnswer, Page, PresenceAnswer, PresenceUser, PublishAnswer, RoomAnswer};
pub use decode::{Unreadable, decode};
pub use encode::encode;
pub use message::{
    AuthOk, Event, Failure, Heartbeat, Limits, Message, Private, Reply, RoomPosition, Secret,
    ServerMessage, User, WelcomeMessage,
};
