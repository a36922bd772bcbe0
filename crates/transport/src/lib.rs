//! Drivers that carry sessions over tokio and hyper: sockets, TLS, upgrade, flush.
//!
//! hyper reads requests and answers them; an upgraded socket is taken back from it and belongs to a driver from then on, of which nothing but
//! the session, its place in the hub and the socket itself is kept while the client is silent.

mod app;
pub mod clock;
mod driver;
mod echo;
mod encoders;
pub mod flusher;
mod io;
mod listener;
mod long;
mod place;
pub mod random;
pub mod raw;
mod service;
mod sink;
mod socketio;
mod stream;
mod timers;

pub use app::{
    About, Admission, AllowedOrigin, App, Body, BodyError, Client, Closed, ClosedBy, Credentials,
    FeedAdmission, RequestBody, Standing, Visitor,
};
pub use driver::Shared;
pub use encoders::{Encoders, NATIVE, POLLING, SSE};
pub use listener::{Front, FrontLimits};
pub use nuncio_engineio::{
    InvalidCookie, RequestError, SameSite, SessionCookie, Transport, Transports,
};
pub use nuncio_socketio::server::DisconnectReason;
pub use nuncio_socketio::{Limits, Parser, ParserRule};
pub use nuncio_websocket::handshake::DeflateConfig;
pub use place::Place;
pub use service::{Endpoints, Service, boxed, text};
pub use sink::{Node, Outbox, Rooms, Socket, Wire};
pub use socketio::{Cors, Cut, Form, Protocols, Purpose, SocketIo, SocketIoOptions};
pub use stream::{StreamOptions, Streams, feed, refuse};
pub use timers::Timers;
