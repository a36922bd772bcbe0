//! Each bound of the server, met: what is said to whoever passes it, and that nobody else notices.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::net::SocketAddr;
use std::time::Duration;

use nuncio_e2e::{Client, Raw, TestServer, http, raw};
use nuncio_websocket::{Compression, Deflater, Mask, MessageKind, WindowBits};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test]
async fn the_welcome_names_the_limits_in_force() {
    let server = TestServer::set(&[
        "limits.message_bytes=2KiB",
        "limits.rooms_per_session=7",
        "limits.rate_per_second=3",
        "limits.rate_burst=4",
        "history.messages=50",
    ])
    .await;

    let mut client = Client::connect(&server.anonymous()).await.unwrap();

    assert_eq!(
        client.expect("welcome").await["limits"],
        json!({"messageBytes": 2048, "rooms": 7, "ratePerSecond": 3, "burst": 4, "historyMax": 50})
    );
}

#[tokio::test]
async fn a_message_that_is_too_big_closes_with_1009_and_the_limit() {
    let server = TestServer::set(&["limits.message_bytes=1KiB"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let message = |len| {
        let fixed = r#"{"type":"ping","x":""}"#.len();
        format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(len - fixed))
    };

    ann.send_text(&message(1024)).await;
    ann.expect("pong").await;
    ann.send_text(&message(1025)).await;

    assert_too_big(&ann.closed().await);
}

#[tokio::test]
async fn fragments_count_together() {
    let server = TestServer::set(&["limits.message_bytes=1KiB"]).await;
    let mut ann = Raw::connect(server.address, &target(&server, "ann"), &[]).await;

    ann.send(0x01, &[b' '; 600]).await;
    ann.send(0x80, &[b' '; 600]).await;

    assert_too_big(&ann.closed().await);
}

#[tokio::test]
async fn compressed_messages_count_as_inflated() {
    let server = TestServer::set(&["limits.message_bytes=1KiB", "deflate.enabled=true"]).await;
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let mut ann = Raw::connect(server.address, &target(&server, "ann"), &offer).await;
    let mut deflater = Deflater::new();
    let compression = Compression::Deflate {
        deflater: &mut deflater,
        window: WindowBits::new(15).unwrap(),
    };
    let bomb = nuncio_websocket::encode(
        MessageKind::Text,
        &[b' '; 100_000],
        compression,
        Mask::Key([1, 2, 3, 4]),
    );
    assert!(bomb.len() < 1024);

    ann.stream.write_all(&bomb).await.unwrap();

    assert_too_big(&ann.closed().await);
}

#[tokio::test]
async fn a_session_that_sends_too_fast_is_told_when_to_go_on() {
    let server = TestServer::set(&["limits.rate_per_second=1", "limits.rate_burst=3"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let (taken, refused) = publish_at_once(&mut ann, 10).await;

    assert!((3..=5).contains(&taken), "{taken} of 10 were taken");
    let error = &refused[0];
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("RATE_LIMITED"), &json!("Rate limit exceeded"))
    );
    let wait = error["retryAfter"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");
    let wait = refused.last().unwrap()["retryAfter"].as_u64().unwrap();
    tokio::time::sleep(Duration::from_millis(wait + 1)).await;
    ann.publish("lobby", "after the pause").await;
}

#[tokio::test]
async fn a_user_has_one_budget_over_all_its_connections() {
    let server = TestServer::set(&["limits.rate_per_second=1", "limits.rate_burst=4"]).await;
    let (mut phone, _) = Client::enter(&server.url("ann")).await;
    let (mut laptop, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;

    let (first, _) = publish_at_once(&mut phone, 3).await;
    let (second, refused) = publish_at_once(&mut laptop, 4).await;

    assert_eq!(first, 3);
    assert!((1..=3).contains(&second), "{second} of 4 were taken");
    assert_eq!(refused[0]["code"], "RATE_LIMITED");
    assert_eq!(
        publish_at_once(&mut bob, 4).await.0,
        4,
        "another user's budget is its own"
    );
}

#[tokio::test]
async fn joins_have_a_budget_of_their_own_and_pings_are_free() {
    let server = TestServer::set(&[
        "limits.rate_per_second=1",
        "limits.rate_burst=2",
        "limits.rate_control_factor=3",
    ])
    .await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    publish_at_once(&mut ann, 4).await;

    for room in 0..6 {
        ann.join(&format!("room{room}")).await;
    }
    for _ in 0..50 {
        ann.call(json!({"type": "ping"})).await;
    }
    let mut limited = 0;
    for room in 0..6 {
        let reply = ann
            .call(json!({"type": "room:leave", "roomId": format!("room{room}")}))
            .await;
        limited += usize::from(reply["error"]["code"] == "RATE_LIMITED");
    }
    assert!(limited > 0, "the joins' budget ends too");
}

#[tokio::test]
async fn who_goes_on_after_many_refusals_is_closed_with_1008() {
    let server = TestServer::set(&[
        "limits.rate_per_second=1",
        "limits.rate_burst=1",
        "limits.rate_refusals_max=5",
    ])
    .await;
    let mut ann = Raw::connect(server.address, &target(&server, "ann"), &[]).await;
    ann.expect("auth_ok").await;

    let message = json!({"type": "chat:message", "roomId": "lobby", "content": 1});
    let flood: Vec<u8> = (0..20)
        .flat_map(|_| raw::frame(raw::TEXT, message.to_string().as_bytes()))
        .collect();
    ann.stream.write_all(&flood).await.unwrap();

    assert_eq!(ann.closed().await, (1008, "Rate limit exceeded".to_owned()));
}

#[tokio::test]
async fn without_a_limit_everything_is_taken() {
    let server = TestServer::set(&["limits.rate_per_second=0"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    assert_eq!(publish_at_once(&mut ann, 300).await.0, 300);
}

#[tokio::test]
async fn a_session_may_be_in_so_many_rooms() {
    let server = TestServer::set(&["limits.rooms_per_session=2"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("a").await;
    ann.join("b").await;

    let error = ann
        .refused(json!({"type": "room:join", "roomId": "c"}))
        .await;
    assert_eq!(error["code"], "ROOM_LIMIT");
    ann.join("a").await;
    ann.call(json!({"type": "room:leave", "roomId": "a"})).await;
    ann.join("c").await;
}

#[tokio::test]
async fn one_message_joins_at_most_100_rooms() {
    let server = TestServer::set(&["limits.rooms_per_session=1000"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let rooms = |count| {
        (0..count)
            .map(|n| json!({"roomId": format!("r{n}")}))
            .collect::<Vec<_>>()
    };

    let error = ann
        .refused(json!({"type": "room:join", "rooms": rooms(101)}))
        .await;
    assert_eq!(error["code"], "INVALID_MESSAGE");
    let reply = ann
        .call(json!({"type": "room:join", "rooms": rooms(100)}))
        .await;
    assert_eq!(reply["data"]["rooms"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn a_room_has_so_many_members() {
    let server = TestServer::set(&["limits.members_per_room=2"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let (mut cat, _) = Client::enter(&server.url("cat")).await;
    ann.join("lobby").await;
    bob.join("lobby").await;

    let error = cat
        .refused(json!({"type": "room:join", "roomId": "lobby"}))
        .await;
    assert_eq!(error["code"], "ROOM_LIMIT");
    ann.call(json!({"type": "room:leave", "roomId": "lobby"}))
        .await;
    cat.join("lobby").await;
}

#[tokio::test]
async fn a_user_has_so_many_sessions() {
    let server = TestServer::set(&["limits.sessions_per_user=2"]).await;
    let (first, _) = Client::enter(&server.url("ann")).await;
    let (_second, _) = Client::enter(&server.url("ann")).await;

    let mut third = Client::connect(&server.url("ann")).await.unwrap();
    assert_eq!(third.expect("error").await["code"], "ROOM_LIMIT");
    assert_eq!(third.closed().await.0, 1013);
    Client::enter(&server.url("bob")).await;

    first.close().await;
    Client::enter(&server.url("ann")).await;
}

#[tokio::test]
async fn the_server_has_so_many_sessions_and_answers_503_beyond() {
    let server = TestServer::set(&["server.sessions_max=2"]).await;
    let (ann, _) = Client::enter(&server.url("ann")).await;
    let mut anonymous = Client::connect(&server.anonymous()).await.unwrap();
    anonymous.expect("welcome").await;

    let answer = http::upgrade(server.address, &target(&server, "bob"), &[]).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );

    ann.close().await;
    Client::enter(&server.url("bob")).await;
}

#[tokio::test]
async fn so_many_handshakes_are_under_way_at_once_and_more_are_answered_503() {
    let server = TestServer::set(&["server.handshakes_max=2"]).await;
    let (_ann, _) = Client::enter(&server.url("ann")).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        slow.push(TcpStream::connect(server.address).await.unwrap());
    }

    let answer = http::get(server.address, "/healthz").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );

    drop(slow);
    let deadline = tokio::time::Instant::now() + nuncio_e2e::PATIENCE;
    while http::get(server.address, "/healthz").await.status == 503 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "places are given back"
        );
    }
    Client::enter(&server.url("bob")).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let server = TestServer::set(&["server.head_bytes_max=8KiB"]).await;
    let long = "x".repeat(10_000);

    let answer = http::upgrade(server.address, "/ws", &[("X-Long", &long)]).await;

    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    let server = TestServer::set(&["server.head_timeout=200ms"]).await;

    for begun in ["", "GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(begun.as_bytes()).await.unwrap();
        assert_ends(&mut slow).await;
    }
}

#[tokio::test]
async fn a_head_that_drips_does_not_win_time() {
    let server = TestServer::set(&["server.head_timeout=300ms"]).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /ws HTTP/1.1\r\n").await.unwrap();
    let start = tokio::time::Instant::now();

    // A write fails once the server has gone.
    while slow.write_all(b"X-A: b\r\n").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(
            start.elapsed() < nuncio_e2e::PATIENCE,
            "the server waits for ever"
        );
    }
}

#[tokio::test]
async fn an_idle_connection_kept_alive_is_ended_too() {
    let server = TestServer::set(&["server.head_timeout=200ms"]).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    http::read(&mut idle).await;

    assert_ends(&mut idle).await;
}

#[tokio::test]
async fn more_calls_than_may_be_in_flight_are_read_later_and_all_answered_in_order() {
    let server = TestServer::set(&["limits.calls_in_flight=2", "limits.rate_per_second=0"]).await;
    let mut ann = Raw::connect(server.address, &target(&server, "ann"), &[]).await;
    ann.expect("auth_ok").await;

    let burst: Vec<u8> = (1..=100)
        .flat_map(|id| {
            let message =
                json!({"type": "chat:message", "roomId": "lobby", "content": id, "id": id});
            raw::frame(raw::TEXT, message.to_string().as_bytes())
        })
        .collect();
    ann.stream.write_all(&burst).await.unwrap();

    for id in 1..=100 {
        let reply = ann.message().await;
        assert_eq!(
            (&reply["ack"], &reply["data"]["seq"]),
            (&json!(id), &json!(id))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_gets_1013_and_recovers_and_nobody_else_notices() {
    let server = TestServer::start(
        r#"
[limits]
rate_per_second = 0
outbox_bytes = "128KiB"

[history]
messages = 10000
bytes = "1GiB"

[[rooms]]
pattern = "*"
history = "memory"
"#,
    )
    .await;
    let stream = small_window(server.address).await;
    let mut slow = Raw::over(stream, &target(&server, "slow"), &[]).await;
    slow.send_json(&json!({"type": "room:join", "roomId": "lobby", "id": 1}))
        .await;
    let joined = loop {
        let message = slow.message().await;
        if message["ack"] == 1 {
            break message["data"].clone();
        }
    };
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.join("lobby").await;

    let content = "x".repeat(50_000);
    let mut published = 0;
    while server.metric("nuncio_slow_consumers_total").await == 0.0 {
        for _ in 0..10 {
            published += 1;
            assert_eq!(ann.publish("lobby", &content).await["seq"], published);
            assert_eq!(bob.expect("chat:message").await["seq"], published);
        }
        assert!(published < 2000, "a bound is there");
    }

    let mut seen = 0;
    let reconnect = loop {
        let message = slow.message().await;
        match message["type"].as_str() {
            Some("chat:message") => {
                seen += 1;
                assert_eq!(message["seq"], seen);
            }
            Some("reconnect") => break message,
            Some(_) | None => {}
        }
    };
    assert!(reconnect["after"].as_u64() > Some(0));
    assert_eq!(slow.closed().await.0, 1013);

    let (mut slow, _) = Client::enter(&server.url("slow")).await;
    let since = json!({"epoch": joined["epoch"], "seq": seen});
    let reply = slow
        .call(json!({"type": "room:join", "roomId": "lobby", "since": since}))
        .await;
    assert_eq!(reply["data"]["recovered"], true);
    for seq in seen + 1..=published {
        assert_eq!(slow.expect("chat:message").await["seq"], seq);
    }
}

/// A connection whose client takes few bytes before it reads.
async fn small_window(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

/// Sends publishes without waiting; how many were taken, and the refusals of the rest.
async fn publish_at_once(client: &mut Client, count: usize) -> (usize, Vec<Value>) {
    for id in 0..count {
        let message = json!({"type": "chat:message", "roomId": "lobby", "content": id, "id": format!("p{id}")});
        client.send(message).await;
    }
    let mut refused = Vec::new();
    for id in 0..count {
        let ack = json!(format!("p{id}"));
        let reply = client.find(|message| message["ack"] == ack).await;
        if reply["error"].is_object() {
            refused.push(reply["error"].clone());
        }
    }
    (count - refused.len(), refused)
}

async fn assert_ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(nuncio_e2e::PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the server waits for ever");
}

fn assert_too_big((code, reason): &(u16, String)) {
    assert_eq!(*code, 1009);
    assert!(reason.contains("1024"), "{reason}");
}

fn target(server: &TestServer, user: &str) -> String {
    format!("/ws?token={}", server.token(user))
}
