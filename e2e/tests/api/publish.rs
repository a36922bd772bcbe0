//! What a backend says: publications, broadcasts, emits, private messages.

use std::time::Duration;

use nuncio_e2e::Client;
use serde_json::{Value, json};

use crate::socketio::SocketIo;
use crate::{start, start_with};

#[tokio::test]
async fn a_published_message_reaches_members_of_both_protocols_in_order() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let joined = ann.join("lobby").await;
    let mut bob = SocketIo::enter(&server, "bob", "/").await;
    bob.join("lobby").await;

    let first = backend
        .done(
            "/publish",
            json!({"roomId": "lobby", "content": {"b": 1, "a": [null]}}),
        )
        .await;
    let event = json!({"roomId": "lobby", "event": "draw", "data": {"x": 1}, "userId": "carol"});
    let second = backend.done("/publish", event).await;

    assert_eq!(first["seq"], 1);
    assert_eq!(first["epoch"], joined["epoch"]);
    assert_eq!(second["seq"], 2);
    let message = ann.expect("chat:message").await;
    assert_eq!(message["id"], first["id"]);
    assert_eq!(message["ts"], first["ts"]);
    assert_eq!(message["content"], json!({"b": 1, "a": [null]}));
    assert!(message["userId"].is_null(), "it is the backend's");
    let event = ann.expect("event").await;
    assert_eq!(
        (&event["event"], &event["userId"]),
        (&json!("draw"), &json!("carol"))
    );
    let message = bob.event("message:new").await;
    assert_eq!((&message["id"], &message["seq"]), (&first["id"], &json!(1)));
    assert_eq!(bob.event("draw").await, json!({"x": 1}));
}

#[tokio::test]
async fn content_is_passed_on_byte_for_byte_and_null_is_a_content() {
    let (_server, backend) = start().await;
    let body = r#"{"roomId":"lobby","content":{"b" : 1.50, "a":1e2}}"#;

    backend.ask("POST", "/publish", &[], body).await;
    backend
        .done("/publish", json!({"roomId": "lobby", "content": null}))
        .await;

    let page = backend
        .ask("GET", "/history?roomId=lobby", &[], "")
        .await
        .text();
    assert!(
        page.contains(r#""content":{"b" : 1.50, "a":1e2}"#),
        "{page}"
    );
    assert!(page.contains(r#""content":null"#), "{page}");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_published_once() {
    let (_server, backend) = start().await;
    let body = json!({"roomId": "lobby", "content": 1});

    let mut with_key = body.clone();
    with_key["idempotencyKey"] = json!("k1");
    let first = backend.done("/publish", with_key.clone()).await;
    let second = backend.done("/publish", with_key).await;
    let header = [("Idempotency-Key", "k1")];
    let third = backend
        .ask("POST", "/publish", &header, &body.to_string())
        .await;
    let other = backend
        .ask(
            "POST",
            "/publish",
            &[("Idempotency-Key", "k2")],
            &body.to_string(),
        )
        .await;

    assert_eq!(first, second);
    assert_eq!(first, third.json());
    assert_eq!(other.json()["seq"], 2);
}

#[tokio::test]
async fn a_broadcast_is_a_publication_of_its_own_in_each_room() {
    let (server, backend) = start_with("[limits]\nmessage_bytes = 100").await;
    let (mut ann, session) = Client::enter(&server.url("ann")).await;
    ann.join("a").await;
    ann.join("b").await;
    backend
        .done("/publish", json!({"roomId": "b", "content": 0}))
        .await;

    let rooms = json!(["a", "b", session["id"]]);
    let answer = backend
        .done("/broadcast", json!({"roomIds": rooms, "content": "hello"}))
        .await;

    let [a, b, private] = &answer["rooms"].as_array().unwrap()[..] else {
        panic!("{answer}");
    };
    assert_eq!((&a["roomId"], &a["seq"]), (&json!("a"), &json!(1)));
    assert_eq!((&b["roomId"], &b["seq"]), (&json!("b"), &json!(2)));
    assert_eq!(
        private["error"]["code"], "FORBIDDEN",
        "a session's room is private"
    );
    for room in ["a", "b"] {
        ann.find(|message| message["roomId"] == room && message["content"] == "hello")
            .await;
    }
    let large = json!({"roomIds": ["a"], "content": "x".repeat(200)});
    assert_eq!(backend.refused("/broadcast", large).await.1, "TOO_LARGE");
}

#[tokio::test]
async fn an_emit_reaches_each_session_once_and_not_who_is_excepted() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let (mut carol, session) = Client::enter(&server.url("carol")).await;
    for client in [&mut ann, &mut bob] {
        client.join("a").await;
        client.join("b").await;
    }

    let several = json!({"event": "e", "data": 1, "roomIds": ["a", "b"], "userIds": ["ann"], "sessionIds": [session["id"]]});
    let reached = backend.done("/emit", several).await;
    let excepted =
        json!({"event": "e", "data": 2, "roomIds": ["a", "b"], "except": {"userIds": ["bob"]}});
    let without_bob = backend.done("/emit", excepted).await;
    let room = json!({"event": "e", "data": 3, "roomIds": ["a"]});
    let in_room = backend.done("/emit", room).await;
    let everyone = json!({"event": "e", "data": [4], "everyone": true, "userId": "boss"});
    let all = backend.done("/emit", everyone).await;

    assert_eq!(reached, json!({"sessions": 3}));
    assert_eq!(without_bob, json!({"sessions": 1}));
    assert_eq!(in_room, json!({}));
    assert_eq!(all, json!({"sessions": 3}));
    let is_last = |message: &Value| message["data"] == json!([4]);
    let mut data = Vec::new();
    for client in [&mut ann, &mut bob, &mut carol] {
        let seen = client.until(is_last).await;
        let events = seen.iter().filter(|message| message["type"] == "event");
        data.push(
            events
                .map(|event| event["data"].clone())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(
        data,
        [
            vec![json!(1), json!(2), json!(3)],
            vec![json!(1), json!(3)],
            vec![json!(1)]
        ]
    );
}

#[tokio::test]
async fn an_emit_to_one_room_names_it_and_is_in_no_history() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;

    let volatile = json!({"event": "cursor", "data": 1, "roomIds": ["lobby"], "volatile": true});
    backend.done("/emit", volatile).await;
    backend
        .done("/emit", json!({"event": "e", "roomIds": ["lobby"]}))
        .await;

    assert_eq!(
        ann.find(|event| event["event"] == "cursor").await["data"],
        1
    );
    let event = ann.find(|event| event["event"] == "e").await;
    assert_eq!(
        (&event["roomId"], &event["data"]),
        (&json!("lobby"), &Value::Null)
    );
    assert!(event["seq"].is_null());
    let page = backend.read("/history?roomId=lobby").await;
    assert_eq!(page["messages"], json!([]));
}

#[tokio::test]
async fn a_private_message_reaches_a_user_or_one_session() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut other, session) = Client::enter(&server.url("ann")).await;

    let to_user = backend
        .done("/private", json!({"to": "ann", "content": 1}))
        .await;
    let to_session = json!({"to": session["id"], "content": 2});
    assert_eq!(
        backend.done("/private", to_session).await,
        json!({"sessions": 1})
    );

    assert_eq!(to_user, json!({"sessions": 2}));
    let message = ann.expect("message:private").await;
    assert_eq!(message["content"], 1);
    assert!(message["from"].is_null() && message["fromUser"].is_null());
    assert_eq!(other.expect("message:private").await["content"], 1);
    assert_eq!(other.expect("message:private").await["content"], 2);
    assert_eq!(ann.quiet(Duration::from_millis(50)).await, [Value::Null; 0]);
    let nobody = backend
        .refused("/private", json!({"to": "bob", "content": 1}))
        .await;
    assert_eq!((nobody.0, &*nobody.1), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn namespaces_are_kept_apart() {
    let (server, backend) = start_with("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    let body = json!({"roomId": "lobby", "content": "elsewhere", "ns": "/other"});

    let there = backend.done("/publish", body).await;
    let here = backend
        .done("/publish", json!({"roomId": "lobby", "content": "here"}))
        .await;

    assert_eq!((&there["seq"], &here["seq"]), (&json!(1), &json!(1)));
    assert_eq!(ann.expect("chat:message").await["content"], "here");
    let page = backend.read("/history?roomId=lobby&ns=/other").await;
    assert_eq!(page["messages"][0]["content"], "elsewhere");
}
