//! A server for one test: its own port, its own folder, in this process.

use std::net::SocketAddr;
use std::path::Path;

use nuncio::auth::{Authenticator, Claims};
use nuncio::config::{Config, Secret, Sources};
use nuncio::{ServeError, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server; it drains when it is stopped, and is gone when it is dropped.
pub struct TestServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the server API listens alone, if it does.
    pub api_address: Option<SocketAddr>,
    authenticator: Authenticator,
    end: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), ServeError>>>,
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

    /// Starts a server with [`CONFIG`] and these assignments over it: `auth.timeout=200ms`.
    pub async fn set(assignments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::set_in(folder.path(), assignments).await;
        server.folder = Some(folder);
        server
    }

    /// The same on data that is there already.
    ///
    /// # Panics
    /// As [`start_in`](Self::start_in).
    pub async fn set_in(folder: &Path, assignments: &[&str]) -> Self {
        let file = folder.join("nuncio.toml");
        std::fs::write(&file, CONFIG).expect("the folder can be written");
        Self::load(folder, Some(file), assignments).await
    }

    /// Starts a demo: no secrets, no file.
    pub async fn demo(assignments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut assignments = assignments.to_vec();
        assignments.insert(0, "server.listen=127.0.0.1:0");
        let mut server = Self::load(folder.path(), None, &assignments).await;
        server.folder = Some(folder);
        server
    }

    async fn load(folder: &Path, file: Option<std::path::PathBuf>, assignments: &[&str]) -> Self {
        let sources = Sources {
            file,
            flags: assignments.iter().map(ToString::to_string).collect(),
            ..Sources::default()
        };
        let config = Config::load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
        Self::start_config(folder, config).await
    }

    /// Starts a server with a configuration of its own, but for the folder of its data.
    ///
    /// # Panics
    /// As [`start_in`](Self::start_in).
    pub async fn start_with(folder: &Path, toml: &str) -> Self {
        let config = Config::from_toml(toml, Path::new("test.toml"))
            .unwrap_or_else(|problems| panic!("{problems}"));
        Self::start_config(folder, config).await
    }

    async fn start_config(folder: &Path, mut config: Config) -> Self {
        config.store.path = folder.join("data");
        let checked = config
            .check()
            .unwrap_or_else(|problems| panic!("{problems}"));
        let authenticator = Authenticator::from_config(&checked).expect("the test has a secret");
        let server = Server::bind(checked)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let address = server.address().expect("it listens");
        let api_address = server.api_address();
        let (end, ended) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run_until(async {
            let _ = ended.await;
        }));
        Self {
            address,
            api_address,
            authenticator,
            end: Some(end),
            running: Some(running),
            folder: None,
        }
    }

    /// A token of a user for an hour, with the grants of the configuration.
    pub fn token(&self, user: &str) -> String {
        self.mint(Claims::new(user, crate::unix_s() + 3600))
    }

    /// A token with claims of the test's own.
    pub fn mint(&self, claims: Claims) -> String {
        self.authenticator.mint(claims)
    }

    /// The URL of the native endpoint, with the token of a user.
    pub fn url(&self, user: &str) -> String {
        format!("ws://{}/ws?token={}", self.address, self.token(user))
    }

    /// The URL of the native endpoint, with nothing that says who asks.
    pub fn anonymous(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// The value of one line of `/metrics`: its name, and its labels if it has some.
    ///
    /// # Panics
    /// When there is no such line.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = crate::http::get(self.address, "/metrics").await.text();
        value_of(&text, name).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    /// Waits until a line of `/metrics` has a value.
    ///
    /// # Panics
    /// When it never has.
    pub async fn until_metric(&self, name: &str, value: f64) {
        let deadline = tokio::time::Instant::now() + crate::PATIENCE;
        loop {
            let text = crate::http::get(self.address, "/metrics").await.text();
            let found = value_of(&text, name);
            if found == Some(value) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{name} is {found:?}, not {value}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
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
            let ended = running.await.expect("the server ends without a panic");
            ended.expect("it listened all the time");
        }
    }
}

/// The value of a line in the text of `/metrics`.
pub fn value_of(text: &str, name: &str) -> Option<f64> {
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    values.into_iter().next()
}

/// Claims signed with a secret of the test's own, as another issuer would.
///
/// # Panics
/// When the secret is too short.
pub fn signed_with(secret: &str, claims: Claims) -> String {
    let mut config = Config::default();
    config.auth.secrets = vec![Secret::new(secret)];
    let checked = config
        .check()
        .unwrap_or_else(|problems| panic!("{problems}"));
    Authenticator::from_config(&checked)
        .expect("a secret is there")
        .mint(claims)
}

/// An address that nothing listens on, of a loopback network of its own: ports that the system hands out elsewhere do not meet it.
///
/// # Panics
/// When the system has no such network.
pub fn free_address() -> SocketAddr {
    let listener =
        std::net::TcpListener::bind("127.0.0.77:0").expect("all of 127.0.0.0/8 is this machine");
    listener.local_addr().expect("it is bound")
}
