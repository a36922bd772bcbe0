//! A lost connection is taken up where it was: the same session, its rooms, what was missed.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::time::Duration;

use nuncio_e2e::{Client, TestServer};
use serde_json::{Value, json};

#[tokio::test]
async fn a_resumed_session_gets_what_it_missed_in_order() {
    let server = TestServer::start("").await;
    let (ann, resume, joined) = ann_in_lobby(&server).await;
    let mut bob = publisher(&server).await;
    cut(&server, ann).await;
    for n in 1..=3 {
        bob.publish("lobby", &n.to_string()).await;
    }

    let seen = json!({"roomId": "lobby", "epoch": joined["epoch"], "seq": 1});
    let mut ann = Client::begin(&server.anonymous(), asking(&resume, &[seen])).await;

    let resumed = ann.take().await.unwrap();
    assert_eq!(
        resumed["rooms"],
        json!([{"roomId": "lobby", "epoch": joined["epoch"], "seq": 3, "recovered": true}])
    );
    for n in 2..=3 {
        let message = ann.take().await.unwrap();
        assert_eq!(
            (&message["seq"], &message["content"]),
            (&json!(n), &json!(n.to_string()))
        );
    }
    bob.publish("lobby", "live").await;
    assert_eq!(ann.take().await.unwrap()["content"], "live");
    ann.publish("lobby", "as ann").await;
    assert_eq!(
        bob.find(|message| message["content"] == "as ann").await["userId"],
        "ann"
    );
}

#[tokio::test]
async fn the_resume_token_may_come_in_the_url() {
    let server = TestServer::set(&["auth.first_message=false"]).await;
    let (ann, resume, _) = ann_in_lobby(&server).await;
    cut(&server, ann).await;

    let mut ann = Client::connect(&format!("{}?resume={resume}", server.anonymous()))
        .await
        .unwrap();

    let resumed = ann.expect("resumed").await;
    assert_eq!(
        resumed["rooms"][0]["recovered"], false,
        "the server cannot know what was read"
    );
    ann.publish("lobby", "back").await;
    ann.expect("chat:message").await;
}

#[tokio::test]
async fn a_room_left_out_is_not_recovered_and_one_never_joined_is_not_joined() {
    let server = TestServer::start("").await;
    let (ann, resume, joined) = ann_in_lobby(&server).await;
    cut(&server, ann).await;

    let other = json!({"roomId": "other", "epoch": joined["epoch"], "seq": 0});
    let mut ann = Client::begin(&server.anonymous(), asking(&resume, &[other])).await;

    let resumed = ann.expect("resumed").await;
    assert_eq!(
        resumed["rooms"],
        json!([{"roomId": "lobby", "epoch": joined["epoch"], "seq": 0, "recovered": false}])
    );
}

#[tokio::test]
async fn the_token_changes_with_each_resume_and_the_old_one_is_worth_nothing() {
    let server = TestServer::start("").await;
    let (ann, first, _) = ann_in_lobby(&server).await;
    cut(&server, ann).await;
    let mut ann = Client::begin(&server.anonymous(), asking(&first, &[])).await;
    let second = ann.expect("resumed").await["resume"].clone();
    let second = second.as_str().unwrap();
    assert_ne!(second, first);

    let mut thief = Client::begin(&server.anonymous(), asking(&first, &[])).await;
    assert_eq!(thief.expect("error").await["code"], "NOT_FOUND");
    cut(&server, ann).await;
    thief.send(asking(&first, &[])).await;
    assert_eq!(thief.expect("error").await["code"], "NOT_FOUND");

    let mut ann = Client::begin(&server.anonymous(), asking(second, &[])).await;
    ann.expect("resumed").await;
}

#[tokio::test]
async fn a_newer_connection_takes_a_live_session_and_the_older_is_closed_with_4001() {
    let server = TestServer::start("").await;
    let (mut older, resume, joined) = ann_in_lobby(&server).await;
    let mut bob = publisher(&server).await;

    let seen = json!({"roomId": "lobby", "epoch": joined["epoch"], "seq": 0});
    let mut newer = Client::begin(&server.anonymous(), asking(&resume, &[seen])).await;

    assert_eq!(older.closed().await, (4001, "Resumed elsewhere".to_owned()));
    let resumed = newer.expect("resumed").await;
    assert_eq!(resumed["rooms"][0]["recovered"], true);
    bob.publish("lobby", "to the newer").await;
    assert_eq!(
        newer.expect("chat:message").await["content"],
        "to the newer"
    );
}

#[tokio::test]
async fn of_racing_resumes_exactly_one_wins() {
    for is_live in [false, true] {
        let server = TestServer::start("").await;
        let (ann, resume, _) = ann_in_lobby(&server).await;
        let alive = if is_live {
            Some(ann)
        } else {
            cut(&server, ann).await;
            None
        };

        let race = (0..4).map(|_| {
            let (url, message) = (server.anonymous(), asking(&resume, &[]));
            tokio::spawn(async move {
                let mut client = Client::begin(&url, message).await;
                let answer = client
                    .find(|message| {
                        ["resumed", "error"].contains(&message["type"].as_str().unwrap_or_default())
                    })
                    .await;
                (client, answer["type"] == "resumed")
            })
        });
        let mut racers = Vec::new();
        for racer in race.collect::<Vec<_>>() {
            racers.push(racer.await.unwrap());
        }

        let winners = racers.iter().filter(|(_, won)| *won).count();
        assert_eq!(winners, 1, "the session was live: {is_live}");
        drop(alive);
    }
}

#[tokio::test]
async fn after_its_time_the_session_is_not_found_and_the_same_connection_may_authenticate() {
    let server = TestServer::set(&["server.parked_ttl=100ms"]).await;
    let (ann, resume, joined) = ann_in_lobby(&server).await;
    cut(&server, ann).await;
    server.until_metric("nuncio_sessions_parked", 0.0).await;

    let mut ann = Client::begin(&server.anonymous(), asking(&resume, &[])).await;
    assert_eq!(ann.expect("error").await["code"], "NOT_FOUND");

    ann.call(json!({"type": "auth", "token": server.token("ann")}))
        .await;
    ann.expect("auth_ok").await;
    let since = json!({"epoch": joined["epoch"], "seq": 0});
    let reply = ann
        .call(json!({"type": "room:join", "roomId": "lobby", "since": since}))
        .await;
    assert_eq!(reply["data"]["recovered"], true);
}

#[tokio::test]
async fn a_token_that_is_no_resume_token_is_not_found() {
    let server = TestServer::start("").await;

    for token in ["nonsense", "", &"A".repeat(60)] {
        let mut client = Client::connect(&server.anonymous()).await.unwrap();
        let error = client.refused(asking(token, &[])).await;
        assert!(
            ["NOT_FOUND", "INVALID_MESSAGE"].contains(&error["code"].as_str().unwrap()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn only_so_many_sessions_are_parked_and_the_oldest_go_first() {
    let server = TestServer::set(&["server.parked_max=2"]).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let (client, entered) = Client::enter(&server.url("ann")).await;
        tokens.push(entered["resume"].as_str().unwrap().to_owned());
        client.cut();
        server.until_metric("nuncio_connections", 0.0).await;
    }
    server.until_metric("nuncio_sessions_parked", 2.0).await;

    let mut oldest = Client::begin(&server.anonymous(), asking(&tokens[0], &[])).await;
    assert_eq!(oldest.expect("error").await["code"], "NOT_FOUND");
    for token in &tokens[1..] {
        let mut client = Client::begin(&server.anonymous(), asking(token, &[])).await;
        client.expect("resumed").await;
    }
}

#[tokio::test]
async fn a_resume_within_the_grace_is_not_announced() {
    let server = TestServer::set(&["presence.grace=700ms"]).await;
    let mut bob = publisher(&server).await;
    let (ann, resume, _) = ann_in_lobby(&server).await;
    bob.expect("user:joined").await;
    bob.expect("presence:update").await;

    cut(&server, ann).await;
    let mut ann = Client::begin(&server.anonymous(), asking(&resume, &[])).await;
    ann.expect("resumed").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ann.publish("lobby", "fence").await;

    let before = bob.until(|message| message["content"] == "fence").await;
    assert_eq!(before, [] as [Value; 0]);
}

#[tokio::test]
async fn a_clean_close_ends_the_session_at_once() {
    let server = TestServer::start("").await;
    let (ann, resume, _) = ann_in_lobby(&server).await;
    ann.close().await;
    let mut ann = Client::begin(&server.anonymous(), asking(&resume, &[])).await;
    assert_eq!(ann.expect("error").await["code"], "NOT_FOUND");

    let (bob, entered) = Client::enter(&server.url("bob")).await;
    bob.leave_page().await;
    ann.send(asking(entered["resume"].as_str().unwrap(), &[]))
        .await;
    assert_eq!(ann.expect("error").await["code"], "NOT_FOUND");
}

#[tokio::test]
async fn resume_comes_first_or_not_at_all() {
    let server = TestServer::start("").await;
    let (ann, resume, _) = ann_in_lobby(&server).await;
    cut(&server, ann).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.join("lobby").await;

    assert_eq!(
        bob.refused(asking(&resume, &[])).await["code"],
        "INVALID_MESSAGE"
    );

    let mut ann = Client::connect(&server.anonymous()).await.unwrap();
    let reply = ann.call(asking(&resume, &[])).await;
    assert_eq!(
        reply["data"],
        json!({"status": "ok"}),
        "a resume with an id gets its reply"
    );
}

#[tokio::test]
async fn the_session_keeps_its_public_id() {
    let server = TestServer::start("").await;
    let (ann, entered) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    cut(&server, ann).await;
    let mut ann = Client::begin(
        &server.anonymous(),
        asking(entered["resume"].as_str().unwrap(), &[]),
    )
    .await;
    ann.expect("resumed").await;

    let to = entered["id"].clone();
    bob.call(json!({"type": "message:private", "to": to, "content": "still you"}))
        .await;

    assert_eq!(ann.expect("message:private").await["content"], "still you");
}

/// Ann in the lobby, with her resume token and the reply to her join.
async fn ann_in_lobby(server: &TestServer) -> (Client, String, Value) {
    let (mut ann, entered) = Client::enter(&server.url("ann")).await;
    let joined = ann.join("lobby").await;
    (ann, entered["resume"].as_str().unwrap().to_owned(), joined)
}

async fn publisher(server: &TestServer) -> Client {
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.join("lobby").await;
    bob
}

/// Cuts a connection and waits until the server has seen it.
async fn cut(server: &TestServer, client: Client) {
    client.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;
}

fn asking(token: &str, rooms: &[Value]) -> Value {
    json!({"type": "resume", "resume": token, "rooms": rooms})
}
