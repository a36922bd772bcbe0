//! Socket.IO protocol 5 and 4 as a sans-IO state machine.
//!
//! Socket.IO puts namespaces, events, acknowledgements and binary attachments on an Engine.IO connection. This crate
//! knows the packets and the rules of a connection; Engine.IO, sockets, rooms and the application are elsewhere. Messages
//! come in as bytes, go out as [`Encoded`], and the time is an argument.
//!
//! - [`packet`], [`payload`], [`encode`], [`decode`]: the packets in both parsers, the same for both roles. Arguments
//!   stay the JSON text they came as: what one client sends can be spliced into what others get, without parsing it.
//! - [`server`]: the namespaces of one client as the server sees them;
//! - [`client`]: the namespaces a client joins, in protocol v5.
//!
//! # A server in one page
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use nuncio_socketio::payload::ArrayBuilder;
//! use nuncio_socketio::server::{Config, Connection, Output, Refusal};
//! use nuncio_socketio::{Namespace, Parser, Protocol, encode};
//!
//! let now = Instant::now();
//! let mut connection = Connection::new(now, Arc::new(Config::default()), Protocol::V5);
//! let mut sent = Vec::new();
//!
//! // The texts of Engine.IO messages, without their type digit `4`.
//! for text in ["0", r#"27["add",1,2]"#, "0/nowhere,"] {
//!     connection.handle_text(now, text.into());
//!     while let Some(output) = connection.poll_output() {
//!         match output {
//!             Output::Connect { namespace, .. } if namespace.is_main() => {
//!                 connection.accept(&namespace, "a-public-id", None).unwrap();
//!                 let welcome = br#""hello",{"to":"you"}"#;
//!                 connection.send(encode::event(Parser::Default, &namespace, None, "welcome", welcome, &[]));
//!             }
//!             Output::Connect { namespace, .. } => {
//!                 connection.refuse(&namespace, Refusal::UnknownNamespace).unwrap();
//!             }
//!             Output::Event { namespace, id: Some(id), event } => {
//!                 assert_eq!(event.name(), "add");
//!                 let numbers: Vec<i64> =
//!                     event.args().iter().map(|arg| serde_json::from_str(arg.get()).unwrap()).collect();
//!                 let args = ArrayBuilder::new().value(&numbers.iter().sum::<i64>()).unwrap().build();
//!                 connection.send(encode::ack(Parser::Default, &namespace, id, &args));
//!             }
//!             Output::Send(encoded) => sent.push(encoded),
//!             other => panic!("{other:?}"),
//!         }
//!     }
//! }
//!
//! let texts: Vec<&str> = sent.iter().filter_map(|encoded| encoded.text()).collect();
//! assert_eq!(
//!     texts,
//!     [
//!         r#"0{"sid":"a-public-id"}"#,
//!         r#"2["welcome","hello",{"to":"you"}]"#,
//!         "37[3]",
//!         r#"4/nowhere,{"message":"Invalid namespace"}"#
//!     ]
//! );
//! assert!(!connection.is_joined(&Namespace::new("/nowhere")));
//! ```

mod ack;
pub mod client;
pub mod decode;
pub mod encode;
mod json;
pub mod limits;
mod msgpack;
mod namespace;
pub mod packet;
pub mod payload;
mod query;
pub mod server;

pub use decode::{DecodeError, Decoder};
pub use encode::{Encoded, Frame};
pub use limits::Limits;
pub use namespace::Namespace;
pub use packet::{Body, Packet, Parser, ParserRule, Protocol};
pub use payload::{Event, Payload};
