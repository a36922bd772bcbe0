//! Sessions: listed and ended.

use nuncio_e2e::Client;
use serde_json::json;

use crate::socketio::SocketIo;
use crate::{start, start_with_chat};

#[tokio::test]
async fn sessions_are_listed_by_user_by_room_and_in_pages() {
    let (server, backend) = start().await;
    let (mut ann, session) = Client::enter(&server.url("ann")).await;
    ann.join("b").await;
    ann.join("a").await;
    let mut other = SocketIo::enter(&server, "ann", "/").await;
    other.join("a").await;
    let (_bob, _) = Client::enter(&server.url("bob")).await;

    let all = backend.read("/sessions").await;
    assert_eq!((&all["count"], &all["next"]), (&json!(3), &json!(null)));
    let of_ann = backend.read("/sessions?userId=ann").await;
    assert_eq!(of_ann["count"], 2);
    assert_eq!(
        backend.read("/sessions?roomId=b&userId=ann").await["count"],
        1
    );
    assert_eq!(
        backend.read("/sessions?roomId=b&userId=bob").await["count"],
        0
    );
    assert_eq!(backend.read("/sessions?roomId=a").await["count"], 2);
    let mut transports: Vec<_> = of_ann["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["transport"].as_str().unwrap())
        .collect();
    transports.sort_unstable();
    assert_eq!(transports, ["socketio", "websocket"]);

    let mut ids = Vec::new();
    let mut after = String::new();
    for _ in 0..3 {
        let page = backend.read(&format!("/sessions?limit=1{after}")).await;
        let id = page["sessions"][0]["sessionId"]
            .as_str()
            .unwrap()
            .to_owned();
        after = format!("&after={id}");
        assert_eq!(page["next"].as_str(), (ids.len() < 2).then_some(&*id));
        ids.push(id);
    }
    assert!(
        ids.is_sorted() && ids.contains(&session["id"].as_str().unwrap().to_owned())
            || ids.len() == 3
    );

    let path = format!("/sessions/{}", session["id"].as_str().unwrap());
    let one = backend.read(&path).await;
    let expected = json!({"sessionId": session["id"], "userId": "ann", "connected": true, "transport": "websocket", "roomIds": ["a", "b"]});
    assert_eq!(one, expected);
    ann.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;
    let away = backend.read(&path).await;
    assert_eq!(
        (&away["connected"], &away["roomIds"]),
        (&json!(false), &json!(["a", "b"]))
    );
    let unknown = backend
        .ask("GET", "/sessions/AAAAAAAAAAAAAAAAAAAA", &[], "")
        .await;
    assert_eq!(unknown.status, 404);
    let wrong = backend.ask("GET", "/sessions/x", &[], "").await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn a_session_ends_with_the_code_and_the_reason_of_the_backend() {
    let (server, backend) = start().await;
    let (mut ann, session) = Client::enter(&server.url("ann")).await;
    let (mut other, _) = Client::enter(&server.url("ann")).await;
    let body = json!({"sessionId": session["id"], "code": 4242, "reason": "Goodbye"});

    assert_eq!(
        backend.done("/disconnect", body.clone()).await,
        json!({"sessions": 1})
    );

    assert_eq!(ann.closed().await, (4242, "Goodbye".to_owned()));
    server
        .until_metric("nuncio_closes_total{code=\"4242\"}", 1.0)
        .await;
    assert_eq!(backend.refused("/disconnect", body).await.0, 404);
    backend
        .done("/private", json!({"to": "ann", "content": "last words"}))
        .await;
    assert_eq!(
        backend.done("/disconnect", json!({"userId": "ann"})).await,
        json!({"sessions": 1})
    );
    assert_eq!(
        other.expect("message:private").await["content"],
        "last words"
    );
    assert_eq!(other.closed().await, (1000, String::new()));
    assert_eq!(
        backend.done("/disconnect", json!({"userId": "ann"})).await,
        json!({"sessions": 0})
    );
}

#[tokio::test]
async fn a_session_that_is_away_does_not_come_back_once_it_was_ended() {
    let (server, backend) = start().await;
    let (ann, entered) = Client::enter(&server.url("ann")).await;
    ann.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;

    assert_eq!(
        backend.done("/disconnect", json!({"userId": "ann"})).await,
        json!({"sessions": 1})
    );

    let resume = json!({"type": "resume", "resume": entered["resume"]});
    let mut ann = Client::begin(&server.anonymous(), resume).await;
    assert_eq!(ann.expect("error").await["code"], "NOT_FOUND");
}

#[tokio::test]
async fn everyone_of_a_namespace_is_sent_away_with_a_code_to_come_back() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;

    let elsewhere = json!({"everyone": true, "ns": "/other"});
    assert_eq!(
        backend.done("/disconnect", elsewhere).await,
        json!({"sessions": 0})
    );
    let here = json!({"everyone": true, "code": 1012, "reason": "Moving"});
    assert_eq!(
        backend.done("/disconnect", here).await,
        json!({"sessions": 2})
    );

    for client in [&mut ann, &mut bob] {
        assert_eq!(client.closed().await, (1012, "Moving".to_owned()));
    }
}

#[tokio::test]
async fn a_socketio_client_leaves_the_namespace_that_is_meant_and_keeps_the_others() {
    let (server, backend) = start_with_chat().await;
    let mut ann = SocketIo::enter(&server, "ann", "/").await;
    ann.open("/chat", &server.token("ann")).await;

    let body = json!({"userId": "ann", "ns": "/chat", "code": 4100});
    assert_eq!(
        backend.done("/disconnect", body).await,
        json!({"sessions": 1})
    );

    assert_eq!(ann.packet().await, "41/chat,");
    server
        .until_metric("nuncio_closes_total{code=\"4100\"}", 1.0)
        .await;
    ann.join("lobby").await;
    assert_eq!(backend.read("/sessions?ns=/chat").await["count"], 0);
    assert_eq!(backend.read("/sessions").await["count"], 1);
}
