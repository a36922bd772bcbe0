//! The backend's word where there is no WebSocket: polls, streams, feeds.

use nuncio_e2e::hook_backend::{Asked, Reply};
use nuncio_e2e::{Events, HookBackend as Backend, Poll, TestServer, http};
use serde_json::json;

/// Knows one token, and one room that is for members.
async fn decide(asked: Asked) -> Reply {
    match (&*asked.hook, asked.body["token"].as_str()) {
        ("connect", Some("opaque")) => Reply::json(json!({"allow": true, "user": {"sub": "ann"}})),
        ("connect", _) => Reply::json(json!({"allow": false, "message": "who is that?"})),
        _ if asked.body["roomId"] == "members" && asked.body["user"] != "ann" => {
            Reply::json(json!({"allow": false, "message": "members only"}))
        }
        _ => Reply::allow(),
    }
}

async fn start(on: &[&str]) -> (Backend, TestServer) {
    let backend = Backend::start(decide).await;
    let anonymous = "[grants]\nanonymous = [{ rooms = \"*\", allow = [\"join\"] }]\n";
    let config = nuncio_e2e::server::CONFIG.replace("[grants]\n", anonymous);
    let config = format!("{config}\n{}", backend.config(on, ""));
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_with(folder.path(), &config).await;
    (backend, server)
}

#[tokio::test]
async fn a_session_that_polls_is_let_in_or_told_why_not() {
    let (backend, server) = start(&["connect"]).await;

    let mut ann = Poll::enter(server.address, "opaque").await;
    let first = json!({"type": "auth", "token": "unknown"});
    let refused = Poll::try_open(server.address, &first).await;
    let in_url = http::ask(server.address, "POST", "/poll?token=unknown", &[], "").await;

    assert_eq!(ann.expect("auth_ok").await["user"]["sub"], "ann");
    for refused in [refused, in_url] {
        assert_eq!(refused.status, 401, "{refused:?}");
        let error = &refused.json()["error"];
        assert_eq!(error["code"], "NOT_AUTHENTICATED");
        assert_eq!(error["message"], "who is that?");
    }
    assert_eq!(backend.asked("connect").len(), 3);
}

#[tokio::test]
async fn a_feed_with_a_token_is_let_in_or_told_why_not() {
    let (_backend, server) = start(&["connect"]).await;

    let mut feed = Events::open(server.address, "/sse?room=news&token=opaque", &[]).await;
    let begin = feed.next().await.unwrap();
    let refused = http::get(server.address, "/sse?room=news&token=unknown").await;

    assert_eq!(begin["type"], "room:position");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["message"], "who is that?");
}

#[tokio::test]
async fn the_rooms_of_a_feed_are_asked_about_a_visitors_too() {
    let (backend, server) = start(&["join"]).await;
    let token = server.token("ann");

    let path = format!("/sse?room=members&token={token}");
    let mut member = Events::open(server.address, &path, &[]).await;
    let begin = member.next().await.unwrap();
    let refused = http::get(server.address, "/sse?room=news&room=members").await;
    let mut visitor = Events::open(server.address, "/sse?room=news", &[]).await;
    visitor.next().await.unwrap();

    assert_eq!(begin["type"], "room:position");
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"]["message"], "members only");
    let asked = backend.asked("join");
    let asked: Vec<_> = asked
        .iter()
        .map(|asked| (&asked.body["roomId"], &asked.body["user"]))
        .collect();
    let (ann, nobody) = (json!("ann"), json!(null));
    let (members, news) = (json!("members"), json!("news"));
    let wanted = [
        (&members, &ann),
        (&news, &nobody),
        (&members, &nobody),
        (&news, &nobody),
    ];
    assert_eq!(asked, wanted);
}

#[tokio::test]
async fn a_session_that_polls_asks_for_each_room() {
    let (backend, server) = start(&["join"]).await;
    let mut bob = Poll::enter(server.address, &server.token("bob")).await;

    let refused = bob
        .call(json!({"type": "room:join", "roomId": "members", "id": 1}))
        .await;
    let joined = bob
        .call(json!({"type": "room:join", "roomId": "news", "id": 2}))
        .await;

    assert_eq!(refused["error"]["message"], "members only");
    assert!(joined["error"].is_null(), "{joined}");
    assert_eq!(backend.asked("join").len(), 2);
}
