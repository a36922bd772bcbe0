//! Joins, messages and calls that the backend decides about.

use nuncio_e2e::hook_backend::{Asked, Reply};
use nuncio_e2e::{Client, HookBackend as Backend, TestServer};
use serde_json::json;

async fn decide(asked: Asked) -> Reply {
    let body = &asked.body;
    let room = body["roomId"].as_str().unwrap_or_default();
    Reply::json(match (asked.hook.as_str(), room) {
        ("join", "secret") => json!({"allow": false, "message": "members only"}),
        ("join", _) => json!({"allow": true}),
        ("publish", _) if body["content"] == "bad" => {
            json!({"allow": false, "code": "INVALID_MESSAGE", "message": "mind your words", "data": {"word": 1}})
        }
        ("publish", _) if body["content"] == "shout" => json!({"allow": true, "content": "SHOUT"}),
        ("publish", _) if body["content"] == "/help" => json!({"answer": {"help": "none"}}),
        ("publish", _) if body["event"] == "move" => json!({"allow": true, "data": [1, 2]}),
        ("call", _) if body["event"] == "add" => {
            let sum: i64 = body["data"].as_array().map_or(0, |numbers| {
                numbers.iter().filter_map(serde_json::Value::as_i64).sum()
            });
            json!({"answer": sum})
        }
        ("call", _) => json!({"allow": false, "code": "NOT_FOUND", "message": "no such call"}),
        _ => json!({"allow": true}),
    })
}

#[tokio::test]
async fn a_room_is_joined_if_the_backend_agrees() {
    let (backend, server) = start(&["join"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    ann.join("lobby").await;
    let refused = ann
        .refused(json!({"type": "room:join", "roomId": "secret"}))
        .await;

    assert_eq!(refused["code"], "FORBIDDEN");
    assert_eq!(refused["message"], "members only");
    let asked = &backend.asked("join")[0].body;
    assert_eq!(
        (&asked["user"], &asked["roomId"]),
        (&json!("ann"), &json!("lobby"))
    );
    assert!(asked["session"].is_string() && asked["time"].is_u64());
}

#[tokio::test]
async fn of_several_rooms_each_is_decided_by_itself_and_keeps_its_place() {
    let (backend, server) = start(&["join"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let rooms = json!([{"roomId": "a"}, {"roomId": "secret"}, {"roomId": "b"}]);
    let reply = ann.call(json!({"type": "room:join", "rooms": rooms})).await;

    let rooms = reply["data"]["rooms"].as_array().unwrap();
    assert_eq!(rooms[0]["roomId"], "a");
    assert_eq!(rooms[1]["error"]["message"], "members only", "{reply}");
    assert_eq!(rooms[2]["roomId"], "b");
    assert_eq!(backend.asked("join").len(), 3);
}

#[tokio::test]
async fn a_grant_that_is_missing_is_not_asked_for() {
    let backend = Backend::start(decide).await;
    let config = format!(
        "{}\n{}",
        nuncio_e2e::server::CONFIG.replace("rooms = \"*\"", "rooms = \"chat:*\""),
        backend.config(&["join", "publish"], "")
    );
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_with(folder.path(), &config).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let refused = ann
        .refused(json!({"type": "room:join", "roomId": "lobby"}))
        .await;

    assert_eq!(refused["code"], "FORBIDDEN");
    assert!(backend.asked("join").is_empty());
}

#[tokio::test]
async fn a_message_is_published_rewritten_answered_or_refused() {
    let (_backend, server) = start(&["publish"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;

    assert_eq!(ann.publish("lobby", "hello").await["seq"], 1);
    assert_eq!(ann.publish("lobby", "shout").await["seq"], 2);
    let refused = ann.refused(chat("bad")).await;
    let answered = ann.call(chat("/help")).await;

    assert_eq!(refused["code"], "INVALID_MESSAGE");
    assert_eq!(refused["message"], "mind your words");
    assert_eq!(refused["data"], json!({"word": 1}));
    assert_eq!(answered["data"], json!({"help": "none"}));
    assert_eq!(ann.expect("chat:message").await["content"], "hello");
    assert_eq!(ann.expect("chat:message").await["content"], "SHOUT");
    assert_eq!(ann.publish("lobby", "next").await["seq"], 3);
}

#[tokio::test]
async fn an_event_in_a_room_is_rewritten_by_its_data() {
    let (_backend, server) = start(&["publish"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;

    ann.call(json!({"type": "event", "event": "move", "data": "x", "roomId": "lobby"}))
        .await;

    let event = ann.expect("event").await;
    assert_eq!(
        (&event["event"], &event["data"]),
        (&json!("move"), &json!([1, 2]))
    );
}

#[tokio::test]
async fn an_event_without_a_room_is_a_call_that_the_backend_answers() {
    let (_backend, server) = start(&["call"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let sum = ann
        .call(json!({"type": "event", "event": "add", "data": [2, 3]}))
        .await;
    let refused = ann
        .refused(json!({"type": "event", "event": "other", "data": null}))
        .await;

    assert_eq!(sum["data"], 5);
    assert_eq!(refused["code"], "NOT_FOUND");
    assert_eq!(refused["message"], "no such call");
}

#[tokio::test]
async fn only_what_the_first_rule_that_fits_is_about_is_asked() {
    let backend = Backend::start(decide).await;
    let (first, second) = (backend.url("/first"), backend.url("/second"));
    let server = TestServer::start(&format!(
        r#"
        [hooks]
        secret = "{}"
        [[hooks.rules]]
        on = ["publish"]
        url = "{first}"
        rooms = "chat:*"
        [[hooks.rules]]
        on = ["publish", "join"]
        url = "{second}"
        rooms = "*:a"
        "#,
        nuncio_e2e::hook_backend::SECRET
    ))
    .await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    for room in ["chat:a", "news:a", "news:b"] {
        ann.join(room).await;
        ann.publish(room, "x").await;
    }

    let paths = |hook: &str| -> Vec<_> {
        let asked = backend.asked(hook).into_iter();
        asked
            .map(|asked| format!("{} {}", asked.path, asked.body["roomId"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(paths("publish"), ["/first chat:a", "/second news:a"]);
    assert_eq!(paths("join"), ["/second chat:a", "/second news:a"]);
}

async fn start(on: &[&str]) -> (Backend, TestServer) {
    let backend = Backend::start(decide).await;
    let server = TestServer::start(&backend.config(on, "")).await;
    (backend, server)
}

fn chat(content: &str) -> serde_json::Value {
    json!({"type": "chat:message", "roomId": "lobby", "content": content})
}
