//! Rooms, sessions, presence, and who is disconnected.

use nuncio_e2e::backend::{ADMIN, KEYS};
use nuncio_e2e::command::{nuncio, run};
use nuncio_e2e::{Client, TestServer};
use serde_json::{Value, json};

use crate::start;

async fn enter(server: &TestServer, user: &str, rooms: &[&str]) -> (Client, String) {
    let (mut client, entered) = Client::enter(&server.url(user)).await;
    for room in rooms {
        client.join(room).await;
    }
    (client, entered["id"].as_str().unwrap().to_owned())
}

fn names(rows: &[Value], field: &str) -> Vec<String> {
    let name = |row: &Value| row[field].as_str().unwrap().to_owned();
    rows.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_lines_of_json_in_a_pipe_and_a_table_when_asked_for() {
    let server = start().await;
    let _ann = enter(&server, "ann", &["chat:a", "chat:b", "lobby"]).await;
    let _bob = enter(&server, "bob", &["lobby"]).await;

    let all = run(nuncio(&server, ADMIN, &["rooms"]));
    let some = run(nuncio(&server, ADMIN, &["rooms", "chat:*", "--limit", "1"]));
    let table = run(nuncio(
        &server,
        ADMIN,
        &["rooms", "--limit", "2", "--format", "table"],
    ));

    assert_eq!(names(&all.json(), "roomId"), ["chat:a", "chat:b", "lobby"]);
    assert_eq!(all.json()[2]["users"], 2);
    assert_eq!(names(&some.json(), "roomId"), ["chat:a"]);
    let lines: Vec<_> = table.out.lines().collect();
    assert!(
        lines[0].starts_with("ROOM    USERS  SESSIONS  MESSAGES  EPOCH"),
        "{table:?}"
    );
    assert!(
        lines[1].starts_with("chat:a      1         1         0  "),
        "{table:?}"
    );
    assert_eq!(lines[3], "2 of 3 rooms");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_read() {
    let server = TestServer::start(&format!("{KEYS}\n[presence]\npage_max = 2")).await;
    let mut clients = Vec::new();
    for user in ["a", "b", "c", "d", "e"] {
        clients.push(enter(&server, user, &["lobby"]).await);
    }

    let all = run(nuncio(&server, ADMIN, &["presence", "lobby"]));
    let some = run(nuncio(
        &server,
        ADMIN,
        &["presence", "lobby", "--limit", "3"],
    ));

    assert_eq!(
        names(&all.json(), "userId"),
        ["a", "b", "c", "d", "e"],
        "{all:?}"
    );
    assert_eq!(names(&some.json(), "userId"), ["a", "b", "c"], "{some:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_by_user_room_and_id() {
    let server = start().await;
    let (_one, id) = enter(&server, "ann", &["lobby"]).await;
    let _two = enter(&server, "ann", &["staff"]).await;
    let _bob = enter(&server, "bob", &["lobby"]).await;
    let ask = |arguments: &[&str]| run(nuncio(&server, ADMIN, arguments)).json();

    assert_eq!(ask(&["sessions"]).len(), 3);
    assert_eq!(
        names(&ask(&["sessions", "--user", "ann"]), "userId"),
        ["ann", "ann"]
    );
    assert_eq!(ask(&["sessions", "--room", "lobby"]).len(), 2);
    assert_eq!(
        names(
            &ask(&["sessions", "--room", "lobby", "-u", "ann"]),
            "sessionId"
        ),
        [&*id]
    );
    assert_eq!(ask(&["sessions", &id])[0]["roomIds"], json!(["lobby"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disconnected_is_told_the_code_and_the_reason() {
    let server = start().await;
    let (mut ann, _) = enter(&server, "ann", &[]).await;
    let (mut bob, id) = enter(&server, "bob", &[]).await;
    let (mut carol, _) = enter(&server, "carol", &[]).await;

    let by_user = [
        "disconnect",
        "--user",
        "ann",
        "--code",
        "4100",
        "--reason",
        "Closed",
    ];
    let by_user = run(nuncio(&server, ADMIN, &by_user));
    assert_eq!(ann.closed().await, (4100, "Closed".to_owned()));
    let by_id = run(nuncio(&server, ADMIN, &["disconnect", "--session", &id]));
    assert_eq!(bob.closed().await.0, 1000);
    let all = ["disconnect", "--everyone", "--yes", "--format", "table"];
    let all = run(nuncio(&server, ADMIN, &all));
    assert_eq!(carol.closed().await.0, 1000);

    assert_eq!(by_user.json(), [json!({"sessions": 1})]);
    assert_eq!(by_id.json(), [json!({"sessions": 1})]);
    assert_eq!(all.out, "disconnected 1 sessions\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_are_in_a_room_are_disconnected_and_nobody_else() {
    let server = start().await;
    let (mut ann, _) = enter(&server, "ann", &["lobby"]).await;
    let (mut bob, _) = enter(&server, "bob", &["lobby", "staff"]).await;
    let (mut carol, _) = enter(&server, "carol", &["staff"]).await;

    let ended = ["disconnect", "--room", "lobby", "--code", "4100"];
    let ended = run(nuncio(&server, ADMIN, &ended));

    assert_eq!(ended.json(), [json!({"sessions": 2})], "{ended:?}");
    assert_eq!(ann.closed().await.0, 4100);
    assert_eq!(bob.closed().await.0, 4100);
    carol.publish("staff", "still here").await;
}
