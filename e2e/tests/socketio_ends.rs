//! Socket.IO clients that vanish, stall or do things by halves: each ends by its deadline, and nothing of it is left.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::time::{Duration, Instant};

use nuncio_e2e::http::{ask, get};
use nuncio_e2e::polling::{Poller, Version};
use nuncio_e2e::raw::{CLOSE, Raw, TEXT};
use nuncio_e2e::{Client, TestServer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const BINARY: u8 = 0x82;
const DRAW: &str =
    r#"["event",{"roomId":"lobby","event":"draw","data":[{"_placeholder":true,"num":0}]}]"#;

#[tokio::test]
async fn a_polling_client_that_vanishes_is_gone_after_its_ping() {
    let server = impatient(&[]).await;
    let bob = enter(&server, "bob").await;

    nothing_is_left(&server).await;

    assert_eq!(bob.get().await.status, 400);
}

#[tokio::test]
async fn a_websocket_that_answers_no_ping_is_gone_after_it() {
    let server = impatient(&[]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    let mut bob = member(&server, "bob").await;
    let begun = Instant::now();

    while bob.frame().await.unwrap().first != CLOSE {}

    let after = begun.elapsed();
    assert!(after >= Duration::from_millis(250), "{after:?}");
    ann.close().await;
    drop(bob);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn a_client_that_vanishes_altogether_after_its_probe_is_gone_after_its_ping() {
    let server = impatient(&[]).await;
    let bob = enter(&server, "bob").await;
    let mut socket = bob.websocket().await;
    socket.send(TEXT, b"2probe").await;
    assert_eq!(socket.frame().await.unwrap().payload, b"3probe");

    drop(socket);

    nothing_is_left(&server).await;
    assert_eq!(bob.get().await.status, 400);
}

#[tokio::test]
async fn a_websocket_that_never_takes_over_is_closed_and_polling_goes_on() {
    for first in [None, Some(&b"2probe"[..])] {
        let server = TestServer::set(&["socketio.upgrade_timeout=200ms"]).await;
        let bob = enter(&server, "bob").await;
        let begun = Instant::now();
        let mut socket = bob.websocket().await;
        if let Some(first) = first {
            socket.send(TEXT, first).await;
        }

        while socket.frame().await.unwrap().first != CLOSE {}

        let after = begun.elapsed();
        assert!(after >= Duration::from_millis(200), "{after:?}");
        bob.post(r#"421["room:join","lobby"]"#).await;
        bob.poll_until("431").await;
        let mut again = bob.websocket().await;
        again.send(TEXT, b"2probe").await;
        assert_eq!(again.frame().await.unwrap().payload, b"3probe");
    }
}

#[tokio::test]
async fn a_second_websocket_does_not_disturb_one_that_probes() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let mut first = bob.websocket().await;
    first.send(TEXT, b"2probe").await;
    assert_eq!(first.frame().await.unwrap().payload, b"3probe");

    let mut second = bob.websocket().await;
    assert_eq!(second.frame().await.unwrap().first, CLOSE);

    first.send(TEXT, b"5").await;
    first.send(TEXT, br#"421["room:join","lobby"]"#).await;
    let reply = first.frame().await.unwrap().payload;
    assert!(reply.starts_with(b"431"), "{reply:?}");
    drop(first);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn a_websocket_that_says_something_else_than_the_probe_is_closed_alone() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    for text in [&b"4hello"[..], b"2", b"1", b"x"] {
        let mut socket = bob.websocket().await;
        socket.send(TEXT, text).await;
        assert_eq!(socket.frame().await.unwrap().first, CLOSE, "{text:?}");
    }
    bob.post(r#"421["room:join","lobby"]"#).await;
    bob.poll_until("431").await;
}

#[tokio::test]
async fn a_post_that_is_cut_off_ends_its_session() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let mut post = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\n\r\n42[",
        bob.path, server.address
    );
    post.write_all(head.as_bytes()).await.unwrap();
    // On one thread the head is read by the time a later request is answered.
    get(server.address, "/healthz").await;

    drop(post);

    nothing_is_left(&server).await;
    assert_eq!(bob.get().await.status, 400);
}

#[tokio::test]
async fn two_posts_at_once_end_the_session() {
    let server = TestServer::start("").await;
    let bob = enter(&server, "bob").await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\n\r\n42[",
        bob.path, server.address
    );
    first.write_all(head.as_bytes()).await.unwrap();
    get(server.address, "/healthz").await;

    let second = ask(server.address, "POST", &bob.path, &[], "42[\"x\"]").await;

    assert_eq!(second.status, 400);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn a_client_that_joins_no_namespace_in_time_is_closed() {
    let server = TestServer::set(&["socketio.connect_timeout=200ms"]).await;
    let begun = Instant::now();
    let mut socket = Raw::connect(server.address, WEBSOCKET, &[]).await;
    let poller = Poller::open(server.address, Version::V4, "").await;

    while socket.frame().await.unwrap().first != CLOSE {}
    assert_eq!(poller.get().await.text(), "1");

    let after = begun.elapsed();
    assert!(after >= Duration::from_millis(200), "{after:?}");
    assert_eq!(poller.get().await.status, 400);
    drop(socket);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn attachments_that_do_not_follow_in_time_end_the_connection() {
    let server = TestServer::set(&["socketio.attachments_wait=200ms"]).await;
    let mut bob = member(&server, "bob").await;
    let begun = Instant::now();

    bob.send(TEXT, format!("451-{DRAW}").as_bytes()).await;

    while bob.frame().await.unwrap().first != CLOSE {}
    let after = begun.elapsed();
    assert!(after >= Duration::from_millis(200), "{after:?}");
    drop(bob);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn attachments_are_bounded_and_nothing_comes_between() {
    let server = TestServer::set(&["socketio.attachments_max=2"]).await;
    let mut bob = member(&server, "bob").await;
    bob.send(TEXT, format!("452-{DRAW}").as_bytes()).await;
    bob.send(BINARY, &[1]).await;
    bob.send(BINARY, &[2]).await;
    while !bob
        .frame()
        .await
        .unwrap()
        .payload
        .starts_with(b"452-[\"draw\"")
    {}

    for wrong in [
        vec![(TEXT, format!("453-{DRAW}").into_bytes())],
        vec![
            (TEXT, format!("451-{DRAW}").into_bytes()),
            (TEXT, b"42[\"x\"]".to_vec()),
        ],
        vec![(BINARY, vec![1])],
        vec![(
            TEXT,
            br#"451-["draw",{"_placeholder":true,"num":1}]"#.to_vec(),
        )],
    ] {
        let mut carl = member(&server, "carl").await;
        for (first, payload) in &wrong {
            carl.send(*first, payload).await;
        }
        while carl.frame().await.unwrap().first != CLOSE {}
    }
}

#[tokio::test]
async fn a_client_that_never_polls_is_given_up_when_too_much_waits_for_it() {
    let server = TestServer::set(&[
        "limits.message_bytes=1KiB",
        "limits.outbox_bytes=4KiB",
        "socketio.max_payload=1KiB",
    ])
    .await;
    let bob = enter(&server, "bob").await;
    bob.post(r#"421["room:join","lobby"]"#).await;
    bob.poll_until("431").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    for _ in 0..10 {
        ann.publish("lobby", &"x".repeat(900)).await;
    }

    server
        .until_metric("nuncio_slow_consumers_total", 1.0)
        .await;
    ann.close().await;
    nothing_is_left(&server).await;
    assert_eq!(bob.get().await.status, 400);
}

#[tokio::test]
async fn a_client_that_does_not_answer_the_close_frame_is_gone_all_the_same() {
    let server = TestServer::start("").await;
    let mut bob = member(&server, "bob").await;

    bob.send(TEXT, b"4no packet").await;

    assert_eq!(bob.frame().await.unwrap().first, CLOSE);
    assert_eq!(bob.frame().await, None);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn pings_come_on_time_on_both_transports() {
    let server = TestServer::set(&["socketio.ping_interval=300ms"]).await;
    let begun = Instant::now();
    let mut socket = Raw::connect(server.address, WEBSOCKET, &[]).await;
    socket.frame().await.unwrap();
    let poller = Poller::open(server.address, Version::V4, "").await;

    for number in 1..=3 {
        let (ping, polled) = tokio::join!(socket.frame(), poller.get());
        assert_eq!(ping.unwrap().payload, b"2");
        assert_eq!(polled.text(), "2");
        let (after, least) = (begun.elapsed(), Duration::from_millis(300) * number);
        assert!(after >= least && after < least + LATE_MAX, "{after:?}");
        socket.send(TEXT, b"3").await;
        poller.post("3").await;
    }
}

/// What a busy machine may add to a few milliseconds.
const LATE_MAX: Duration = Duration::from_millis(250);

/// A server with the shortest of pings.
async fn impatient(more: &[&str]) -> TestServer {
    let settings = [
        "socketio.ping_interval=200ms",
        "socketio.ping_timeout=100ms",
    ];
    TestServer::set(&[&settings, more].concat()).await
}

/// A client that polls, in `/`.
async fn enter(server: &TestServer, user: &str) -> Poller {
    let bob = Poller::open(server.address, Version::V4, "").await;
    bob.post(&format!(r#"40{{"token":"{}"}}"#, server.token(user)))
        .await;
    bob.poll_until("40{").await;
    bob
}

/// A client over a WebSocket, in `/` and in the lobby.
async fn member(server: &TestServer, user: &str) -> Raw {
    let mut socket = Raw::connect(server.address, WEBSOCKET, &[]).await;
    socket.frame().await.unwrap();
    let connect = format!(r#"40{{"token":"{}"}}"#, server.token(user));
    socket.send(TEXT, connect.as_bytes()).await;
    socket.send(TEXT, br#"420["room:join","lobby"]"#).await;
    while !socket.frame().await.unwrap().payload.starts_with(b"430") {}
    socket
}

/// Waits until the server knows of no connection any more: of one that polls, the entry by its sid goes with it.
async fn nothing_is_left(server: &TestServer) {
    server.until_metric("nuncio_connections", 0.0).await;
}
