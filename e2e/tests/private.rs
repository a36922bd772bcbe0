//! Private messages: to a user or to a session, answerable, stored for nobody.

use nuncio::auth::{Claims, NuncioClaim};
use nuncio_e2e::{Client, TestServer, unix_s};
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_to_a_user_reaches_all_its_sessions() {
    let server = TestServer::start("").await;
    let (mut ann, entered) = Client::enter(&server.url("ann")).await;
    let (mut phone, _) = Client::enter(&server.url("bob")).await;
    let (mut laptop, _) = Client::enter(&server.url("bob")).await;

    let reply = ann.call(private("bob", json!({"text": "psst"}))).await;

    assert_eq!(reply["data"], json!({"status": "ok", "sessions": 2}));
    for bob in [&mut phone, &mut laptop] {
        let mut message = bob.expect("message:private").await;
        assert!(message["ts"].as_u64() > Some(1_700_000_000_000));
        message["ts"] = Value::Null;
        assert_eq!(
            message,
            json!({"type": "message:private", "from": entered["id"], "fromUser": "ann", "content": {"text": "psst"}, "ts": null})
        );
    }
}

#[tokio::test]
async fn from_can_be_answered_to_and_reaches_that_session_alone() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut other, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    ann.call(private("bob", json!("hi"))).await;
    let from = bob.expect("message:private").await["from"].clone();

    let reply = bob
        .call(private(from.as_str().unwrap(), json!("answer")))
        .await;
    assert_eq!(reply["data"]["sessions"], 1);
    assert_eq!(ann.expect("message:private").await["content"], "answer");

    bob.call(private("ann", json!("both"))).await;
    let first = other.expect("message:private").await;
    assert_eq!(
        first["content"], "both",
        "the answer was for the other session"
    );
}

#[tokio::test]
async fn nobody_there_is_not_found() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let error = ann.refused(private("nobody", json!(1))).await;

    assert_eq!(error["code"], "NOT_FOUND");
    assert!(error["message"].as_str().unwrap().contains("\"nobody\""));
}

#[tokio::test]
async fn a_recipient_that_is_not_granted_is_forbidden_by_name() {
    let server = TestServer::start("").await;
    let (_bob, _) = Client::enter(&server.url("bob")).await;
    let mut claims = Claims::new("ann", unix_s() + 60);
    claims.nuncio = Some(NuncioClaim {
        private: Some(vec!["support:*".into()]),
        ..NuncioClaim::default()
    });
    let url = format!("ws://{}/ws?token={}", server.address, server.mint(claims));
    let (mut ann, _) = Client::enter(&url).await;
    let (mut support, _) = Client::enter(&server.url("support:1")).await;

    let error = ann.refused(private("bob", json!(1))).await;
    assert_eq!(error["code"], "FORBIDDEN");
    assert!(error["message"].as_str().unwrap().contains("\"bob\""));

    ann.call(private("support:1", json!("help"))).await;
    assert_eq!(support.expect("message:private").await["content"], "help");
}

#[tokio::test]
async fn it_does_not_cross_namespaces() {
    let server = TestServer::set(&["grants.namespaces=/,/chat"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (_bob, entered) = Client::enter(&format!("{}&ns=/chat", server.url("bob"))).await;

    for to in ["bob", entered["id"].as_str().unwrap()] {
        assert_eq!(
            ann.refused(private(to, json!(1))).await["code"],
            "NOT_FOUND"
        );
    }
}

#[tokio::test]
async fn without_an_id_success_is_silent_and_a_refusal_is_a_message() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;

    ann.send(private("bob", json!("hi"))).await;
    bob.expect("message:private").await;
    ann.send(private("nobody", json!("hi"))).await;

    let first = ann.take().await.unwrap();
    assert_eq!(
        (&first["type"], &first["code"]),
        (&json!("error"), &json!("NOT_FOUND"))
    );
    assert!(first.get("ack").is_none());
}

fn private(to: &str, content: Value) -> Value {
    json!({"type": "message:private", "to": to, "content": content})
}

#[tokio::test]
async fn nobody_may_join_or_publish_to_the_private_room_of_a_session() {
    let server = TestServer::start("").await;
    let (_ann, entered) = Client::enter(&server.url("ann")).await;
    let (mut eve, _) = Client::enter(&server.url("eve")).await;
    let room = &entered["id"];

    let joined = eve.call(json!({"type": "room:join", "roomId": room})).await;
    let both = eve
        .call(json!({"type": "room:join", "rooms": [{"roomId": room}, {"roomId": "lobby"}]}))
        .await;
    let published = eve
        .call(json!({"type": "chat:message", "roomId": room, "content": "x"}))
        .await;

    assert_eq!(joined["error"]["code"], "FORBIDDEN");
    assert_eq!(both["data"]["rooms"][0]["error"]["code"], "FORBIDDEN");
    assert_eq!(both["data"]["rooms"][1]["roomId"], "lobby");
    assert_eq!(published["error"]["code"], "FORBIDDEN");
    server.stop().await;
}
