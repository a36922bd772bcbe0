//! A real-time messaging server to embed: rooms over WebSocket, Socket.IO, SSE and long polling, with order and replay.

mod answer;
mod app;
mod assets;
pub mod auth;
mod calls;
pub mod config;
mod metrics;
pub mod origin;
mod parking;
mod resume;
mod routes;
mod server;
mod socketio;
mod tls;

pub use server::{ServeError, Server};
pub use tls::TlsError;
