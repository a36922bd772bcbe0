//! Who is online and in which room: announced once, not for a reloaded page, and by number in large rooms.

use std::time::Duration;

use nuncio_e2e::{Client, TestServer};
use serde_json::{Value, json};

#[tokio::test]
async fn a_user_is_online_at_its_first_session_and_offline_after_the_last() {
    let server = TestServer::set(&["presence.grace=300ms"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;

    let mut first = enter(&server, "ann", &["lobby"]).await;
    let second = enter(&server, "ann", &["lobby"]).await;
    first.publish("lobby", "two tabs").await;
    assert_eq!(
        news_until(&mut bob, "two tabs").await,
        [joined("lobby", "ann"), presence("ann", "online")]
    );

    first.close().await;
    bob.publish("lobby", "one tab").await;
    assert_eq!(news_until(&mut bob, "one tab").await, [] as [Value; 0]);

    second.close().await;
    assert_eq!(bob.expect("user:left").await, left("lobby", "ann"));
    assert_eq!(
        bob.expect("presence:update").await,
        presence("ann", "offline")
    );
}

#[tokio::test]
async fn presence_comes_once_however_many_rooms_are_shared() {
    let server = TestServer::set(&["presence.grace=300ms"]).await;
    let mut bob = watcher(&server, &["a", "b", "c"]).await;

    let ann = enter(&server, "ann", &["a", "b", "c"]).await;
    ann.close().await;
    while bob.expect("presence:update").await != presence("ann", "offline") {}
    bob.publish("a", "fence").await;
    let rest = bob.until(|message| message["content"] == "fence").await;

    let again: Vec<_> = rest
        .iter()
        .filter(|message| message["type"] == "presence:update")
        .collect();
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test]
async fn who_shares_no_room_hears_nothing() {
    let server = TestServer::start("").await;
    let mut bob = watcher(&server, &["elsewhere"]).await;

    enter(&server, "ann", &["lobby"]).await.close().await;
    bob.publish("elsewhere", "fence").await;

    assert_eq!(news_until(&mut bob, "fence").await, [] as [Value; 0]);
}

#[tokio::test]
async fn leaving_a_room_is_told_at_once() {
    let server = TestServer::start("").await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let mut ann = enter(&server, "ann", &["lobby"]).await;

    let reply = ann
        .call(json!({"type": "room:leave", "roomId": "lobby"}))
        .await;

    assert_eq!(reply["data"], json!({"status": "ok"}));
    assert_eq!(bob.expect("user:left").await, left("lobby", "ann"));
    let again = ann
        .call(json!({"type": "room:leave", "roomId": "lobby"}))
        .await;
    assert_eq!(
        again["data"],
        json!({"status": "ok"}),
        "leaving twice is no error"
    );
}

#[tokio::test]
async fn a_page_reload_is_not_seen() {
    let server = TestServer::set(&["presence.grace=1s"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let ann = enter(&server, "ann", &["lobby"]).await;
    bob.expect("presence:update").await;
    bob.expect("user:joined").await;

    ann.leave_page().await;
    let mut ann = enter(&server, "ann", &["lobby"]).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    ann.publish("lobby", "reloaded").await;

    assert_eq!(news_until(&mut bob, "reloaded").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_page_that_does_not_come_back_is_gone_after_the_grace() {
    let server = TestServer::set(&["presence.grace=200ms"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let ann = enter(&server, "ann", &["lobby"]).await;

    let left_at = tokio::time::Instant::now();
    ann.leave_page().await;

    assert_eq!(bob.expect("user:left").await, left("lobby", "ann"));
    while bob.expect("presence:update").await != presence("ann", "offline") {}
    assert!(left_at.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_cut_connection_that_returns_within_the_grace_is_not_seen() {
    let server = TestServer::set(&["presence.grace=1s"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let ann = enter(&server, "ann", &["lobby"]).await;
    bob.expect("presence:update").await;
    bob.expect("user:joined").await;

    ann.cut();
    server.until_metric("nuncio_connections", 1.0).await;
    let mut ann = enter(&server, "ann", &["lobby"]).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    ann.publish("lobby", "back").await;

    assert_eq!(news_until(&mut bob, "back").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_cut_connection_is_still_a_member_for_the_grace_and_gone_after_it() {
    let server = TestServer::set(&["presence.grace=500ms"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let ann = enter(&server, "ann", &["lobby"]).await;

    ann.cut();
    server.until_metric("nuncio_connections", 1.0).await;
    let page = bob
        .call(json!({"type": "presence:get", "roomId": "lobby"}))
        .await;
    assert_eq!(page["data"]["count"], 2);

    assert_eq!(bob.expect("user:left").await, left("lobby", "ann"));
    while bob.expect("presence:update").await != presence("ann", "offline") {}
    let page = bob
        .call(json!({"type": "presence:get", "roomId": "lobby"}))
        .await;
    assert_eq!(page["data"]["count"], 1);
}

#[tokio::test]
async fn users_are_listed_in_pages_sorted_by_id() {
    let server = TestServer::set(&["presence.page_max=2"]).await;
    let mut clients = Vec::new();
    for user in ["eve", "ann", "dan", "bob", "cat", "bob"] {
        clients.push(enter(&server, user, &["lobby"]).await);
    }
    let mut ask = async |fields: Value| {
        let mut message = json!({"type": "presence:get", "roomId": "lobby"});
        message
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        clients[0].call(message).await["data"].clone()
    };

    assert_eq!(
        ask(json!({})).await,
        json!({"count": 5, "users": [{"userId": "ann", "sessions": 1}, {"userId": "bob", "sessions": 2}], "next": "bob"})
    );
    assert_eq!(
        ask(json!({"after": "bob", "limit": 50})).await,
        json!({"count": 5, "users": [{"userId": "cat", "sessions": 1}, {"userId": "dan", "sessions": 1}], "next": "dan"})
    );
    assert_eq!(
        ask(json!({"after": "dan"})).await,
        json!({"count": 5, "users": [{"userId": "eve", "sessions": 1}]})
    );
    assert_eq!(ask(json!({"limit": 0})).await, json!({"count": 5}));
}

#[tokio::test]
async fn a_large_room_announces_counts_instead_of_names() {
    let server = TestServer::set(&["presence.names_max=2"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let _ann = enter(&server, "ann", &["lobby"]).await;
    bob.expect("user:joined").await;

    let mut others = Vec::new();
    for user in ["c", "d", "e", "f"] {
        others.push(enter(&server, user, &["lobby"]).await);
    }

    let mut count = Value::Null;
    while count != json!({"type": "presence:count", "roomId": "lobby", "count": 6}) {
        count = bob.expect("presence:count").await;
    }
    bob.publish("lobby", "fence").await;
    let news = bob.until(|message| message["content"] == "fence").await;
    let names: Vec<_> = news
        .iter()
        .filter(|message| {
            ["user:joined", "presence:update"]
                .contains(&message["type"].as_str().unwrap_or_default())
        })
        .filter(|message| message["userId"] != "ann")
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn counts_come_at_most_once_a_second() {
    let server =
        TestServer::set(&["presence.names_max=1", "limits.rate_control_factor=1000"]).await;
    let mut bob = watcher(&server, &["lobby"]).await;
    let mut others = Vec::new();
    for user in ["c", "d", "e"] {
        others.push(enter(&server, user, &["lobby"]).await);
    }

    let mut counts = 0;
    let start = tokio::time::Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        for other in &mut others {
            other
                .call(json!({"type": "room:leave", "roomId": "lobby"}))
                .await;
            other.join("lobby").await;
        }
        bob.publish("lobby", "round").await;
        let news = bob.until(|message| message["content"] == "round").await;
        counts += news
            .iter()
            .filter(|message| message["type"] == "presence:count")
            .count();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert!(counts <= 3, "{counts} counts in {:?}", start.elapsed());
}

#[tokio::test]
async fn a_room_configured_without_presence_keeps_comings_and_goings_to_itself() {
    let server = TestServer::start("[[rooms]]\npattern = \"quiet:*\"\npresence = false").await;
    let mut bob = watcher(&server, &["quiet:1"]).await;

    let mut ann = enter(&server, "ann", &["quiet:1"]).await;
    ann.publish("quiet:1", "still heard").await;
    ann.close().await;
    bob.publish("quiet:1", "fence").await;

    assert_eq!(news_until(&mut bob, "fence").await, [] as [Value; 0]);
}

/// Ann in some rooms.
async fn enter(server: &TestServer, user: &str, rooms: &[&str]) -> Client {
    let (mut client, _) = Client::enter(&server.url(user)).await;
    for room in rooms {
        client.join(room).await;
    }
    client
}

/// Bob, who only looks.
async fn watcher(server: &TestServer, rooms: &[&str]) -> Client {
    enter(server, "bob", rooms).await
}

/// What was said of others up to a message, sorted.
async fn news_until(client: &mut Client, content: &str) -> Vec<Value> {
    let before = client.until(|message| message["content"] == content).await;
    let is_news = |message: &Value| {
        [
            "user:joined",
            "user:left",
            "presence:update",
            "presence:count",
        ]
        .contains(&message["type"].as_str().unwrap_or_default())
    };
    let mut news: Vec<_> = before.into_iter().filter(is_news).collect();
    news.sort_by_key(|message| std::cmp::Reverse(message["type"].to_string()));
    news
}

fn joined(room: &str, user: &str) -> Value {
    json!({"type": "user:joined", "roomId": room, "userId": user})
}

fn left(room: &str, user: &str) -> Value {
    json!({"type": "user:left", "roomId": room, "userId": user})
}

fn presence(user: &str, status: &str) -> Value {
    json!({"type": "presence:update", "userId": user, "status": status})
}
