//! A server for one test: its own port, its own folder, in this process.

use std::net::SocketAddr;
use std::path::Path;

use nuncio::Server;
use nuncio::auth::{Authenticator, Claims};
use nuncio::config::Config;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server; it drains when it is stopped, and is gone when it is dropped.
pub struct TestServer {
    /// Where it listens.
    pub address: SocketAddr,
    authenticator: Authenticator,
    end: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    folder: Option<TempDir>,
}

/// Grants of the demo, short deadlines, and a secret that tests may know.
pub const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
echo = true

[auth]
secrets = ["a secret of at least thirty-two bytes"]

[grants]
rooms = [{ rooms = "*", allow = ["join", "publish", "presence", "history", "typing"] }]
private = ["*"]
"#;

impl TestServer {
    /// Starts a server with [`CONFIG`] and what is added to it.
    pub async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::start_in(folder.path(), more).await;
        server.folder = Some(folder);
        server
    }

    /// Starts a server on data that is there already.
    ///
    /// # Panics
    /// When the configuration is wrong, or the server does not start.
    pub async fn start_in(folder: &Path, more: &str) -> Self {
        Self::start_with(folder, &format!("{CONFIG}\n{more}")).await
    }

    /// Starts a server with a configuration of its own, but for the folder of its data.
    ///
    /// # Panics
    /// As [`start_in`](Self::start_in).
    pub async fn start_with(folder: &Path, toml: &str) -> Self {
        let mut config = Config::from_toml(toml, Path::new("test.toml"))
            .unwrap_or_else(|problems| panic!("{problems}"));
        config.store.path = folder.join("data");
        let checked = config
            .check()
            .unwrap_or_else(|problems| panic!("{problems}"));
        let authenticator = Authenticator::from_config(&checked).expect("the test has a secret");
        let server = Server::bind(checked)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let address = server.address().expect("it listens");
        let (end, ended) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run_until(async {
            let _ = ended.await;
        }));
        Self {
            address,
            authenticator,
            end: Some(end),
            running: Some(running),
            folder: None,
        }
    }

    /// A token of a user for an hour, with the grants of the configuration.
    pub fn token(&self, user: &str) -> String {
        let exp = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs())
            + 3600;
        self.authenticator.mint(Claims::new(user, exp))
    }

    /// A token with claims of the test's own.
    pub fn mint(&self, claims: Claims) -> String {
        self.authenticator.mint(claims)
    }

    /// The URL of the native endpoint, with the token of a user.
    pub fn url(&self, user: &str) -> String {
        format!("ws://{}/ws?token={}", self.address, self.token(user))
    }

    /// Begins to drain, without waiting for its end.
    pub fn drain(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
    }

    /// Drains, and waits until everything is closed.
    pub async fn stop(mut self) {
        self.drain();
        if let Some(running) = self.running.take() {
            running.await.expect("the server ends without a panic");
        }
    }
}
