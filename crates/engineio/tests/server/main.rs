//! The server's connection against scripted clients, by section of the protocol.

mod heartbeat;
mod peer;
mod polling;
mod properties;
mod upgrade;
mod websocket;
