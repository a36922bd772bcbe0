//! RFC 6455 and RFC 7692 as a sans-IO state machine: bytes in, messages out, and back.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: the caller brings the bytes, and a client brings its
//! keys. The crate is made for servers with very many quiet connections: a [`Connection`] is a few words long and owns heap
//! memory only while a message is half received, and the compression state is one [`Inflater`] and one [`Deflater`] per
//! thread, because no context is ever taken over from one message to the next.
//!
//! - [`handshake`]: the opening handshake of both sides, including the negotiation of subprotocol and compression.
//! - [`Connection`]: what arrives, as [`Event`]s, and the state of the closing handshake.
//! - [`encode`], [`encode_ping`], [`encode_pong`], [`encode_close`], [`Fragments`]: what is sent, as whole frames. A server's
//!   frame carries no mask, so one encoded frame can be shared by everybody who shall receive it.
//!
//! ```
//! use nuncio_websocket::{Compression, Connection, ConnectionConfig, Event, Inflater, Mask, MessageKind, Role, encode};
//!
//! let mut server = Connection::new(Role::Server, ConnectionConfig::default());
//! let mut inflater = Inflater::new();
//! let mut read = encode(MessageKind::Text, b"hello", Compression::None, Mask::Key([1, 2, 3, 4])).to_vec();
//!
//! let mut input = &mut read[..];
//! while let Some(event) = server.receive(&mut input, &mut inflater)? {
//!     assert_eq!(event, Event::Text("hello".into()));
//! }
//! # Ok::<(), nuncio_websocket::FrameError>(())
//! ```

mod close;
mod connection;
mod deflate;
mod error;
mod event;
mod frame;
pub mod handshake;
mod header;
mod mask;
mod message;
mod unfinished;
mod utf8;

pub use close::CloseCode;
pub use connection::{Connection, ConnectionConfig, Role, State};
pub use deflate::{DeflateParams, Deflater, Inflater, WindowBits};
pub use error::FrameError;
pub use event::Event;
pub use frame::{
    Compression, Fragments, encode, encode_close, encode_into, encode_ping, encode_pong,
};
pub use header::{Header, Opcode};
pub use mask::Mask;
pub use message::MessageKind;
