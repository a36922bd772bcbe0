//! A real-time messaging server to embed: rooms over WebSocket, Socket.IO, SSE and long polling, with order and replay.

mod admission;
mod answer;
mod api;
mod app;
mod assets;
pub mod auth;
mod builder;
mod calls;
pub mod config;
mod drain;
mod handle;
mod hooks;
pub mod io;
mod metrics;
mod mount;
pub mod origin;
mod parking;
mod policies;
mod recovery;
mod resume;
mod routes;
mod running;
mod server;
mod socketio;
mod streams;
mod tls;
pub mod websocket;

pub use builder::{Endpoint, ServerBuilder};
pub use handle::Handle;
pub use hooks::EventsError;
pub use mount::{Mount, MountBody};
pub use nuncio_model::{Right, Rights};
pub use server::{ServeError, Server};
pub use tls::TlsError;
pub use websocket::{Message, WebSocket};

/// The programs of the guide for Rust, compiled with the other tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
struct Guide;
