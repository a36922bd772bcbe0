//! `docs/protocol.md`, "SSE and long polling": feeds of rooms over `/sse`, which only receive.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio::auth::Claims;
use nuncio_e2e::{Client, Events, TestServer, http, unix_s};
use serde_json::{Value, json};

/// What a visitor may read: the news, and what was said in it before.
const PUBLIC: &str = r#"grants.anonymous=[{ rooms = "news:*", allow = ["join", "history"] }]"#;

#[tokio::test]
async fn a_visitor_reads_a_public_room_and_nobody_sees_it() {
    let server = TestServer::set(&[PUBLIC]).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.join("news:a").await;

    let mut feed = Events::open(server.address, "/sse?room=news:a", &[]).await;
    let begin = feed.next().await.unwrap();
    let told = bob.publish("news:a", "hello").await;
    let message = feed.next().await.unwrap();

    assert_eq!(feed.retry, Some(2000));
    assert_eq!(
        (&begin["type"], &begin["roomId"]),
        (&json!("room:position"), &json!("news:a"))
    );
    assert_eq!(
        (&begin["seq"], &begin["recovered"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(
        (&message["content"], &message["id"]),
        (&json!("hello"), &told["id"])
    );
    let id = format!("{}.1", told["epoch"].as_str().unwrap());
    assert_eq!(feed.last_id, Some(id));
    let presence = bob
        .call(json!({ "type": "presence:get", "roomId": "news:a" }))
        .await;
    assert_eq!(presence["data"]["count"], 1, "{presence}");
    assert_eq!(
        server.metric(r#"nuncio_sessions{transport="sse"}"#).await,
        1.0
    );
    drop(feed);
    server.until_metric("nuncio_connections", 1.0).await;
}

#[tokio::test]
async fn proxies_are_told_to_let_events_through_at_once() {
    let server = TestServer::set(&[PUBLIC]).await;

    let feed = Events::open(
        server.address,
        "/sse?room=news:a",
        &[("Accept-Encoding", "gzip")],
    )
    .await;
    let head = http::ask(server.address, "HEAD", "/sse?room=news:a", &[], "").await;

    for answer in [&feed.answer, &head] {
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store, no-transform")
        );
        assert_eq!(
            answer.header("content-encoding"),
            None,
            "compression would hold events back"
        );
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    }
}

#[tokio::test]
async fn nothing_is_public_that_is_not_written() {
    let closed = TestServer::start("").await;
    let open = TestServer::set(&[PUBLIC]).await;
    let mut claims = Claims::new("eve", unix_s() + 60);
    claims.nuncio = Some(serde_json::from_value(json!({ "grants": [] })).unwrap());
    let stranger = open.mint(claims);

    for (server, path, status, code) in [
        (
            &closed,
            "/sse?room=news:a".to_owned(),
            401,
            "NOT_AUTHENTICATED",
        ),
        (
            &open,
            "/sse?room=news:a&room=chat".to_owned(),
            401,
            "NOT_AUTHENTICATED",
        ),
        (
            &open,
            format!("/sse?room=chat&token={stranger}"),
            403,
            "FORBIDDEN",
        ),
        (
            &open,
            "/sse?room=news:a&token=wrong".to_owned(),
            401,
            "NOT_AUTHENTICATED",
        ),
        (
            &open,
            "/sse?room=news:a&ns=/other".to_owned(),
            403,
            "FORBIDDEN",
        ),
        (&open, "/sse".to_owned(), 400, "INVALID_MESSAGE"),
        (
            &open,
            "/sse?room=news:a&room=news:a".to_owned(),
            400,
            "INVALID_MESSAGE",
        ),
        (&open, "/sse?room=".to_owned(), 400, "INVALID_MESSAGE"),
        (
            &open,
            "/sse?room=news:a&history=x".to_owned(),
            400,
            "INVALID_MESSAGE",
        ),
    ] {
        let answer = http::get(server.address, &path).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_feed_with_a_token_is_of_that_user_who_is_present() {
    let server = TestServer::start("").await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.join("chat").await;
    let path = format!("/sse?room=chat&token={}", server.token("ann"));

    let mut feed = Events::open(server.address, &path, &[]).await;
    feed.expect("room:position").await;
    assert_eq!(bob.expect("user:joined").await["userId"], "ann");
    bob.call(json!({ "type": "message:private", "to": "ann", "content": "psst" }))
        .await;

    assert_eq!(feed.expect("message:private").await["content"], "psst");
    drop(feed);
    server.until_metric("nuncio_connections", 1.0).await;
    assert_eq!(
        server.metric("nuncio_sessions_parked").await,
        0.0,
        "there is nothing to resume"
    );
}

#[tokio::test]
async fn a_feed_begins_with_the_newest_messages_when_asked_to() {
    let server = TestServer::set(&[PUBLIC]).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    for content in ["one", "two", "three"] {
        bob.publish("news:a", content).await;
    }

    let mut feed = Events::open(server.address, "/sse?room=news:a&history=2", &[]).await;

    assert_eq!(feed.next().await.unwrap()["seq"], 3);
    let before = feed.last_id.clone().unwrap();
    assert!(
        before.ends_with(".1"),
        "cut here, it would get both again: {before}"
    );
    assert_eq!(feed.next().await.unwrap()["content"], "two");
    assert_eq!(feed.next().await.unwrap()["content"], "three");
}

#[tokio::test]
async fn an_id_that_says_nothing_of_these_rooms_is_answered_with_recovered_false() {
    let server = TestServer::set(&[PUBLIC]).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.publish("news:a", "missed").await;

    for (path, id) in [
        ("/sse?room=news:a", "AAAAAAAAAAE.0"),
        ("/sse?room=news:a", "17"),
        ("/sse?room=news:a&room=news:b", "AAAAAAAAAAE.0"),
        ("/sse?room=news:a&lastEventId=-", ""),
    ] {
        let mut feed = Events::open(server.address, path, &[("Last-Event-ID", id)]).await;
        let position = feed.next().await.unwrap();
        assert_eq!(
            (&position["recovered"], &position["seq"]),
            (&json!(false), &json!(1)),
            "{id}"
        );
    }
}

#[tokio::test]
async fn cut_off_and_back_with_the_last_id_it_misses_and_repeats_nothing_in_three_rooms() {
    const CUTS: usize = 40;
    let server = TestServer::set(&[
        PUBLIC,
        "limits.rate_per_second=0",
        "history.messages=100000",
    ])
    .await;
    let url = server.url("bob");
    let publishing = tokio::spawn(async move {
        let (mut bob, _) = Client::enter(&url).await;
        let mut last = 0;
        for turn in 0..3000 {
            let room = ["news:a", "news:b", "news:c"][turn % 3];
            last = bob.publish(room, "news").await["seq"].as_u64().unwrap();
        }
        last
    });
    let path = "/sse?room=news:a&room=news:b&room=news:c";
    let mut feed = Events::open(server.address, path, &[]).await;
    let mut seen = Seen::default();

    for cut in 0..CUTS {
        // Cut in the middle of what comes, after another number of messages each time.
        for _ in 0..=cut {
            seen.take(&feed.next().await.unwrap());
        }
        let id = feed.last_id.clone().unwrap();
        drop(feed);
        feed = Events::open(server.address, path, &[("Last-Event-ID", &id)]).await;
    }
    let last = publishing.await.unwrap();
    while !seen.has_all(last) {
        seen.take(&feed.next().await.unwrap());
    }
}

#[tokio::test]
async fn a_message_with_line_breaks_is_one_event() {
    let server = TestServer::set(&[PUBLIC]).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let mut feed = Events::open(server.address, "/sse?room=news:a", &[]).await;
    feed.expect("room:position").await;

    bob.send_text(
        "{\"type\":\"chat:message\",\"roomId\":\"news:a\",\"content\":{\r\n\"a\":\n\n[1,\r2]}}",
    )
    .await;

    assert_eq!(
        feed.expect("chat:message").await["content"],
        json!({ "a": [1, 2] })
    );
}

#[tokio::test]
async fn a_silent_feed_has_comments_for_a_heartbeat() {
    let server = TestServer::set(&[PUBLIC, "heartbeat.interval=50ms"]).await;
    let mut feed = Events::open(server.address, "/sse?room=news:a", &[]).await;
    feed.expect("room:position").await;

    feed.beats(3).await;
}

#[tokio::test]
async fn at_a_shutdown_a_feed_is_told_to_come_back_and_ends_properly() {
    let mut server = TestServer::set(&[PUBLIC, "server.drain_rate=1"]).await;
    let mut feed = Events::open(server.address, "/sse?room=news:a", &[]).await;
    feed.expect("room:position").await;
    let mut other = Events::open(server.address, "/sse?room=news:a", &[]).await;
    other.expect("room:position").await;

    server.drain();
    // One of the two is told a second after the other: meanwhile the server drains.
    tokio::select! {
        message = feed.next() => assert_eq!(message.unwrap()["type"], "reconnect"),
        message = other.next() => {
            assert_eq!(message.unwrap()["type"], "reconnect");
            std::mem::swap(&mut feed, &mut other);
        }
    }
    assert_eq!(feed.retry, Some(1000));
    let close = json!({ "type": "close", "code": 1012, "reason": "Server shutting down" });
    assert_eq!(feed.next().await, Some(close));
    assert_eq!(feed.next().await, None);

    let page = [("Accept", "text/event-stream")];
    let mut back = Events::open(server.address, "/sse?room=news:a", &page).await;
    assert_eq!(back.next().await.unwrap()["type"], "reconnect");
    assert_eq!(back.next().await.unwrap()["code"], 1013);
    assert_eq!(back.next().await, None, "an EventSource tries again later");
    let program = http::get(server.address, "/sse?room=news:a").await;
    assert_eq!(
        (program.status, program.header("retry-after")),
        (503, Some("1"))
    );
    other.expect("close").await;
    server.stop().await;
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_1013_and_recovers_by_the_last_id() {
    let server = TestServer::set(&[
        PUBLIC,
        "limits.rate_per_second=0",
        "limits.outbox_bytes=64KiB",
        "history.bytes=64MiB",
        "history.messages=1000",
    ])
    .await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let mut feed = Events::open(server.address, "/sse?room=news:a", &[]).await;
    let mut seen = Seen::default();
    seen.take(&feed.next().await.unwrap());

    let mut last = 0;
    for _ in 0..400 {
        let told = bob.publish("news:a", &"x".repeat(50_000)).await;
        last = told["seq"].as_u64().unwrap();
    }
    let mut close = Value::Null;
    while let Some(message) = feed.next().await {
        seen.take(&message);
        close = message;
    }
    assert_eq!(close["code"], 1013, "{close}");
    assert_eq!(server.metric("nuncio_slow_consumers_total").await, 1.0);

    let id = feed.last_id.clone().unwrap();
    let mut again = Events::open(
        server.address,
        "/sse?room=news:a",
        &[("Last-Event-ID", &id)],
    )
    .await;
    while seen.rooms["news:a"] < last {
        seen.take(&again.next().await.unwrap());
    }
}

#[tokio::test]
async fn a_feed_ends_with_its_token() {
    let server = TestServer::set(&["auth.leeway=0s"]).await;
    let token = server.mint(Claims::new("ann", unix_s() + 2));
    let path = format!("/sse?room=chat&token={token}");
    let mut feed = Events::open(server.address, &path, &[]).await;

    feed.expect("auth:expiring").await;

    assert_eq!(feed.expect("close").await["code"], 4003);
    assert_eq!(feed.next().await, None);
    assert_eq!(
        http::get(server.address, &path).await.status,
        401,
        "which stops an EventSource"
    );
}

/// The last number of each room; every message must be the next.
#[derive(Default)]
struct Seen {
    rooms: std::collections::BTreeMap<String, u64>,
}

impl Seen {
    fn take(&mut self, message: &Value) {
        let room = || message["roomId"].as_str().unwrap().to_owned();
        if message["type"] == "room:position" {
            assert_eq!(message["recovered"], true, "{message}");
            self.rooms
                .entry(room())
                .or_insert_with(|| message["seq"].as_u64().unwrap());
        } else if message["type"] == "chat:message" {
            let last = self.rooms.get_mut(&room()).unwrap();
            *last += 1;
            assert_eq!(message["seq"], *last, "missed or repeated: {message}");
        }
    }

    fn has_all(&self, last: u64) -> bool {
        self.rooms.len() == 3 && self.rooms.values().all(|seq| *seq == last)
    }
}
