//! Socket.IO over raw HTTP: what clients do wrong or by halves, and that nothing of them is left.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::time::{Duration, Instant};

use nuncio_e2e::http::{ask, get};
use nuncio_e2e::polling::{Poller, Version};
use nuncio_e2e::raw::{CLOSE, Raw, TEXT};
use nuncio_e2e::{Client, TestServer};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

#[tokio::test]
async fn a_polling_client_and_a_native_one_talk_in_one_room() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    let bob = enter(&server, "bob").await;

    bob.post(r#"421["room:join","lobby"]"#).await;
    let mut texts = bob.poll_until("431").await;
    bob.post(r#"422["message:send",{"roomId":"lobby","content":"from bob"}]"#)
        .await;
    assert_eq!(ann.expect("chat:message").await["content"], "from bob");
    ann.publish("lobby", "from ann").await;
    texts += &bob.poll_until("from ann").await;

    let (first, second) = (texts.find("from bob"), texts.find("from ann"));
    assert!(first < second, "{texts}");
    assert!(texts.contains(r#"432[{"status":"ok""#), "{texts}");
    server.stop().await;
}

#[tokio::test]
async fn the_session_of_an_aborted_poll_is_gone() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let mut poll = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        bob.path, server.address
    );
    poll.write_all(request.as_bytes()).await.unwrap();

    drop(poll);

    nothing_is_left(&server).await;
    assert_eq!(bob.get().await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn two_polls_at_once_end_the_session() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;

    let (one, other) = tokio::join!(bob.get(), bob.get());

    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    nothing_is_left(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_vanishes_between_probe_and_upgrade_polls_on() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let mut socket = Raw::connect(server.address, &bob.websocket, &[]).await;
    socket.send(TEXT, b"2probe").await;
    assert_eq!(socket.frame().await.unwrap().payload, b"3probe");

    drop(socket);

    bob.post(r#"421["room:join","lobby"]"#).await;
    bob.poll_until("431").await;
    server.stop().await;
}

#[tokio::test]
async fn a_second_websocket_is_closed_and_the_first_goes_on() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let mut first = Raw::connect(server.address, &bob.websocket, &[]).await;
    first.send(TEXT, b"2probe").await;
    first.frame().await.unwrap();
    first.send(TEXT, b"5").await;

    let mut second = Raw::connect(server.address, &bob.websocket, &[]).await;
    assert_eq!(second.frame().await.map(|frame| frame.first), Some(CLOSE));

    first.send(TEXT, br#"421["room:join","lobby"]"#).await;
    let reply = first.frame().await.unwrap().payload;
    assert!(reply.starts_with(br#"431[{"status":"ok""#), "{reply:?}");
    drop(first);
    nothing_is_left(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_shutdown_cuts_polls_and_closes_websockets_with_1012() {
    let mut server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let token = server.token("ann");
    let mut ann = Raw::connect(server.address, WEBSOCKET, &[]).await;
    ann.frame().await.unwrap();
    let connect = format!(r#"40{{"token":"{token}"}}"#);
    ann.send(TEXT, connect.as_bytes()).await;
    ann.frame().await.unwrap();
    let mut poll = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        bob.path, server.address
    );
    poll.write_all(request.as_bytes()).await.unwrap();

    // On one thread the poll is pending by the time a later request is answered.
    get(server.address, "/healthz").await;
    server.drain();

    assert_eq!(ann.closed().await.0, 1012);
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut poll, &mut answer).await;
    assert!(
        read.is_err() || answer.is_empty(),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_on_every_transport() {
    let more = "[server]\nlisten = \"127.0.0.1:0\"\norigins = [\"https://app.example.com\"]";
    let folder = tempfile::tempdir().unwrap();
    let config = nuncio_e2e::server::CONFIG.replacen("[server]\nlisten = \"127.0.0.1:0\"", more, 1);
    let server = TestServer::start_with(folder.path(), &config).await;
    let from = |origin| [("Origin", origin)];

    let bad = ask(
        server.address,
        "GET",
        POLLING,
        &from("https://bad.example.com"),
        "",
    )
    .await;
    let upgrade =
        nuncio_e2e::http::upgrade(server.address, WEBSOCKET, &from("https://bad.example.com"))
            .await;
    let good = ask(
        server.address,
        "GET",
        POLLING,
        &from("https://app.example.com"),
        "",
    )
    .await;

    assert_eq!((bad.status, upgrade.status, good.status), (403, 403, 200));
    let allowed = good.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example.com"));
    let credentials = good.header("access-control-allow-credentials");
    assert_eq!(credentials, Some("true"));
    server.stop().await;
}

/// Opens a session and joins `/`.
async fn enter(server: &TestServer, user: &str) -> Poller {
    let poller = Poller::open(server.address, Version::V4, "").await;
    let open: serde_json::Value = serde_json::from_str(&poller.opened.text()[1..]).unwrap();
    let mut keys: Vec<_> = open
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        json!(keys),
        json!([
            "maxPayload",
            "pingInterval",
            "pingTimeout",
            "sid",
            "upgrades"
        ])
    );
    let connect = format!(r#"40{{"token":"{}"}}"#, server.token(user));
    poller.post(&connect).await;
    poller.poll_until(r#"40{"sid":""#).await;
    poller
}

/// Waits until the server knows of no connection any more.
async fn nothing_is_left(server: &TestServer) {
    let late = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = get(server.address, "/metrics").await.text();
        let is_empty = |line: &str| line.starts_with("nuncio_connections 0");
        if metrics.lines().any(is_empty) {
            return;
        }
        assert!(Instant::now() < late, "{metrics}");
        tokio::task::yield_now().await;
    }
}
