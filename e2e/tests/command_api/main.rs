//! The commands that work through the server API: in pipes, on a terminal, and over a restart of the server.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod access;
mod lists;
mod publish;
mod shells;
mod tail;
mod terminal;

use nuncio_e2e::TestServer;
use nuncio_e2e::backend::KEYS;

/// A server with the keys of the tests.
async fn start() -> TestServer {
    TestServer::start(KEYS).await
}
