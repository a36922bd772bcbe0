//! The server API over real HTTP, and what clients see of it.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod batch;
mod document;
mod keys;
mod publish;
mod refusals;
mod revoke;
mod rooms;
mod sessions;
mod socketio;
mod stats;
mod tail;

use nuncio_e2e::backend::{ADMIN, KEYS};
use nuncio_e2e::{Backend, TestServer};

/// A server, and a backend that may do everything there.
async fn start() -> (TestServer, Backend) {
    start_with("").await
}

/// The same, with more of the section `api` and others after it.
async fn start_with(more: &str) -> (TestServer, Backend) {
    let server = TestServer::start(&format!("{KEYS}\n{more}")).await;
    let backend = Backend::new(&server, ADMIN);
    (server, backend)
}

/// The same, where the namespace `/chat` is granted too.
async fn start_with_chat() -> (TestServer, Backend) {
    // What is added to the configuration begins in its section `grants`.
    let server = TestServer::start(&format!("namespaces = [\"/\", \"/chat\"]\n{KEYS}")).await;
    let backend = Backend::new(&server, ADMIN);
    (server, backend)
}
