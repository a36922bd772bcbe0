//! A backend: who uses the server API, by hand.

use std::net::SocketAddr;

use serde_json::Value;

use crate::TestServer;
use crate::http::{Answer, ask};

/// A key that may do everything.
pub const ADMIN: &str = "the-admin-key-of-at-least-32-bytes";
/// A key that may publish in rooms `chat:*` of the main namespace.
pub const SPEAKER: &str = "the-speaker-key-of-at-least-32-bytes";
/// A key that may read.
pub const READER: &str = "the-reader-key-of-at-least-32-bytes";
/// A key that may manage sessions of the main namespace.
pub const KEEPER: &str = "the-keeper-key-of-at-least-32-bytes";

/// The keys in the words of the configuration; more of the section may follow.
pub const KEYS: &str = r#"
[api]
keys = [
  { name = "admin", key = "the-admin-key-of-at-least-32-bytes", scopes = ["admin"] },
  { name = "speaker", key = "the-speaker-key-of-at-least-32-bytes", scopes = ["publish"], rooms = ["chat:*"], namespaces = ["/"] },
  { name = "reader", key = "the-reader-key-of-at-least-32-bytes", scopes = ["read"] },
  { name = "keeper", key = "the-keeper-key-of-at-least-32-bytes", scopes = ["sessions"], namespaces = ["/"] },
]
"#;

/// Who asks a server with a key.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Where the API is.
    pub address: SocketAddr,
    key: String,
}

impl Backend {
    /// Uses the API of a server that was started with [`KEYS`].
    pub fn new(server: &TestServer, key: &str) -> Self {
        Self::at(server.api_address.unwrap_or(server.address), key)
    }

    /// Uses the API at an address.
    pub fn at(address: SocketAddr, key: &str) -> Self {
        Self {
            address,
            key: key.to_owned(),
        }
    }

    /// Sends a request under `/api/v1`.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("Authorization", &*bearer)];
        if method == "POST" && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            all.push(("Content-Type", "application/json"));
        }
        all.extend_from_slice(headers);
        ask(self.address, method, &format!("/api/v1{path}"), &all, body).await
    }

    /// Posts a command.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &[], &body.to_string()).await
    }

    /// Posts a command that is done, and returns its answer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn done(&self, path: &str, body: Value) -> Value {
        Self::answer(&self.post(path, body).await)
    }

    /// Reads, and returns the answer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn read(&self, path: &str) -> Value {
        Self::answer(&self.ask("GET", path, &[], "").await)
    }

    fn answer(answer: &Answer) -> Value {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json()
    }

    /// Posts a command that is refused, and returns status, code and message.
    ///
    /// # Panics
    /// When it is done.
    pub async fn refused(&self, path: &str, body: Value) -> (u16, String, String) {
        refusal(&self.post(path, body).await)
    }
}

/// Status, code and message of a refusal.
///
/// # Panics
/// When it is none.
pub fn refusal(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let text = |field: &str| {
        let text = error[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {error}"))
            .to_owned()
    };
    (answer.status, text("code"), text("message"))
}
