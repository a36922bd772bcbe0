//! A real-time messaging server to embed: rooms over WebSocket, Socket.IO, SSE and long polling, with order and replay.

pub mod auth;
pub mod config;
pub mod origin;
