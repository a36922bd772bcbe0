//! The native JSON protocol of nuncio, version 1: decode what clients send, encode what they receive.
//!
//! One text in, one [`Incoming`] out; one value in, one text out. Nothing here keeps state, reads a clock or touches a socket: order,
//! authentication and limits on rate belong to the session. The reference for users is `docs/protocol.md`.
//!
//! ```
//! use nuncio_protocol::{Incoming, decode, encode};
//!
//! let text = r#"{"type":"room:leave","roomId":"lobby","id":7}"#;
//! let Ok(Incoming::Command { id: Some(id), .. }) = decode(text) else { panic!() };
//! let reply = encode::reply(&id, &nuncio_model::Reply::Done, Default::default());
//! assert_eq!(reply, r#"{"ack":7,"data":{"status":"ok"}}"#);
//! ```

pub mod client;
mod decode;
pub mod encode;
pub mod stream;

pub use decode::{Incoming, JoinForm, Undecodable, check_json, decode};

/// The version of the protocol, as `welcome` tells it.
pub const VERSION: u32 = 1;

/// The WebSocket subprotocol (RFC 6455 §1.9) that stands for [`VERSION`].
pub const SUBPROTOCOL: &str = "nuncio.v1";
