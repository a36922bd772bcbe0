//! Who a client is, by the backend's word.

use futures_util::{SinkExt, StreamExt};
use nuncio_e2e::hook_backend::{Asked, Reply};
use nuncio_e2e::{Client, HookBackend as Backend, TestServer, http, unix_s};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// Knows one session of its own making, and lets tokens of the server pass.
async fn decide(asked: Asked) -> Reply {
    let token = asked.body["token"].as_str();
    match token {
        Some("opaque") => Reply::json(json!({
            "allow": true,
            "user": {"sub": "ann", "info": {"name": "Ann"}},
            "grants": [{"rooms": "chat:*", "allow": ["join", "publish"]}],
            "join": ["chat:lobby"],
            "exp": unix_s() + 60,
        })),
        Some("nobody") => Reply::allow(),
        Some(_) => Reply::json(json!({
            "allow": false, "message": "who is that?", "data": {"hint": "log in"}
        })),
        None if asked.body["user"]["sub"] == "eve" => {
            Reply::json(json!({"allow": false, "code": "FORBIDDEN", "message": "banned"}))
        }
        None => Reply::allow(),
    }
}

#[tokio::test]
async fn a_token_that_only_the_backend_knows_lets_in_at_the_handshake() {
    let (_backend, server) = start(&["connect"], "").await;

    let url = format!("{}?token=opaque", server.anonymous());
    let (mut ann, entered) = Client::enter(&url).await;

    assert_eq!(
        entered["user"],
        json!({"sub": "ann", "info": {"name": "Ann"}})
    );
    assert!(entered["exp"].as_u64().unwrap() > unix_s());
    let position = ann.expect("room:position").await;
    assert_eq!(position["roomId"], "chat:lobby");
    ann.publish("chat:lobby", "hello").await;
    let refused = ann.refused(join("news")).await;
    assert_eq!(refused["code"], "FORBIDDEN");
}

#[tokio::test]
async fn the_backend_sees_who_asks_and_from_where_and_no_token_of_ours() {
    let (backend, server) = start(&["connect"], "").await;
    let token = server.token("bob");

    let answer = http::upgrade(
        server.address,
        "/ws?ns=/",
        &[
            ("Authorization", &format!("Bearer {token}")),
            ("User-Agent", "tests/1"),
        ],
    )
    .await;

    assert_eq!(answer.status, 101);
    let asked = &backend.asked("connect")[0];
    assert_eq!(asked.body["type"], "connect");
    assert_eq!(asked.body["namespace"], "/");
    assert_eq!(asked.body["address"], "127.0.0.1");
    assert_eq!(asked.body["headers"], json!({"user-agent": "tests/1"}));
    assert_eq!(asked.body["user"], json!({"sub": "bob"}));
    assert_eq!(asked.body["claims"]["sub"], "bob");
    assert_eq!(asked.body["id"], json!(asked.id));
    assert!(!asked.text.contains(&token), "{}", asked.text);
    let signature = asked.signature.split_once(",v1=").unwrap();
    assert!(signature.0.starts_with("t=") && signature.1.len() == 64);
}

#[tokio::test]
async fn who_is_refused_at_the_handshake_gets_no_connection() {
    let (_backend, server) = start(&["connect"], "").await;

    let unknown = http::upgrade(server.address, "/ws?token=unknown", &[]).await;
    let banned = format!("/ws?token={}", server.token("eve"));
    let banned = http::upgrade(server.address, &banned, &[]).await;
    let nobody = http::upgrade(server.address, "/ws?token=nobody", &[]).await;

    assert_eq!((unknown.status, &*unknown.text()), (401, "who is that?"));
    assert_eq!((banned.status, &*banned.text()), (403, "banned"));
    assert_eq!(nobody.status, 503, "allowed, but who is it?");
    assert_eq!(nobody.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn the_first_message_is_decided_without_holding_up_others() {
    let (backend, server) = start(&["connect"], "").await;

    let mut ann = begin(&server, "opaque").await;
    let entered = ann.expect("auth_ok").await;
    assert_eq!(entered["user"]["sub"], "ann");
    ann.expect("room:position").await;
    let asked = &backend.asked("connect")[0];
    assert!(asked.body["session"].is_string(), "{}", asked.text);

    let mut unknown = begin(&server, "unknown").await;
    let told = unknown.expect("error").await;
    assert_eq!(told["code"], "NOT_AUTHENTICATED", "{told}");
    assert_eq!(told["message"], "who is that?");
    assert_eq!(told["data"], json!({"hint": "log in"}));
    assert_eq!(
        unknown.closed().await,
        (1008, "Authentication failed".to_owned())
    );
    server.until_metric("nuncio_hooks_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_long_message_of_the_backend_is_cut() {
    let backend = Backend::start(|_| async {
        let message = "no ".repeat(10_000);
        Reply::json(json!({"allow": false, "code": "FORBIDDEN", "message": message}))
    })
    .await;
    let server = TestServer::start(&backend.config(&["connect"], "")).await;

    let mut ann = begin(&server, "opaque").await;
    let told = ann.expect("error").await;

    assert_eq!(told["code"], "FORBIDDEN");
    assert_eq!(told["message"].as_str().unwrap().len(), 1024);
    assert_eq!(ann.closed().await, (1008, "Refused".to_owned()));
}

#[tokio::test]
async fn no_secret_is_needed_where_the_backend_knows_every_token() {
    let backend = Backend::start(decide).await;
    let more = backend.config(&["connect"], "");
    let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n{more}");
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_with(folder.path(), &config).await;

    let url = format!("{}?token=opaque", server.anonymous());
    let (_, entered) = Client::enter(&url).await;

    assert_eq!(entered["user"]["sub"], "ann");
    let unknown = http::upgrade(server.address, "/ws?token=unknown", &[]).await;
    assert_eq!(unknown.status, 401);
}

#[tokio::test]
async fn guests_are_let_in_where_no_token_is_needed() {
    let backend = Backend::start(|asked: Asked| async move {
        assert!(asked.body["token"].is_null() && asked.body["user"].is_null());
        Reply::json(json!({"allow": true, "user": {"sub": "guest-1"}}))
    })
    .await;
    let more = backend.config(&["connect"], "");
    let config = format!("{}\n{more}", nuncio_e2e::server::CONFIG);
    let config = config.replace("[auth]", "[auth]\nfirst_message = false");
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_with(folder.path(), &config).await;

    let (_, entered) = Client::enter(&server.anonymous()).await;

    assert_eq!(entered["user"]["sub"], "guest-1");
}

#[tokio::test]
async fn a_socketio_client_is_let_in_or_told_why_not() {
    let (backend, server) = start(&["connect"], "").await;

    let accepted = connect(&server, r#"40{"token":"opaque","room":"x"}"#).await;
    assert!(accepted.starts_with(r#"40{"sid":""#), "{accepted}");
    let refused = connect(&server, r#"40{"token":"unknown"}"#).await;
    let data: Value = serde_json::from_str(refused.strip_prefix("44").unwrap()).unwrap();
    assert_eq!(data["message"], "Authentication failed");
    assert_eq!(data["data"]["message"], "who is that?");
    assert_eq!(data["data"]["data"], json!({"hint": "log in"}));
    let banned = format!(r#"40{{"token":"{}"}}"#, server.token("eve"));
    let banned = connect(&server, &banned).await;
    assert!(banned.contains(r#""message":"banned""#), "{banned}");

    let asked = backend.asked("connect");
    assert_eq!(asked[0].body["auth"], json!({"room": "x"}));
    assert_eq!(asked[0].body["token"], "opaque");
    assert!(asked[2].body["token"].is_null());
}

#[tokio::test]
async fn a_namespace_that_the_backend_lets_into_needs_no_other_grant() {
    let (backend, server) = start(&["connect"], "").await;

    let url = format!("{}?ns=/chat&token=opaque", server.anonymous());
    Client::enter(&url).await;

    assert_eq!(backend.asked("connect")[0].body["namespace"], "/chat");
}

#[tokio::test]
async fn a_newer_token_brings_what_the_backend_says() {
    let backend = Backend::start(|asked: Asked| async move {
        match asked.body["token"].as_str() {
            Some("newer") => Reply::json(json!({
                "allow": true, "exp": unix_s() + 90,
                "grants": [{"rooms": "news", "allow": ["join"]}],
            })),
            _ => Reply::json(json!({"allow": false})),
        }
    })
    .await;
    let server = TestServer::start(&backend.config(&["refresh"], "")).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;

    let reply = ann
        .call(json!({"type": "auth:refresh", "token": "newer"}))
        .await;

    assert!(
        reply["data"]["exp"].as_u64().unwrap() > unix_s() + 60,
        "{reply}"
    );
    assert_eq!(ann.expect("room:removed").await["roomId"], "lobby");
    ann.join("news").await;
    let refused = ann
        .refused(json!({"type": "auth:refresh", "token": "other"}))
        .await;
    assert_eq!(refused["code"], "NOT_AUTHENTICATED");
    let asked = &backend.asked("refresh")[0];
    assert_eq!(asked.body["user"], json!({"sub": "ann"}));
}

async fn start(on: &[&str], more: &str) -> (Backend, TestServer) {
    let backend = Backend::start(decide).await;
    let server = TestServer::start(&backend.config(on, more)).await;
    (backend, server)
}

async fn begin(server: &TestServer, token: &str) -> Client {
    Client::begin(&server.anonymous(), json!({"type": "auth", "token": token})).await
}

fn join(room: &str) -> Value {
    json!({"type": "room:join", "roomId": room})
}

/// The answer to a CONNECT.
async fn connect(server: &TestServer, packet: &str) -> String {
    let url = format!(
        "ws://{}/socket.io/?EIO=4&transport=websocket",
        server.address
    );
    let mut client = Client::connect(&url).await.unwrap();
    client.stream.next().await.unwrap().unwrap();
    client.stream.send(Message::text(packet)).await.unwrap();
    let answer = client.stream.next().await.unwrap().unwrap();
    answer.into_text().unwrap().to_string()
}
