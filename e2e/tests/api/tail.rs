//! Rooms followed by a backend.

use nuncio_e2e::backend::{ADMIN, KEEPER, KEYS, READER, refusal};
use nuncio_e2e::{Backend, Client, Events, TestServer};
use serde_json::{Value, json};

use crate::{start, start_with, start_with_chat};

async fn open(server: &TestServer, key: &str, query: &str) -> Events {
    open_with(server, key, query, &[]).await
}

async fn open_with(
    server: &TestServer,
    key: &str,
    query: &str,
    headers: &[(&str, &str)],
) -> Events {
    let bearer = format!("Bearer {key}");
    let mut all = vec![("Authorization", &*bearer)];
    all.extend_from_slice(headers);
    let address = server.api_address.unwrap_or(server.address);
    Events::open(address, &format!("/api/v1/tail?{query}"), &all).await
}

/// Room and number of the next publication.
async fn next(events: &mut Events) -> (String, u64) {
    let message = events.expect("chat:message").await;
    let room = message["roomId"].as_str().unwrap().to_owned();
    (room, message["seq"].as_u64().unwrap())
}

async fn say(backend: &Backend, room: &str, count: usize) {
    for content in 0..count {
        let said = json!({"roomId": room, "content": content});
        backend.done("/publish", said).await;
    }
}

fn at(room: &str, seq: u64) -> (String, u64) {
    (room.to_owned(), seq)
}

#[tokio::test]
async fn history_comes_first_and_then_what_is_said() {
    let (server, backend) = start().await;
    say(&backend, "a", 3).await;
    say(&backend, "b", 1).await;

    let mut tail = open(&server, READER, "roomId=a&roomId=b&limit=2").await;
    let mut read = Vec::new();
    for _ in 0..3 {
        read.push(next(&mut tail).await);
    }
    say(&backend, "b", 1).await;

    read.push(next(&mut tail).await);
    assert_eq!(read, [at("a", 2), at("a", 3), at("b", 1), at("b", 2)]);
}

#[tokio::test]
async fn whoever_comes_back_with_the_last_id_misses_and_repeats_nothing() {
    let (server, backend) = start().await;
    let mut tail = open(&server, READER, "roomId=a&roomId=b").await;
    tail.expect("room:position").await;
    tail.expect("room:position").await;
    say(&backend, "a", 2).await;
    assert_eq!(next(&mut tail).await, at("a", 1));
    let last = tail.last_id.clone().unwrap();
    drop(tail);
    say(&backend, "b", 1).await;

    let mut by_query = open(&server, READER, &format!("roomId=a&roomId=b&since={last}")).await;
    let header = [("Last-Event-ID", &*last)];
    let mut by_header = open_with(&server, READER, "roomId=a&roomId=b", &header).await;

    for tail in [&mut by_query, &mut by_header] {
        let position = tail.expect("room:position").await;
        assert_eq!(position["recovered"], true);
        let read = [next(tail).await, next(tail).await];
        assert_eq!(read, [at("a", 2), at("b", 1)]);
    }
}

#[tokio::test]
async fn a_place_that_is_not_known_is_told_as_a_gap() {
    let (server, backend) = start().await;
    say(&backend, "a", 1).await;

    let mut tail = open(&server, READER, "roomId=a&since=AAAAAAAAAAA.7").await;

    assert_eq!(tail.expect("room:position").await["recovered"], false);
}

#[tokio::test]
async fn nobody_sees_who_looks_on() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("a").await;

    let mut tail = open(&server, READER, "roomId=a").await;
    tail.expect("room:position").await;
    say(&backend, "a", 1).await;

    // Who came would have been told before what was said later.
    let told = ann.until(|message| message["type"] == "chat:message").await;
    let is_seen = |message: &Value| {
        let kind = message["type"].as_str().unwrap();
        kind.starts_with("presence:") && message["userId"] != "ann"
    };
    assert!(!told.iter().any(is_seen), "{told:?}");
    let presence = backend.read("/presence?roomId=a").await;
    assert_eq!(presence["users"], json!([{"userId": "ann", "sessions": 1}]));
    let sessions = backend.read("/sessions").await;
    assert_eq!(sessions["count"], 1);
    assert_eq!(backend.read("/server").await["users"], 1);
}

#[tokio::test]
async fn a_key_follows_what_it_may_read_and_nothing_else() {
    let bound = r#"{ name = "bound", key = "a-bound-key-of-at-least-32-bytes---", scopes = ["read"], rooms = ["chat:*"] },"#;
    let keys = KEYS.replace("keys = [", &format!("keys = [ {bound}"));
    let server = TestServer::start(&keys).await;
    let refused = async |key: &str, query: &str| {
        let backend = Backend::new(&server, key);
        refusal(&backend.ask("GET", &format!("/tail?{query}"), &[], "").await)
    };
    const BOUND: &str = "a-bound-key-of-at-least-32-bytes---";

    open(&server, BOUND, "roomId=chat:a")
        .await
        .expect("room:position")
        .await;
    for (key, query, status, told) in [
        ("no-such-key", "roomId=a", 401, "Authorization"),
        (KEEPER, "roomId=a", 403, "\"read\""),
        (BOUND, "roomId=chat:a&roomId=staff", 403, "\"staff\""),
        (READER, "", 400, "roomId is missing"),
        (READER, "roomId=a&roomId=a", 400, "twice"),
        (READER, "roomId=a&room=b", 400, "room"),
        (READER, "roomId=a&since=x", 400, "since"),
        (
            READER,
            "roomId=a&roomId=b&since=AAAAAAAAAAA.7",
            400,
            "these 2 rooms",
        ),
        (READER, "roomId=a&limit=x", 400, "limit"),
        (READER, "roomId=nuncio:x", 400, "reserved"),
    ] {
        let (found, _, message) = refused(key, query).await;
        assert_eq!(found, status, "{query}: {message}");
        assert!(message.contains(told), "{query}: {message}");
    }
}

#[tokio::test]
async fn another_namespace_is_followed_where_the_key_is_for_it() {
    let (server, backend) = start_with_chat().await;

    let mut tail = open(&server, ADMIN, "roomId=a&ns=/chat").await;
    tail.expect("room:position").await;
    say(&backend, "a", 1).await;
    let said = json!({"roomId": "a", "ns": "/chat", "content": "here"});
    backend.done("/publish", said).await;

    assert_eq!(tail.expect("chat:message").await["content"], "here");
}

#[tokio::test]
async fn a_tail_holds_one_of_the_keys_requests_until_it_ends() {
    let (server, backend) = start_with("requests_max = 2").await;
    let mut one = open(&server, ADMIN, "roomId=a").await;
    one.expect("room:position").await;
    let two = open(&server, ADMIN, "roomId=a").await;

    let full = backend.ask("GET", "/server", &[], "").await;
    assert_eq!(full.status, 429);
    assert_eq!(full.json()["error"]["code"], "RATE_LIMITED");
    drop(two);

    let late = tokio::time::Instant::now() + nuncio_e2e::PATIENCE;
    while backend.ask("GET", "/server", &[], "").await.status != 200 {
        assert!(
            tokio::time::Instant::now() < late,
            "the place is not given back"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_shutdown_tells_when_to_come_back_and_ends_it() {
    let (mut server, _) = start_with("listen = \"127.0.0.1:0\"").await;
    let mut tail = open(&server, ADMIN, "roomId=a").await;
    tail.expect("room:position").await;

    server.drain();

    assert_eq!(tail.expect("reconnect").await["type"], "reconnect");
    assert_eq!(tail.expect("close").await["code"], 1012);
    assert_eq!(tail.next().await, None::<Value>);
}

#[tokio::test]
async fn comments_come_while_nothing_is_said() {
    let (server, _) = start_with("[heartbeat]\ninterval = \"100ms\"").await;
    let mut tail = open(&server, ADMIN, "roomId=a").await;
    tail.expect("room:position").await;
    let comments = tail.comments;

    tail.beats(comments + 2).await;
}
