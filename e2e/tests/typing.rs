//! Who is typing: told to the others in the room, and ended by itself.

use nuncio_e2e::{Client, TestServer};
use serde_json::{Value, json};

#[tokio::test]
async fn typing_is_told_to_the_others_and_not_to_the_typist() {
    let server = TestServer::start("").await;
    let (mut ann, mut bob) = two_in_lobby(&server).await;

    let reply = ann.call(start()).await;
    assert_eq!(reply["data"], json!({"status": "ok"}));
    assert_eq!(bob.expect("user:typing").await, typing(true));
    ann.send(json!({"type": "typing:stop", "roomId": "lobby"}))
        .await;
    assert_eq!(bob.expect("user:typing").await, typing(false));

    bob.publish("lobby", "fence").await;
    let before = ann.until(|message| message["content"] == "fence").await;
    assert!(
        before
            .iter()
            .all(|message| message["type"] != "user:typing"),
        "{before:?}"
    );
}

#[tokio::test]
async fn typing_ends_by_itself() {
    let server = TestServer::set(&["presence.typing_timeout=200ms"]).await;
    let (mut ann, mut bob) = two_in_lobby(&server).await;

    ann.send(start()).await;

    assert_eq!(bob.expect("user:typing").await, typing(true));
    assert_eq!(bob.expect("user:typing").await, typing(false));
}

#[tokio::test]
async fn starting_again_is_not_told_again() {
    let server = TestServer::start("").await;
    let (mut ann, mut bob) = two_in_lobby(&server).await;

    for _ in 0..3 {
        ann.call(start()).await;
    }
    ann.publish("lobby", "fence").await;

    let before = bob.until(|message| message["content"] == "fence").await;
    let told = before
        .iter()
        .filter(|message| message["type"] == "user:typing")
        .count();
    assert_eq!(told, 1, "{before:?}");
}

#[tokio::test]
async fn leaving_the_room_and_losing_the_connection_end_typing() {
    let server = TestServer::start("").await;
    let (mut ann, mut bob) = two_in_lobby(&server).await;

    ann.call(start()).await;
    ann.call(json!({"type": "room:leave", "roomId": "lobby"}))
        .await;
    assert_eq!(bob.expect("user:typing").await, typing(true));
    assert_eq!(bob.expect("user:typing").await, typing(false));

    ann.join("lobby").await;
    ann.call(start()).await;
    ann.cut();
    assert_eq!(bob.expect("user:typing").await, typing(true));
    assert_eq!(bob.expect("user:typing").await, typing(false));
}

async fn two_in_lobby(server: &TestServer) -> (Client, Client) {
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    ann.join("lobby").await;
    bob.join("lobby").await;
    (ann, bob)
}

fn start() -> Value {
    json!({"type": "typing:start", "roomId": "lobby"})
}

fn typing(typing: bool) -> Value {
    json!({"type": "user:typing", "roomId": "lobby", "userId": "ann", "typing": typing})
}
