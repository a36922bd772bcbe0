//! Socket.IO protocol 5 and 4 as a sans-IO state machine.

mod ack;
pub mod decode;
pub mod encode;
mod json;
pub mod limits;
mod msgpack;
mod namespace;
pub mod packet;
pub mod payload;

pub use decode::{DecodeError, Decoder};
pub use encode::{Encoded, Frame};
pub use limits::Limits;
pub use namespace::Namespace;
pub use packet::{Body, Packet, Parser, Protocol};
pub use payload::{Event, Payload};
