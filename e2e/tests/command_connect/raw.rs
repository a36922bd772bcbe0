//! Any WebSocket, through pipes and scripts.

use nuncio::Server;
use nuncio_e2e::{Embedded, TestServer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_tungstenite::tungstenite::Message;

use crate::peer::Peer;
use crate::run::{connect, connect_with, finish, spawn};

#[tokio::test]
async fn each_line_of_a_pipe_is_a_message_and_each_answer_a_line() {
    let server = TestServer::start("").await;
    let url = format!("ws://{}/ws/echo?plain", server.address);

    let run = connect_with(
        &[&url, "--count", "3"],
        b"hello\n/ping is no command here\nGr\xc3\xbc\xc3\x9fe\n",
    )
    .await;

    assert_eq!(run.text(), "hello\n/ping is no command here\nGrüße\n");
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.starts_with("Connected to ws://"), "{}", run.err);
    assert!(
        !run.err.contains("plain"),
        "the query is not shown: {}",
        run.err
    );
}

#[tokio::test]
async fn the_websockets_of_a_rust_program_are_talked_to_and_listened_to() {
    let (server, _) = Embedded::start(Server::builder(), |server| {
        server.websocket("/raw", |mut ws, _| async move {
            while let Some(message) = ws.recv().await {
                ws.clients().broadcast(message);
            }
        })
    })
    .await;
    let url = server.url("/raw");
    let mut listener = spawn(&[&url, "--count", "2"]);
    let mut news = BufReader::new(listener.stderr.take().unwrap()).lines();
    assert!(
        news.next_line()
            .await
            .unwrap()
            .unwrap()
            .starts_with("Connected to")
    );

    let speaker = connect(&[
        &url,
        "-x",
        "hello",
        "-x",
        "/binary 0102",
        "-x",
        "/expect 0102",
    ])
    .await;

    assert_eq!((speaker.text(), speaker.code), ("hello\n0102\n", 0));
    let listener = finish(listener).await;
    assert_eq!((listener.text(), listener.code), ("hello\n0102\n", 0));
    server.stop().await;
}

#[tokio::test]
async fn what_the_request_carries_is_what_the_flags_say() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let child = spawn(&[
        &url,
        "-H",
        "x-a: 1",
        "-H",
        "X-B:2",
        "-o",
        "https://a.example",
        "-s",
        "chat.v2",
        "-s",
        "chat.v1",
        "--token",
        "s3cret",
        "--json",
        "-x",
        "/close",
    ]);

    let visitor = peer.accept().await;
    for (name, value) in [
        ("x-a", "1"),
        ("x-b", "2"),
        ("origin", "https://a.example"),
        ("sec-websocket-protocol", "chat.v2, chat.v1"),
        ("authorization", "Bearer s3cret"),
    ] {
        assert_eq!(visitor.header(name), Some(value), "{name}");
    }
    visitor.echo().await;

    let run = finish(child).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.objects()[0]["detail"], "chat.v2");
    assert!(!run.text().contains("s3cret") && !run.err.contains("s3cret"));
}

#[tokio::test]
async fn a_token_may_come_from_a_file_or_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from-file\n").unwrap();
    let peer = Peer::listen().await;
    let url = peer.url();

    let by_file = spawn(&[&url, "--token-file", path.to_str().unwrap(), "-x", "/close"]);
    let visitor = peer.accept().await;
    assert_eq!(visitor.header("authorization"), Some("Bearer from-file"));
    visitor.echo().await;
    assert_eq!(finish(by_file).await.code, 0);

    let mut command = crate::run::command(&[&url, "-x", "/close"]);
    command
        .env("NUNCIO_TOKEN", "from-variable")
        .stdin(std::process::Stdio::null());
    let by_variable = tokio::spawn(async move { command.output().await.unwrap() });
    let visitor = peer.accept().await;
    assert_eq!(
        visitor.header("authorization"),
        Some("Bearer from-variable")
    );
    visitor.echo().await;
    assert!(by_variable.await.unwrap().status.success());
}

#[tokio::test]
async fn a_script_sends_expects_pings_and_closes_with_its_code() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("chat.txt");
    let lines = "# greets\nhello\n/expect hello\n{\"a\": 1, \"b\": [2]}\n/expect {\"b\": [2]}\n/binary 00ff\n/expect /^00ff$/\n/ping x\n/close 4000 bye\n";
    std::fs::write(&script, lines).unwrap();
    let server = tokio::spawn(peer.echo());

    let run = connect(&[&url, "--script", script.to_str().unwrap(), "-P"]).await;

    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.text(), "hello\n{\"a\": 1, \"b\": [2]}\n00ff\n");
    let frame = server.await.unwrap().unwrap();
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (4000, "bye")
    );
    assert!(run.err.contains("Closed with 4000"), "{}", run.err);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_time_before_the_run_ends() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let server = tokio::spawn(peer.echo());

    let run = connect(&[&url, "-x", "/ping are you there", "-w", "0"]).await;

    assert_eq!(run.code, 0);
    assert!(
        run.err.contains("Pong \"are you there\" after "),
        "{}",
        run.err
    );
    assert_eq!(u16::from(server.await.unwrap().unwrap().code), 1000);
}

#[tokio::test]
async fn bytes_go_in_and_out_as_they_are_however_many() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let server = tokio::spawn(peer.echo());
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();

    let run = connect_with(
        &[&url, "--binary", "--format", "raw", "--count", "1"],
        &bytes,
    )
    .await;

    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out == bytes, "{} bytes came back", run.out.len());
    server.await.unwrap();
}

#[tokio::test]
async fn binary_messages_are_kept_in_files() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    std::fs::write(&source, b"\x00from a file").unwrap();
    let out = folder.path().join("out/");
    let server = tokio::spawn(peer.echo());

    let line = format!("/binary @{}", source.display());
    let run = connect(&[
        &url,
        "-x",
        &line,
        "-x",
        "/binary base64:AAE=",
        "--count",
        "2",
        "--binary-out",
        &format!("{}/", out.display()),
    ])
    .await;

    assert_eq!(run.code, 0, "{}", run.err);
    let read = |name: &str| std::fs::read(out.join(name)).unwrap();
    assert_eq!(read("message-000001.bin"), b"\x00from a file");
    assert_eq!(read("message-000002.bin"), [0, 1]);
    server.await.unwrap();
}

#[tokio::test]
async fn as_json_each_thing_that_happens_is_an_object() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let child = spawn(&[&url, "--json", "-P", "--count", "3"]);

    let mut visitor = peer.accept().await;
    visitor.send(Message::Ping("p".into())).await;
    visitor.send(r#"{"z":1,"a":2.50}"#).await;
    visitor.send("plain").await;
    visitor.send(Message::binary(vec![0, 1])).await;
    visitor.echo().await;

    let run = finish(child).await;
    assert_eq!(run.code, 0);
    let kinds: Vec<_> = run
        .objects()
        .iter()
        .map(|object| object["type"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["open", "ping", "message", "message", "message", "close"]
    );
    assert_eq!(run.objects()[3]["text"], json!("plain"));
    assert_eq!(run.objects()[4]["binary"], json!("AAE="));
    assert!(
        run.text().contains(r#""json":{"z":1,"a":2.50}"#),
        "as it was written"
    );
    assert_eq!(run.objects()[5]["code"], 1000);
}

#[tokio::test]
async fn colours_are_for_terminals_and_for_those_who_insist() {
    let peer = Peer::listen().await;
    let url = peer.url();
    for (color, is_coloured) in [("auto", false), ("always", true), ("never", false)] {
        let child = spawn(&[&url, "--format", "pretty", "--color", color, "--count", "1"]);
        let mut visitor = peer.accept().await;
        visitor.send(r#"{"a":1}"#).await;
        visitor.echo().await;
        let run = finish(child).await;
        assert_eq!(
            run.text().contains('\u{1b}'),
            is_coloured,
            "{color}: {:?}",
            run.text()
        );
    }
}

#[tokio::test]
async fn a_lost_connection_is_connected_again_and_the_pause_is_told() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let child = spawn(&[&url, "--reconnect", "--count", "2"]);

    let mut first = peer.accept().await;
    first.send("one").await;
    drop(first);
    let mut second = peer.accept().await;
    second.send("two").await;
    second.echo().await;

    let run = finish(child).await;
    assert_eq!((run.text(), run.code), ("one\ntwo\n", 0));
    assert!(
        run.err.contains("The next attempt follows in "),
        "{}",
        run.err
    );
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_it() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let mut child = spawn(&[&url]);
    let mut visitor = peer.accept().await;
    drop(child.stdout.take());

    visitor.send("nobody reads this").await;

    assert_eq!(
        visitor.echo().await.map(|frame| u16::from(frame.code)),
        Some(1000)
    );
    assert_eq!(finish(child).await.code, 0);
}
