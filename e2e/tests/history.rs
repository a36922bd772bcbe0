//! What a room keeps, and how whoever was away gets exactly what it missed.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nuncio_e2e::{Client, TestServer};
use serde_json::{Value, json};

const RULES: &str = r#"
[limits]
rate_per_second = 0

[history]
messages = 1000000
bytes = "1GiB"

[[rooms]]
pattern = "memory:*"
history = "memory"

[[rooms]]
pattern = "none:*"
history = "none"

[[rooms]]
pattern = "three:*"
messages = 3
"#;

#[tokio::test]
async fn a_join_with_history_brings_the_newest_messages_in_order_after_the_reply() {
    let server = TestServer::start(RULES).await;
    for room in ["durable", "memory:1"] {
        let (mut ann, _) = Client::enter(&server.url("ann")).await;
        publish(&mut ann, room, 1..=5).await;
        let (mut bob, _) = Client::enter(&server.url("bob")).await;

        bob.send(json!({"type": "room:join", "roomId": room, "history": 3, "id": 1}))
            .await;

        let reply = bob.take().await.unwrap();
        assert_eq!(
            (&reply["ack"], &reply["data"]["seq"]),
            (&json!(1), &json!(5)),
            "{room}"
        );
        for seq in 3..=5 {
            assert_eq!(bob.take().await.unwrap()["seq"], seq, "{room}");
        }
    }
}

#[tokio::test]
async fn since_brings_exactly_what_was_published_after_it() {
    let server = TestServer::start(RULES).await;
    for room in ["durable", "memory:1"] {
        let (mut ann, _) = Client::enter(&server.url("ann")).await;
        let epoch = publish(&mut ann, room, 1..=5).await;

        for (seen, recovered, brings) in [
            (0, true, vec![1, 2, 3, 4, 5]),
            (3, true, vec![4, 5]),
            (5, true, vec![]),
            (6, false, vec![]),
        ] {
            let (mut bob, _) = Client::enter(&server.url("bob")).await;
            let reply = rejoin(&mut bob, room, &json!({"epoch": epoch, "seq": seen})).await;

            assert_eq!(reply["recovered"], recovered, "{room} since {seen}");
            assert_eq!(reply["seq"], 5);
            assert_eq!(
                seqs_until_fence(&mut bob, room).await,
                brings,
                "{room} since {seen}"
            );
        }
    }
}

#[tokio::test]
async fn a_position_of_another_epoch_is_not_recovered() {
    let server = TestServer::start(RULES).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    publish(&mut ann, "durable", 1..=2).await;
    let other = publish(&mut ann, "memory:1", 1..=2).await;

    let reply = rejoin(&mut ann, "durable", &json!({"epoch": other, "seq": 1})).await;

    assert_eq!(reply["recovered"], false);
    assert_ne!(reply["epoch"], other);
}

#[tokio::test]
async fn messages_that_the_room_no_longer_keeps_are_not_recovered() {
    let server = TestServer::start(RULES).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let epoch = publish(&mut ann, "three:1", 1..=5).await;

    let page = history(&mut ann, "three:1", json!({})).await;
    assert_eq!(seqs(&page), [3, 4, 5]);
    for (seen, recovered) in [(1, false), (2, true)] {
        let (mut bob, _) = Client::enter(&server.url("bob")).await;
        let reply = rejoin(&mut bob, "three:1", &json!({"epoch": epoch, "seq": seen})).await;
        assert_eq!(reply["recovered"], recovered, "since {seen}");
    }
}

#[tokio::test]
async fn a_room_without_history_recovers_only_who_missed_nothing() {
    let server = TestServer::start(RULES).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("none:1").await;
    let epoch = publish(&mut ann, "none:1", 1..=2).await;

    assert_eq!(
        seqs(&history(&mut ann, "none:1", json!({})).await),
        [] as [u64; 0]
    );
    for (seen, recovered) in [(1, false), (2, true)] {
        let (mut bob, _) = Client::enter(&server.url("bob")).await;
        let reply = rejoin(&mut bob, "none:1", &json!({"epoch": epoch, "seq": seen})).await;
        assert_eq!(reply["recovered"], recovered, "since {seen}");
    }
}

#[tokio::test]
async fn history_is_read_in_pages_both_ways() {
    let server = TestServer::start(RULES).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let epoch = publish(&mut ann, "durable", 1..=6).await;

    for (query, expected) in [
        (json!({"limit": 2}), vec![5, 6]),
        (json!({"before": 5, "limit": 2}), vec![3, 4]),
        (json!({"after": 2, "limit": 2}), vec![3, 4]),
        (json!({"after": 6}), vec![]),
        (json!({"before": 1}), vec![]),
        (json!({}), vec![1, 2, 3, 4, 5, 6]),
    ] {
        let page = history(&mut ann, "durable", query.clone()).await;
        assert_eq!(seqs(&page), expected, "{query}");
        assert_eq!((&page["epoch"], &page["seq"]), (&epoch, &json!(6)));
    }
    let both = json!({"type": "history:get", "roomId": "durable", "before": 5, "after": 1});
    assert_eq!(ann.refused(both).await["code"], "INVALID_MESSAGE");
}

#[tokio::test]
async fn history_has_messages_in_the_form_in_which_they_were_delivered() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    ann.publish("lobby", "text").await;
    let first = ann.expect("chat:message").await;
    ann.call(json!({"type": "event", "event": "draw", "data": {"x": 1}, "roomId": "lobby"}))
        .await;
    let second = ann.expect("event").await;

    let page = history(&mut ann, "lobby", json!({})).await;

    let mut messages = page["messages"].as_array().unwrap().clone();
    // The first message of an epoch names it, as it is delivered and as it is replayed.
    assert_eq!(messages.remove(0)["content"], first["content"]);
    assert_eq!(messages, [second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_and_rejoins_amid_publishing_misses_nothing_and_gets_nothing_twice() {
    let server = TestServer::start(RULES).await;
    for (room, times) in [("durable", 100), ("memory:1", 100)] {
        let publishers = Publishers::start(&server, room).await;
        let (mut reader, _) = Client::enter(&server.url("reader")).await;
        let mut position = reader.join(room).await;

        for _ in 0..times {
            let target = position["seq"].as_u64().unwrap() + 2;
            while position["seq"].as_u64() < Some(target) {
                let message = reader.take().await.unwrap();
                follow(&mut position, &message);
            }
            reader
                .send(json!({"type": "room:leave", "roomId": room, "id": 0}))
                .await;
            loop {
                let message = reader.take().await.unwrap();
                if message["ack"] == 0 {
                    break;
                }
                follow(&mut position, &message);
            }
            let reply = rejoin(&mut reader, room, &position).await;
            assert_eq!(reply["recovered"], true, "{room}");
        }

        let published = publishers.stop().await;
        let last = *published.keys().max().unwrap();
        while position["seq"].as_u64() < Some(last) {
            let message = reader.take().await.unwrap();
            follow(&mut position, &message);
            let content = &published[&position["seq"].as_u64().unwrap()];
            assert_eq!(&message["content"], content, "{room}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_whose_connection_is_cut_amid_publishing_misses_nothing_and_gets_nothing_twice() {
    let server = TestServer::start(RULES).await;
    for room in ["durable", "memory:1"] {
        let publishers = Publishers::start(&server, room).await;
        let (mut reader, _) = Client::enter(&server.url("reader")).await;
        let mut position = reader.join(room).await;

        for _ in 0..30 {
            let target = position["seq"].as_u64().unwrap() + 2;
            while position["seq"].as_u64() < Some(target) {
                let message = reader.take().await.unwrap();
                follow(&mut position, &message);
            }
            reader.cut();
            reader = Client::enter(&server.url("reader")).await.0;
            let reply = rejoin(&mut reader, room, &position).await;
            assert_eq!(reply["recovered"], true, "{room}");
        }
        publishers.stop().await;
    }
}

#[tokio::test]
async fn a_repeated_key_is_published_once_and_answered_alike() {
    let server = TestServer::start(RULES).await;
    for room in ["durable", "memory:1"] {
        let (mut ann, _) = Client::enter(&server.url("ann")).await;
        let (mut bob, _) = Client::enter(&server.url("bob")).await;
        bob.join(room).await;

        let first = ann.call(keyed(room, "once", "k")).await;
        let again = ann.call(keyed(room, "once", "k")).await;
        let other_user = bob.call(keyed(room, "another's", "k")).await;

        assert_eq!(first["data"], again["data"], "{room}");
        assert_eq!(other_user["data"]["seq"], 2, "{room}");
        assert_eq!(seqs_until_fence(&mut bob, room).await, [1, 2], "{room}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_publishes_with_one_key_are_one_publication() {
    let server = TestServer::start(RULES).await;
    for room in ["durable", "memory:1"] {
        let mut racing = Vec::new();
        for _ in 0..8 {
            let (mut ann, _) = Client::enter(&server.url("ann")).await;
            racing.push(tokio::spawn(async move {
                ann.call(keyed(room, "once", "k")).await
            }));
        }
        for racer in racing {
            assert_eq!(racer.await.unwrap()["data"]["seq"], 1, "{room}");
        }
    }
}

#[tokio::test]
async fn a_restart_keeps_durable_rooms_and_their_keys_and_begins_memory_rooms_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(folder.path(), RULES).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let durable = ann.call(keyed("durable", "before", "k")).await["data"].clone();
    let memory = ann.publish("memory:1", "before").await;
    server.stop().await;

    let server = TestServer::start_in(folder.path(), RULES).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    assert_eq!(
        ann.call(keyed("durable", "before", "k")).await["data"],
        durable
    );
    let since = json!({"epoch": durable["epoch"], "seq": 0});
    assert_eq!(rejoin(&mut ann, "durable", &since).await["recovered"], true);
    let since = json!({"epoch": memory["epoch"], "seq": 1});
    let reply = rejoin(&mut ann, "memory:1", &since).await;
    assert_eq!(
        (&reply["recovered"], &reply["seq"]),
        (&json!(false), &json!(0))
    );
    assert_ne!(reply["epoch"], memory["epoch"]);
}

#[tokio::test]
async fn the_first_message_of_an_epoch_names_it_and_no_other_does() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let joined = ann.join("lobby").await;
    ann.publish("lobby", "1").await;
    ann.publish("lobby", "2").await;

    assert_eq!(ann.expect("chat:message").await["epoch"], joined["epoch"]);
    assert!(ann.expect("chat:message").await.get("epoch").is_none());
}

#[tokio::test]
async fn content_is_passed_on_byte_for_byte() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    let mut raw = nuncio_e2e::Raw::connect(
        server.address,
        &format!("/ws?token={}", server.token("bob")),
        &[],
    )
    .await;
    raw.send(
        nuncio_e2e::raw::TEXT,
        br#"{"type":"room:join","roomId":"lobby","id":1}"#,
    )
    .await;
    while raw.message().await["ack"] != 1 {}
    let content = r#"{ "b":1.50, "a" : [1e3,"\u0041"],"a":null }"#;

    ann.send_text(&format!(
        r#"{{"type":"chat:message","roomId":"lobby","content":{content}}}"#
    ))
    .await;

    loop {
        let frame = raw.frame().await.unwrap();
        let text = String::from_utf8(frame.payload).unwrap();
        if text.contains("chat:message") {
            assert!(text.contains(content), "{text}");
            break;
        }
    }
}

/// Several users who publish as fast as they are acknowledged.
struct Publishers {
    stop: Arc<AtomicBool>,
    running: Vec<tokio::task::JoinHandle<HashMap<u64, Value>>>,
}

impl Publishers {
    async fn start(server: &TestServer, room: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = Vec::new();
        for user in 0..3 {
            let (mut client, _) = Client::enter(&server.url(&format!("publisher{user}"))).await;
            let stop = stop.clone();
            running.push(tokio::spawn(async move {
                let mut published = HashMap::new();
                while !stop.load(Ordering::Relaxed) {
                    let content = format!("{user}-{}", published.len());
                    let reply = client.publish(room, &content).await;
                    published.insert(reply["seq"].as_u64().unwrap(), json!(content));
                }
                published
            }));
        }
        Self { stop, running }
    }

    /// What was published, by `seq`.
    async fn stop(self) -> HashMap<u64, Value> {
        self.stop.store(true, Ordering::Relaxed);
        let mut published = HashMap::new();
        for publisher in self.running {
            published.extend(publisher.await.unwrap());
        }
        published
    }
}

/// Takes a publication in, which must be the next one.
fn follow(position: &mut Value, message: &Value) {
    if message["type"] == "chat:message" {
        let next = position["seq"].as_u64().unwrap() + 1;
        assert_eq!(message["seq"], next, "{message}");
        position["seq"] = json!(next);
    }
    assert_ne!(message["type"], "room:position", "no gap is announced");
}

/// Joins since a position. Messages that come before the reply stay in line.
async fn rejoin(client: &mut Client, room: &str, position: &Value) -> Value {
    let since = json!({"epoch": position["epoch"], "seq": position["seq"]});
    let reply = client
        .call(json!({"type": "room:join", "roomId": room, "since": since}))
        .await;
    assert!(reply["error"].is_null(), "{reply}");
    reply["data"].clone()
}

/// Publishes these numbers and returns the epoch.
async fn publish(client: &mut Client, room: &str, numbers: std::ops::RangeInclusive<u64>) -> Value {
    let mut epoch = Value::Null;
    for number in numbers {
        epoch = client.publish(room, &number.to_string()).await["epoch"].clone();
    }
    epoch
}

/// What is delivered in a room before an event that is not published.
async fn seqs_until_fence(client: &mut Client, room: &str) -> Vec<u64> {
    client
        .call(json!({"type": "room:leave", "roomId": room}))
        .await;
    let mut seqs = Vec::new();
    client.send(json!({"type": "ping"})).await;
    for message in client.until(|message| message["type"] == "pong").await {
        seqs.extend(
            message["seq"]
                .as_u64()
                .filter(|_| message.get("type").is_some()),
        );
    }
    seqs
}

async fn history(client: &mut Client, room: &str, query: Value) -> Value {
    let mut message = json!({"type": "history:get", "roomId": room});
    message
        .as_object_mut()
        .unwrap()
        .extend(query.as_object().unwrap().clone());
    client.call(message).await["data"].clone()
}

fn seqs(page: &Value) -> Vec<u64> {
    let messages = page["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect()
}

fn keyed(room: &str, content: &str, key: &str) -> Value {
    json!({"type": "chat:message", "roomId": room, "content": content, "idempotencyKey": key})
}
