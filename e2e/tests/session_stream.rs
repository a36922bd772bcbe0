//! `docs/protocol.md`, "SSE and long polling": sessions that a stream carries.

use nuncio_e2e::{Client, Events, Poll, TestServer, http};
use serde_json::json;

#[tokio::test]
async fn a_stream_carries_the_session_that_a_poll_opened() {
    let server = TestServer::start("").await;
    let mut poll = Poll::enter(server.address, &server.token("ann")).await;
    poll.expect("auth_ok").await;

    let mut stream = stream(&server, &poll, &poll.cursor.to_string()).await;
    poll.send(&[json!({ "type": "room:join", "roomId": "lobby", "id": 1 })])
        .await;
    assert_eq!(stream.reply(1).await["data"]["members"], 1);
    poll.send(&[json!({ "type": "chat:message", "roomId": "lobby", "content": "hi" })])
        .await;

    assert_eq!(stream.expect("chat:message").await["content"], "hi");
    assert_eq!(
        stream.last_id,
        Some((poll.cursor + 2).to_string()),
        "counted on from the cursor"
    );
    let sessions = [("sse", 1.0), ("polling", 0.0)];
    for (transport, count) in sessions {
        let name = format!("nuncio_sessions{{transport=\"{transport}\"}}");
        assert_eq!(server.metric(&name).await, count, "{transport}");
    }
}

#[tokio::test]
async fn an_event_source_names_the_session_in_its_url_and_comes_back_with_its_last_id() {
    let server = TestServer::start("").await;
    let mut poll = Poll::enter(server.address, &server.token("ann")).await;
    let path = format!("/sse?session={}&cursor={}", poll.session, poll.cursor);
    let mut stream = Events::open(server.address, &path, &[]).await;
    poll.send(&[json!({ "type": "room:join", "roomId": "lobby", "id": 1 })])
        .await;
    stream.reply(1).await;
    let id = stream.last_id.clone().unwrap();
    let (mut bob, _) = Client::enter(&server.url("bob")).await;

    for content in ["one", "two", "three"] {
        bob.publish("lobby", content).await;
    }
    // It has read none of them when it is cut off.
    drop(stream);
    bob.publish("lobby", "four").await;
    let mut again = Events::open(server.address, &path, &[("Last-Event-ID", &id)]).await;

    for content in ["one", "two", "three", "four"] {
        assert_eq!(again.expect("chat:message").await["content"], content);
    }
}

#[tokio::test]
async fn a_stream_and_a_poll_take_turns_and_nothing_is_lost_between() {
    let server = TestServer::start("").await;
    let mut poll = Poll::enter(server.address, &server.token("ann")).await;
    poll.call(json!({ "type": "room:join", "roomId": "lobby", "id": 1 }))
        .await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;

    bob.publish("lobby", "by the stream").await;
    let mut stream = stream(&server, &poll, &poll.cursor.to_string()).await;
    assert_eq!(
        stream.expect("chat:message").await["content"],
        "by the stream"
    );
    poll.cursor = stream.last_id.as_ref().unwrap().parse().unwrap();
    bob.publish("lobby", "by the poll").await;

    assert_eq!(poll.expect("chat:message").await["content"], "by the poll");
    while let Some(message) = stream.next().await {
        assert_eq!(
            message["content"], "by the poll",
            "it was on its way to both"
        );
    }
}

#[tokio::test]
async fn a_session_that_is_gone_stops_an_event_source_and_is_told_to_others() {
    let server = TestServer::set(&["streams.silence=100ms"]).await;
    let poll = Poll::enter(server.address, &server.token("ann")).await;
    server.until_metric("nuncio_sessions_parked", 1.0).await;
    let path = format!("/sse?session={}", poll.session);

    let fresh = http::get(server.address, &path).await;
    let returning = http::ask(server.address, "GET", &path, &[("Last-Event-ID", "2")], "").await;

    assert_eq!(
        (fresh.status, &fresh.json()["error"]["code"]),
        (404, &json!("NOT_FOUND"))
    );
    assert_eq!(returning.status, 204);
}

#[tokio::test]
async fn the_older_connection_is_closed_with_4001_when_the_session_moves() {
    let server = TestServer::start("").await;
    let poll = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = stream(&server, &poll, "0").await;
    assert_eq!(
        stream.expect("auth_ok").await["user"]["sub"],
        "ann",
        "not acknowledged, so given again"
    );

    let resume = json!({ "type": "resume", "resume": poll.session, "rooms": [] });
    let mut socket = Client::begin(&server.anonymous(), resume).await;
    socket.expect("resumed").await;

    assert_eq!(stream.expect("close").await["code"], 4001);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_silent_stream_has_comments_and_its_session_lives_on() {
    let server = TestServer::set(&["heartbeat.interval=50ms", "heartbeat.timeout=20ms"]).await;
    let mut poll = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = stream(&server, &poll, &poll.cursor.to_string()).await;

    stream.beats(5).await;
    poll.send(&[json!({ "type": "ping", "id": 1 })]).await;

    assert_eq!(stream.next().await.unwrap()["type"], "pong");
}

#[tokio::test]
async fn at_a_shutdown_a_stream_is_told_to_come_back_and_ends() {
    let mut server = TestServer::start("").await;
    let poll = Poll::enter(server.address, &server.token("ann")).await;
    let mut stream = stream(&server, &poll, &poll.cursor.to_string()).await;

    server.drain();

    assert_eq!(stream.next().await.unwrap()["type"], "reconnect");
    assert_eq!(stream.next().await.unwrap()["code"], 1012);
    assert_eq!(stream.next().await, None);
    server.stop().await;
}

async fn stream(server: &TestServer, poll: &Poll, cursor: &str) -> Events {
    let authorization = poll.authorization();
    let path = format!("/sse?cursor={cursor}");
    Events::open(server.address, &path, &[("Authorization", &authorization)]).await
}
