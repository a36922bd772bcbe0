//! The rules of RFC 6455 and RFC 7692, one test each, with the bytes written out.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helper may panic like the test itself"
)]

mod chunking;
mod closing;
mod compression;
mod framing;
mod handshake_client;
mod handshake_server;
mod idle;
mod peer;
mod text;
mod tungstenite_agrees;
