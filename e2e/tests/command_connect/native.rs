//! nuncio's own protocol.

use std::time::Duration;

use nuncio_e2e::TestServer;
use serde_json::json;

use crate::run::{connect, connect_with, finish, spawn};

#[tokio::test]
async fn rooms_are_joined_talked_in_and_read() {
    let server = TestServer::start("").await;
    let (address, token) = (server.address.to_string(), server.token("ann"));

    let run = connect(&[
        "--native",
        &address,
        "--token",
        &token,
        "--json",
        "-v",
        "-x",
        "/join lobby 10",
        "-x",
        r#"/publish lobby {"b": 1,  "a": 2}"#,
        "-x",
        r#"/expect {"type": "chat:message", "content": {"a": 2, "b": 1}}"#,
        "-x",
        "said without a slash",
        "-x",
        r#"/expect {"type": "chat:message", "content": "said without a slash", "seq": 2}"#,
        "-x",
        "/history lobby 5",
        "-x",
        r#"/expect {"data": {"messages": [{"seq": 1}, {"seq": 2}]}}"#,
        "-x",
        "/presence lobby",
        "-x",
        "/typing lobby",
        "-x",
        "/leave lobby",
        "-x",
        r#"{"type": "ping", "id": "by hand"}"#,
        "-x",
        r#"/expect "by hand""#,
    ])
    .await;

    assert_eq!(run.code, 0, "{}\n{}", run.text(), run.err);
    let objects = run.objects();
    assert!(
        objects
            .iter()
            .any(|object| object["json"]["type"] == "auth_ok")
    );
    assert!(
        run.text().contains(r#""content":{"b":1,"a":2}"#),
        "in the order in which it was written"
    );
}

#[tokio::test]
async fn no_secret_is_shown() {
    let server = TestServer::start("").await;
    let (address, token) = (server.address.to_string(), server.token("ann"));

    let run = connect(&[
        "--native",
        &address,
        "--token",
        &token,
        "--json",
        "-v",
        "-x",
        "/join lobby",
    ])
    .await;

    assert_eq!(run.code, 0, "{}", run.err);
    assert!(!run.text().contains(&token) && !run.err.contains(&token));
    let find = |kind: &str, of: &str| {
        let objects = run.objects().into_iter();
        let mut found =
            objects.filter(|object| object["type"] == kind && object["json"]["type"] == of);
        found.next().unwrap()["json"].clone()
    };
    assert_eq!(find("sent", "auth"), json!({"type": "auth", "token": "…"}));
    assert_eq!(find("message", "auth_ok")["resume"], "…");
}

#[tokio::test]
async fn lines_of_a_pipe_are_said_in_a_room_that_json_joined() {
    let server = TestServer::start("").await;
    let (address, token) = (server.address.to_string(), server.token("ann"));
    let input = b"{\"type\":\"room:join\",\"roomId\":\"lobby\",\"id\":\"j\"}\n{\"type\":\"chat:message\",\"roomId\":\"lobby\",\"content\":\"hi\",\"id\":\"p\"}\n";

    let run = connect_with(
        &["--native", &address, "--token", &token, "--wait", "1s"],
        input,
    )
    .await;

    assert_eq!(run.code, 0, "{}", run.err);
    let lines: Vec<serde_json::Value> = run
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["type"] == "chat:message" && line["content"] == "hi"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_ends_it_with_three() {
    let server = TestServer::start("").await;
    let address = server.address.to_string();

    let run = connect(&[
        "--native",
        &address,
        "--token",
        "wrong",
        "--reconnect",
        "-x",
        "/join lobby",
    ])
    .await;

    assert_eq!(run.code, 3, "{}", run.err);
    assert!(
        run.err
            .contains("Closed with 1008 (policy violation): Authentication failed"),
        "{}",
        run.err
    );
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived_and_nothing_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let listen = nuncio_e2e::server::free_address();
    let setting = format!("server.listen={listen}");
    let server = TestServer::set_in(folder.path(), &[&setting]).await;
    let (address, token) = (listen.to_string(), server.token("ann"));
    let (mut bob, _) = nuncio_e2e::Client::enter(&server.url("bob")).await;
    bob.join("lobby").await;
    let child = spawn(&[
        "--native",
        &address,
        "--token",
        &token,
        "--reconnect",
        "--json",
        "-x",
        "/join lobby",
        "-x",
        "/timeout 50s",
        "-x",
        r#"/expect {"content": "after"}"#,
    ]);
    bob.expect("user:joined").await;
    bob.publish("lobby", "before").await;
    bob.expect("chat:message").await;
    drop(bob);
    server.stop().await;

    let server = TestServer::set_in(folder.path(), &[&setting]).await;
    let (mut bob, _) = nuncio_e2e::Client::enter(&server.url("bob")).await;
    bob.join("lobby").await;
    bob.publish("lobby", "between").await;
    bob.publish("lobby", "after").await;

    let run = tokio::time::timeout(Duration::from_secs(60), finish(child))
        .await
        .unwrap();
    assert_eq!(run.code, 0, "{}\n{}", run.text(), run.err);
    let contents: Vec<_> = run
        .objects()
        .iter()
        .map(|object| object["json"]["content"].clone())
        .filter(|content| content.is_string())
        .collect();
    assert_eq!(contents, ["before", "between", "after"]);
}

#[tokio::test]
async fn a_call_that_is_refused_fails_the_script() {
    let server = TestServer::start("").await;
    let (address, token) = (server.address.to_string(), server.token("ann"));

    let args = ["--native", &address, "--token", &token];
    let run = connect(
        &[
            &args[..],
            &["-x", "/private nobody hi", "-x", "/join lobby"],
        ]
        .concat(),
    )
    .await;

    assert_eq!(run.code, 4, "{}", run.err);
    assert!(
        run.err.contains("/private: ") && run.err.contains("(NOT_FOUND)"),
        "{}",
        run.err
    );
}
