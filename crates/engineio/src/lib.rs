//! Engine.IO protocol 4 and 3 as a sans-IO state machine.
//!
//! Engine.IO gives Socket.IO a connection: messages in both directions, over HTTP long-polling, over a WebSocket, or
//! first the one and then the other. This crate knows the packets and the rules; it owns no socket, no clock and no
//! task. A driver brings requests, WebSocket messages and the time, and does what
//! [`server::Connection::poll_output`] says.
//!
//! - [`packet`] and [`payload`]: the encodings, the same for both roles;
//! - [`query`] and [`handshake`]: the query of a request and its checks; the error bodies, the OPEN packet;
//! - [`server`]: one connection as the server sees it;
//! - [`client`]: one connection as the client sees it, in protocol v4.
//!
//! # A server in one page
//!
//! For each request: [`Query::parse`], look the sid up, [`Query::check`], then follow the [`Route`].
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use nuncio_engineio::payload::Content;
//! use nuncio_engineio::server::{Connection, Output, RequestId};
//! use nuncio_engineio::{Config, Method, Packet, Query, RequestKind, Route};
//!
//! let config = Arc::new(Config::default());
//! let now = Instant::now();
//!
//! // GET /engine.io/?EIO=4&transport=polling
//! let query = Query::parse("EIO=4&transport=polling");
//! let route = query.check(&config, Method::Get, RequestKind::Http, None).unwrap();
//! assert_eq!(route, Route::OpenPolling);
//! let handshake = RequestId(1);
//! let mut connection =
//!     Connection::polling(now, config, "a-secret-id", query.protocol, query.binary, handshake);
//! let Some(Output::Respond { request, response }) = connection.poll_output() else { panic!() };
//! assert_eq!(request, handshake);
//! assert!(response.body.starts_with(br#"0{"sid":"a-secret-id""#));
//!
//! // POST ...&sid=a-secret-id with the body "4hello": an echo
//! assert!(connection.handle_post(now, RequestId(2), Content::Text));
//! connection.handle_post_body(now, RequestId(2), Content::Text, "4hello".into());
//! while let Some(output) = connection.poll_output() {
//!     match output {
//!         Output::Message(message) => connection.send(Packet::Message(message).encode()).unwrap(),
//!         Output::Respond { response, .. } => assert_eq!(response.body, "ok"),
//!         other => panic!("{other:?}"),
//!     }
//! }
//!
//! // GET ...&sid=a-secret-id
//! connection.handle_get(now, RequestId(3));
//! let Some(Output::Respond { response, .. }) = connection.poll_output() else { panic!() };
//! assert_eq!(response.body, "4hello");
//! ```
//!
//! # What the driver must see to
//!
//! - Call [`handle_aborted`](server::Connection::handle_aborted) when a client cuts a pending GET or POST off, before it
//!   serves the next request of that session.
//! - Refuse a second WebSocket ([`handle_websocket`](server::Connection::handle_websocket) gave `None`) by finishing its
//!   handshake and closing it: clients take a failed handshake for an error of the network.
//! - Add `cache-control: no-store` to the responses, CORS headers and, when wanted, a [`SessionCookie`].
//! - Limit WebSocket messages to [`Config::payload_bytes_max`].

pub mod client;
pub mod config;
mod cookie;
pub mod handshake;
mod heartbeat;
pub mod packet;
pub mod payload;
mod polling;
pub mod query;
pub mod server;

pub use config::{Config, Transport, Transports};
pub use cookie::{InvalidCookie, SameSite, SessionCookie};
pub use handshake::{RequestError, Response};
pub use packet::{BinarySupport, Frame, Message, Packet, PacketError, Protocol};
pub use query::{Method, Query, RequestKind, Route, Session};
