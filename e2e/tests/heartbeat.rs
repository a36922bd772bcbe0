//! Who is still there: pings, and the end of who does not answer.

use std::time::Duration;

use nuncio_e2e::raw::{PING, PONG, TEXT};
use nuncio_e2e::{Client, Raw, TestServer};
use serde_json::json;
use tokio::time::Instant;

const FAST: [&str; 2] = ["heartbeat.interval=300ms", "heartbeat.timeout=300ms"];

#[tokio::test]
async fn the_welcome_says_how_often_it_beats() {
    let server = TestServer::set(&FAST).await;
    let mut client = Client::connect(&server.anonymous()).await.unwrap();

    let welcome = client.expect("welcome").await;

    assert_eq!(
        welcome["heartbeat"],
        json!({"interval": 300, "timeout": 300})
    );
}

#[tokio::test]
async fn a_client_that_answers_is_pinged_every_interval_and_stays() {
    let server = TestServer::set(&FAST).await;
    let mut ann = enter(&server, "ann").await;
    let start = Instant::now();

    for _ in 0..5 {
        while ann.frame().await.expect("it stays").first != PING {}
        ann.send(PONG, &[]).await;
    }

    let took = start.elapsed();
    assert!(took >= Duration::from_millis(4 * 300), "{took:?}");
    ann.send_json(&json!({"type": "ping"})).await;
    ann.expect("pong").await;
}

#[tokio::test]
async fn a_client_that_never_answers_is_taken_for_gone_and_may_resume() {
    let server = TestServer::set(&FAST).await;
    let mut ann = Raw::connect(server.address, &target(&server, "ann"), &[]).await;
    let resume = ann.expect("auth_ok").await["resume"].clone();
    let start = Instant::now();

    assert_eq!(
        ann.closed().await.0,
        1006,
        "there is nobody to say goodbye to"
    );

    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    server
        .until_metric("nuncio_closes_total{code=\"1006\"}", 1.0)
        .await;
    let resume = json!({"type": "resume", "resume": resume});
    let mut ann = Client::begin(&server.anonymous(), resume).await;
    ann.expect("resumed").await;
}

#[tokio::test]
async fn a_peer_that_takes_no_more_bytes_is_noticed() {
    let server = TestServer::start(
        r#"
[heartbeat]
interval = "300ms"
timeout = "300ms"

[limits]
rate_per_second = 0

[[rooms]]
pattern = "*"
history = "none"
"#,
    )
    .await;
    let mut gone = enter(&server, "gone").await;
    gone.send_json(&json!({"type": "room:join", "roomId": "lobby"}))
        .await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;

    // Written until its socket takes no more, and it reads nothing, not even the ping.
    let start = Instant::now();
    while server.metric("nuncio_connections").await > 1.0 {
        ann.publish("lobby", &"x".repeat(20_000)).await;
        assert!(
            start.elapsed() < nuncio_e2e::PATIENCE,
            "it is never noticed"
        );
    }
}

#[tokio::test]
async fn a_busy_client_is_pinged_too() {
    let server = TestServer::set(&FAST).await;
    let mut ann = enter(&server, "ann").await;

    let mut pings = 0;
    while pings < 3 {
        ann.send_json(&json!({"type": "ping"})).await;
        let frame = ann.frame().await.expect("it stays");
        pings += usize::from(frame.first == PING);
    }
}

#[tokio::test]
async fn any_frame_is_a_sign_of_life() {
    let server = TestServer::set(&FAST).await;
    for (first, payload) in [
        (PONG, &b"unasked"[..]),
        (PING, b"from the client"),
        (TEXT, br#"{"type":"ping"}"#),
    ] {
        let mut ann = enter(&server, "ann").await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1500) {
            ann.send(first, payload).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        ann.send_json(&json!({"type": "ping"})).await;
        ann.expect("pong").await;
    }
}

#[tokio::test]
async fn a_page_that_asks_whether_the_server_is_there_gets_a_pong() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let reply = ann.call(json!({"type": "ping"})).await;

    assert_eq!(reply["data"], json!({"status": "ok"}));
    assert_eq!(ann.expect("pong").await, json!({"type": "pong"}));
}

#[tokio::test]
async fn pings_of_a_client_are_answered_with_their_payload() {
    let server = TestServer::start("").await;
    let mut ann = enter(&server, "ann").await;

    ann.send(PING, b"are you there?").await;

    loop {
        let frame = ann.frame().await.expect("it stays");
        if frame.first == PONG {
            assert_eq!(frame.payload, b"are you there?");
            return;
        }
    }
}

async fn enter(server: &TestServer, user: &str) -> Raw {
    let mut client = Raw::connect(server.address, &target(server, user), &[]).await;
    client.expect("auth_ok").await;
    client
}

fn target(server: &TestServer, user: &str) -> String {
    format!("/ws?token={}", server.token(user))
}
