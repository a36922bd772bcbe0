//! History, presence and rooms, and who is put into them.

use nuncio_e2e::{Client, TestServer};
use serde_json::{Value, json};

use crate::socketio::SocketIo;
use crate::{start, start_with, start_with_chat};

#[tokio::test]
async fn history_is_paged_both_ways_and_cleared() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    for content in 1..=6 {
        backend
            .done("/publish", json!({"roomId": "lobby", "content": content}))
            .await;
    }
    let seqs = |page: &Value| -> Vec<u64> {
        let messages = page["messages"].as_array().unwrap().iter();
        messages
            .map(|message| message["seq"].as_u64().unwrap())
            .collect()
    };

    for (query, expected) in [
        ("", &[1, 2, 3, 4, 5, 6][..]),
        ("&limit=2", &[5, 6]),
        ("&before=5&limit=2", &[3, 4]),
        ("&after=2&limit=2", &[3, 4]),
        ("&after=2&before=5", &[3, 4]),
        ("&after=6", &[]),
        ("&limit=0", &[]),
    ] {
        let page = backend.read(&format!("/history?roomId=lobby{query}")).await;
        assert_eq!(seqs(&page), expected, "{query}");
        assert_eq!(page["seq"], 6);
    }
    let cleared = backend
        .done("/history/clear", json!({"roomId": "lobby"}))
        .await;

    assert_eq!(cleared["seq"], 6);
    let position = ann.expect("room:position").await;
    assert_eq!(
        (&position["reason"], &position["seq"]),
        (&json!("cleared"), &json!(6))
    );
    assert_eq!(seqs(&backend.read("/history?roomId=lobby").await), [0; 0]);
}

#[tokio::test]
async fn presence_rooms_and_the_server_are_counted() {
    let (server, backend) = start().await;
    let mut clients = Vec::new();
    for user in ["ann", "bob", "bob", "carol"] {
        let (mut client, _) = Client::enter(&server.url(user)).await;
        client.join("chat:a").await;
        clients.push(client);
    }
    clients[0].join("chat:b").await;
    clients[0].join("staff").await;
    backend
        .done("/publish", json!({"roomId": "staff", "content": 1}))
        .await;

    let page = backend.read("/presence?roomId=chat:a&limit=2").await;
    assert_eq!(page["count"], 3);
    assert_eq!(page["users"][1], json!({"userId": "bob", "sessions": 2}));
    let next = format!(
        "/presence?roomId=chat:a&after={}",
        page["next"].as_str().unwrap()
    );
    assert_eq!(backend.read(&next).await["users"][0]["userId"], "carol");
    assert_eq!(
        backend.read("/presence?roomId=chat:a&limit=0").await,
        json!({"count": 3})
    );
    assert_eq!(
        backend.read("/presence?roomId=empty&limit=0").await,
        json!({"count": 0})
    );

    let rooms = backend.read("/rooms?limit=2").await;
    assert_eq!(rooms["count"], 3);
    let first = &rooms["rooms"][0];
    assert_eq!(
        (&first["roomId"], &first["sessions"], &first["users"]),
        (&json!("chat:a"), &json!(4), &json!(3))
    );
    assert_eq!(rooms["next"], "chat:b");
    let last = backend.read("/rooms?after=chat:b").await;
    assert_eq!(
        (&last["rooms"][0]["roomId"], &last["rooms"][0]["seq"]),
        (&json!("staff"), &json!(1))
    );
    assert!(last["next"].is_null());
    assert_eq!(backend.read("/rooms?pattern=chat:*").await["count"], 2);

    let state = backend.read("/server").await;
    assert_eq!(
        (&state["sessions"], &state["rooms"], &state["users"]),
        (&json!(4), &json!(3), &json!(3))
    );
    assert_eq!(backend.read("/health").await, json!({"status": "ok"}));
}

#[tokio::test]
async fn who_is_joined_by_the_backend_is_told_and_then_hears_the_room() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let mut other = SocketIo::enter(&server, "ann", "/").await;
    backend
        .done("/publish", json!({"roomId": "lobby", "content": 0}))
        .await;

    let joined = backend
        .done("/join", json!({"roomId": "lobby", "userId": "ann"}))
        .await;
    backend
        .done("/publish", json!({"roomId": "lobby", "content": 1}))
        .await;

    assert_eq!(joined["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(joined["sessions"][0]["seq"], 1);
    let seen = ann.until(|message| message["content"] == 1).await;
    let position = seen
        .iter()
        .find(|message| message["type"] == "room:position")
        .unwrap();
    assert_eq!(
        (&position["reason"], &position["seq"]),
        (&json!("joined"), &json!(1))
    );
    assert_eq!(other.event("room:position").await["reason"], "joined");
    assert_eq!(other.event("message:new").await["content"], 1);

    let left = backend
        .done("/leave", json!({"roomId": "lobby", "userId": "ann"}))
        .await;
    assert_eq!(left, json!({"sessions": 2}));
    assert_eq!(ann.expect("room:removed").await["roomId"], "lobby");
    assert_eq!(other.event("room:removed").await["roomId"], "lobby");
    assert_eq!(backend.read("/rooms").await["count"], 0);
    let left = backend
        .done("/leave", json!({"roomId": "lobby", "userId": "ann"}))
        .await;
    assert_eq!(left, json!({"sessions": 0}));
}

#[tokio::test]
async fn one_session_is_joined_where_there_is_room_for_it() {
    let (server, backend) = start_with("[limits]\nrooms_per_session = 1").await;
    let (_ann, session) = Client::enter(&server.url("ann")).await;
    let body = |room: &str| json!({"roomId": room, "sessionId": session["id"]});

    let first = backend.done("/join", body("a")).await;
    let second = backend.done("/join", body("b")).await;

    assert_eq!(first["sessions"][0]["members"], 1);
    assert_eq!(second["sessions"][0]["error"]["code"], "ROOM_LIMIT");
    assert_eq!(second["sessions"][0]["sessionId"], session["id"]);
    let nobody = json!({"roomId": "a", "userId": "bob"});
    assert_eq!(backend.refused("/join", nobody).await.0, 404);
    let private = json!({"roomId": session["id"], "userId": "ann"});
    assert_eq!(backend.refused("/join", private).await.1, "FORBIDDEN");
}

#[tokio::test]
async fn other_grants_hold_at_once_also_for_who_is_away() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    for room in ["chat:a", "staff"] {
        ann.join(room).await;
    }
    let grants = json!([{"rooms": "chat:*", "allow": ["join", "publish"]}]);
    let body = json!({"userId": "ann", "grants": grants});

    assert_eq!(backend.done("/grants", body).await, json!({"sessions": 1}));

    assert_eq!(ann.expect("room:removed").await["roomId"], "staff");
    let staff = json!({"type": "room:join", "roomId": "staff"});
    assert_eq!(ann.refused(staff.clone()).await["code"], "FORBIDDEN");
    let private = json!({"type": "message:private", "to": "bob", "content": 1});
    assert_eq!(ann.refused(private).await["code"], "FORBIDDEN");
    ann.publish("chat:a", "still granted").await;
    refresh_brings_back(&server, &mut ann).await;
    ann.join("staff").await;

    let (bob, entered) = Client::enter(&server.url("bob")).await;
    bob.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;
    backend
        .done("/grants", json!({"userId": "bob", "grants": []}))
        .await;
    let resume = json!({"type": "resume", "resume": entered["resume"]});
    let mut bob = Client::begin(&server.anonymous(), resume).await;
    bob.expect("resumed").await;
    assert_eq!(bob.refused(staff).await["code"], "FORBIDDEN");
    let nobody = json!({"userId": "nobody", "grants": []});
    assert_eq!(backend.refused("/grants", nobody).await.0, 404);
}

async fn refresh_brings_back(server: &TestServer, ann: &mut Client) {
    let refresh = json!({"type": "auth:refresh", "token": server.token("ann")});
    assert!(ann.call(refresh).await["error"].is_null());
}

#[tokio::test]
async fn grants_of_a_socketio_client_change_in_its_namespace() {
    let (server, backend) = start_with_chat().await;
    let mut ann = SocketIo::enter(&server, "ann", "/").await;
    ann.open("/chat", &server.token("ann")).await;

    backend
        .done(
            "/grants",
            json!({"userId": "ann", "grants": [], "ns": "/chat"}),
        )
        .await;

    ann.join("lobby").await;
    let refused = ann.ask("/chat", "room:join", json!("lobby")).await;
    assert_eq!(refused["code"], "FORBIDDEN");
}
