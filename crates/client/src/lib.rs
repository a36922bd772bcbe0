//! Clients for nuncio and for any WebSocket server.
//!
//! - [`websocket`] is a plain WebSocket client for any server, and [`websocket::ReconnectingWebSocket`] over it.
//! - [`Backoff`] is the pause before each attempt to connect.

mod backoff;
pub mod websocket;

pub use backoff::{Backoff, BackoffConfig, Jitter};
