//! What the server writes to its log: facts about lost connections, and never a secret.
//!
//! One subscriber takes everything that any thread of this process logs, at the most talkative level.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use nuncio_e2e::{Client, TestServer, http};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tracing_subscriber::EnvFilter;

#[tokio::test]
async fn no_token_and_no_secret_reaches_the_log() {
    let log = Log::captured();
    let secret = "a configured secret of at least 32 bytes";
    let server = TestServer::set(&[&format!("auth.secrets={secret}"), "auth.cookie=session"]).await;
    let mut secrets = vec![secret.to_owned()];
    let mut token = |user: &str| {
        let token = server.token(user);
        secrets.push(token.clone());
        token
    };

    // Every way in, with a good token and with a bad one.
    let query = token("query");
    Client::enter(&format!("ws://{}/ws?token={query}", server.address)).await;
    http::upgrade(server.address, &format!("/ws?token={}x", token("bad")), &[]).await;
    for (name, before, user) in [
        ("authorization", "Bearer ", "header"),
        ("sec-websocket-protocol", "nuncio.v1, bearer.", "protocol"),
    ] {
        let good = format!("{before}{}", token(user));
        Client::entered(open(&server, name, &good).await).await;
        http::upgrade(
            server.address,
            "/ws",
            &[(name, &format!("{before}{}x", token("bad")))],
        )
        .await;
    }
    let cookie = format!("session={}", token("cookie"));
    let same_site = ("Sec-Fetch-Site", "same-origin");
    http::upgrade(server.address, "/ws", &[("Cookie", &cookie), same_site]).await;
    http::upgrade(
        server.address,
        "/ws",
        &[("Cookie", &format!("{cookie}x")), same_site],
    )
    .await;
    let different = format!("/ws?token={}", token("one"));
    http::upgrade(
        server.address,
        &different,
        &[("Authorization", &format!("Bearer {}", token("other")))],
    )
    .await;
    http::upgrade(
        server.address,
        &different,
        &[("Origin", "https://evil.example")],
    )
    .await;
    http::get(
        server.address,
        &format!("/nowhere?token={}", token("nowhere")),
    )
    .await;
    for text in [token("first"), format!("{}x", token("bad"))] {
        let auth = json!({"type": "auth", "token": text, "id": 1});
        let mut client = Client::begin(&server.anonymous(), auth).await;
        let _ = client.take().await;
    }

    // A refresh, and the resume tokens, good and worn out.
    let (mut ann, entered) = Client::enter(&server.url("ann")).await;
    ann.call(json!({"type": "auth:refresh", "token": token("ann")}))
        .await;
    ann.call(json!({"type": "auth:refresh", "token": format!("{}x", token("ann"))}))
        .await;
    secrets.push(entered["resume"].as_str().unwrap().to_owned());
    for _ in 0..2 {
        server.until_metric("nuncio_connections", 1.0).await;
        let parked = server.metric("nuncio_sessions_parked").await;
        ann.cut();
        server
            .until_metric("nuncio_sessions_parked", parked + 1.0)
            .await;
        let resume = secrets.last().unwrap().clone();
        ann = Client::begin(
            &server.anonymous(),
            json!({"type": "resume", "resume": resume}),
        )
        .await;
        secrets.push(
            ann.expect("resumed").await["resume"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        let mut late = Client::begin(
            &server.anonymous(),
            json!({"type": "resume", "resume": resume}),
        )
        .await;
        late.expect("error").await;
        http::upgrade(server.address, &format!("/ws?resume={resume}"), &[]).await;
    }
    server.stop().await;

    let text = log.text();
    assert!(
        text.contains("a token was refused") && text.contains("DEBUG"),
        "the log is on: {text}"
    );
    for secret in &secrets {
        // A part of a token would be too much, too: its signature, or the random half of a resume token.
        let half = &secret[secret.len() / 2..];
        assert!(!text.contains(half), "{half} is in the log:\n{text}");
    }
}

#[tokio::test]
async fn an_abnormal_closure_is_a_warning_with_facts() {
    let log = Log::captured();
    let server = TestServer::start("").await;
    let (ann, entered) = Client::enter(&server.url("who-was-cut")).await;

    ann.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;

    let line = log.line("who-was-cut");
    for fact in [
        "WARN",
        "abnormal closure",
        "1006",
        "127.0.0.1",
        entered["id"].as_str().unwrap(),
    ] {
        assert!(line.contains(fact), "{fact} is not in {line}");
    }
}

#[tokio::test]
async fn a_clean_close_is_no_warning() {
    let log = Log::captured();
    let server = TestServer::start("").await;
    let (ann, _) = Client::enter(&server.url("who-left")).await;

    ann.close().await;
    server.until_metric("nuncio_connections", 0.0).await;

    assert!(log.line("who-left").contains("DEBUG"));
}

#[tokio::test]
async fn the_address_of_a_client_is_believed_of_a_trusted_proxy_only() {
    for (trusted, user, expected) in [
        (
            "server.trusted_proxies=127.0.0.0/8",
            "behind-a-proxy",
            "address=203.0.113.7",
        ),
        (
            "server.trusted_proxies=10.0.0.0/8",
            "who-claims-so",
            "address=127.0.0.1",
        ),
    ] {
        let log = Log::captured();
        let server = TestServer::set(&[trusted]).await;
        let mut request = server.url(user).into_client_request().unwrap();
        // What a client before the proxy wrote is not believed: the last that no trusted proxy wrote counts.
        request.headers_mut().insert(
            "x-forwarded-for",
            "198.51.100.9, 203.0.113.7".parse().unwrap(),
        );
        let (client, _) = Client::open(request).await.unwrap();

        Client::entered(client).await.0.cut();
        server.until_metric("nuncio_sessions_parked", 1.0).await;

        let line = log.line(user);
        assert!(line.contains(expected), "{expected} is not in {line}");
    }
}

async fn open(server: &TestServer, name: &'static str, value: &str) -> Client {
    let mut request = server.anonymous().into_client_request().unwrap();
    request.headers_mut().insert(name, value.parse().unwrap());
    Client::open(request).await.unwrap().0
}

/// Everything that this process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn captured() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let start = || {
            let log = Self::default();
            let writer = log.clone();
            // The client of the tests runs in this process too; what it logs is no business of the server.
            let filter = EnvFilter::new("trace,tungstenite=off,tokio_tungstenite=off");
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            log
        };
        LOG.get_or_init(start).clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The last line with a word in it.
    fn line(&self, word: &str) -> String {
        let text = self.text();
        let mut lines = text.lines().filter(|line| line.contains(word));
        lines
            .next_back()
            .unwrap_or_else(|| panic!("no {word} in {text}"))
            .to_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
