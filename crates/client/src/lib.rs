//! Clients for nuncio and for any WebSocket server.
//!
//! - [`Client`] speaks the native protocol with a nuncio server: rooms, messages, presence, history; it reconnects by itself,
//!   and every message comes once and in order, or a gap is told.
//! - [`Session`] is what [`Client`] runs on: the whole conversation without a socket, a clock or a random number: rooms, calls with
//!   acknowledgement, backoff, resume.
//! - [`socketio`] is a Socket.IO client, for nuncio and for any server of Socket.IO 3 and 4.
//! - [`websocket`] is a plain WebSocket client for any server, and [`websocket::ReconnectingWebSocket`] over it.
//! - [`tls`] says which servers are believed.
//! - [`Backoff`] is the pause before each attempt to connect.
//!
//! ```no_run
//! # async fn chat() -> Result<(), Box<dyn std::error::Error>> {
//! use nuncio_client::model::{Json, RoomName};
//! use nuncio_client::{Client, Config, Event, JoinFrom};
//!
//! let config = Config::new("wss://chat.example.com/ws").token(|| async { Some("eyJhbGciOi…".to_owned()) });
//! let (client, mut events) = Client::start(config);
//! let lobby = RoomName::parse("lobby")?;
//! client.join(&lobby, JoinFrom::History(20)).await?;
//! client.publish(&lobby, Json::of("Hello")).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{:?}: {:?}", message.user, message.content);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod backoff;
mod client;
mod dial;
mod session;
pub mod socketio;
pub mod tls;
pub mod websocket;

pub use backoff::{Backoff, BackoffConfig, Jitter};
pub use client::{Client, Config, Events, Joined};
pub use session::{
    Action, Answer, ApplicationCodes, CallError, Credential, EndReason, Event, JoinFrom, Repeat,
    Session, SessionConfig, Ticket,
};

pub use nuncio_model as model;
pub use nuncio_protocol::client as protocol;
