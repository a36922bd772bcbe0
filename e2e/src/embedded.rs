//! A server that a test programs itself, as an application would.

use std::net::SocketAddr;

use nuncio::{Handle, ServeError, Server, ServerBuilder};
use tokio::task::JoinHandle;

/// A running server; it is gone when it is dropped.
pub struct Embedded {
    /// Where it listens.
    pub address: SocketAddr,
    /// What stops it.
    pub handle: Handle,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Embedded {
    /// Starts what a test has built, on a free port; `program` adds its handlers.
    ///
    /// # Panics
    /// When the server does not start.
    pub async fn start<T>(
        builder: ServerBuilder,
        program: impl FnOnce(&mut Server) -> T,
    ) -> (Self, T) {
        let server = builder.listen("127.0.0.1:0").bind().await;
        let mut server = server.unwrap_or_else(|error| panic!("{error}"));
        let made = program(&mut server);
        let started = Self {
            address: server.address().expect("it listens"),
            handle: server.handle(),
            running: tokio::spawn(server.run_until(std::future::pending())),
        };
        (started, made)
    }

    /// The URL of one of its paths.
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// Stops it, and waits until everything is closed.
    ///
    /// # Panics
    /// When it ended before, or panicked.
    pub async fn stop(mut self) {
        self.handle.shutdown();
        let ended = (&mut self.running).await;
        ended
            .expect("the server ends without a panic")
            .expect("it listened all the time");
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.running.abort();
    }
}
