//! Connections whose answer takes long, a poll or a stream: they leave HTTP meanwhile, and nobody sees it.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio_e2e::http::{self, Answer, HANDSHAKE};
use nuncio_e2e::{Poll, TestServer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn requests_behind_a_waiting_poll_are_answered_after_it_on_the_same_connection() {
    let server = TestServer::start("").await;
    let mut ann = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();

    for round in 1..=3 {
        // The first of them in the same packet as the poll, the other while it waits or has its answer.
        let requests = poll(&ann, "HTTP/1.1") + HEALTH;
        stream.write_all(requests.as_bytes()).await.unwrap();
        ann.send(&[json!({ "type": "ping", "id": round })]).await;
        stream.write_all(HEALTH.as_bytes()).await.unwrap();

        let (polled, rest) = http::read(&mut stream).await;
        let (first, rest) = http::read(&mut (&*rest).chain(&mut stream)).await;
        let (second, _) = http::read(&mut (&*rest).chain(&mut stream)).await;

        ann.cursor = acknowledged(&polled, round);
        assert_eq!((&*first.text(), &*second.text()), ("ok\n", "ok\n"));
    }
}

#[tokio::test]
async fn a_connection_that_has_polled_may_become_a_websocket() {
    let server = TestServer::start("").await;
    let mut ann = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let token = server.token("bob");
    let handshake = format!("GET /ws?token={token} HTTP/1.1\r\nHost: x\r\n{HANDSHAKE}\r\n");
    // A ping frame, masked with zeros, that does not wait for the 101.
    let ping = [0x89, 0x80, 0, 0, 0, 0];

    let requests = poll(&ann, "HTTP/1.1") + &handshake;
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream.write_all(&ping).await.unwrap();
    ann.send(&[json!({ "type": "ping", "id": 1 })]).await;
    let (polled, rest) = http::read(&mut stream).await;
    let (upgraded, mut frames) = http::read(&mut (&*rest).chain(&mut stream)).await;

    acknowledged(&polled, 1);
    assert_eq!(upgraded.status, 101);
    let pong = [0x8a, 0x00];
    while !frames.windows(2).any(|frame| frame == pong) {
        assert_ne!(stream.read_buf(&mut frames).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_poll_of_http_1_0_is_answered_and_its_connection_closed() {
    let server = TestServer::start("").await;
    let mut ann = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();

    let request = poll(&ann, "HTTP/1.0");
    stream.write_all(request.as_bytes()).await.unwrap();
    ann.send(&[json!({ "type": "ping", "id": 1 })]).await;
    let (polled, _) = http::read(&mut stream).await;

    acknowledged(&polled, 1);
    assert!(polled.head.starts_with("HTTP/1.0 200"), "{}", polled.head);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_page_may_read_the_answer_to_a_poll_that_waited() {
    let server = TestServer::start("").await;
    let mut ann = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();

    let request = poll(&ann, "HTTP/1.1\r\nOrigin: http://x");
    stream.write_all(request.as_bytes()).await.unwrap();
    ann.send(&[json!({ "type": "ping", "id": 1 })]).await;
    let (polled, _) = http::read(&mut stream).await;

    acknowledged(&polled, 1);
    let allowed = polled.header("access-control-allow-origin");
    assert_eq!(allowed, Some("http://x"));
    assert!(polled.header("date").is_some());
}

#[tokio::test]
async fn a_stream_for_http_1_0_is_not_in_chunks() {
    let server =
        TestServer::set(&[r#"grants.anonymous=[{ rooms = "news", allow = ["join"] }]"#]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();

    let request = b"GET /sse?room=news HTTP/1.0\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let (answer, mut events) = http::read(&mut stream).await;
    while !events.ends_with(b"\n\n") {
        assert_ne!(stream.read_buf(&mut events).await.unwrap(), 0);
    }

    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert!(answer.header("date").is_some());
    assert!(events.starts_with(b"retry: 2000\n"), "{events:?}");
}

/// A poll for what comes next, as bytes of a connection.
fn poll(session: &Poll, version: &str) -> String {
    let (cursor, authorization) = (session.cursor, session.authorization());
    format!(
        "GET /poll?cursor={cursor} {version}\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n"
    )
}

/// The cursor of a batch with the reply to this call.
fn acknowledged(polled: &Answer, call: u64) -> u64 {
    let batch = polled.json();
    let messages = batch["messages"].as_array().unwrap();
    let has_reply = messages.iter().any(|message| message["ack"] == call);
    assert!(has_reply, "{batch}");
    batch["cursor"].as_u64().unwrap()
}
