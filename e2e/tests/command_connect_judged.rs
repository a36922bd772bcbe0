//! `nuncio connect` against the servers that most people run: `ws` and `socket.io` on Node.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

#[path = "command_connect/run.rs"]
mod run;

use nuncio_e2e::Reference;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use run::{Run, connect, connect_with, finish, spawn};

#[tokio::test]
async fn ws_sees_the_request_and_agrees_to_compression() {
    let server = Reference::websocket(&json!({"perMessageDeflate": true}));
    let url = format!("ws://{}/chat?a=b", server.address);

    let run = connect(&[
        &url,
        "--compress",
        "-H",
        "x-test: 7",
        "-s",
        "chat.v1",
        "-s",
        "chat.v2",
        "--json",
        "-x",
        "who",
        "-x",
        r#"/expect {"path": "/chat?a=b", "header": "7"}"#,
    ])
    .await;

    assert_eq!(run.code, 0, "{}\n{}", run.shown(), run.err);
    assert_eq!(run.objects()[0]["detail"], "chat.v2");
    assert_eq!(run.objects()[1]["json"]["extensions"], "permessage-deflate");
}

#[tokio::test]
async fn ws_is_echoed_in_fragments_and_closes_with_its_code() {
    let server = Reference::websocket(&json!({}));
    let url = format!("ws://{}/", server.address);

    let run = connect(&[
        &url,
        "--format",
        "raw",
        "--count",
        "1",
        "-x",
        "fragments 50000",
    ])
    .await;
    assert!(
        run.out
            .iter()
            .enumerate()
            .all(|(place, byte)| *byte == (place & 255) as u8)
    );
    assert_eq!((run.out.len(), run.code), (50_000, 0), "{}", run.err);

    let run = connect_with(&[&url], "Grüße\nclose 4001\n".as_bytes()).await;
    assert_eq!((run.shown().as_str(), run.code), ("Grüße\n", 5));
    assert!(
        run.err
            .contains("Closed with 4001 (the application's own): as asked"),
        "{}",
        run.err
    );

    assert_eq!(
        connect(&[&url, "-x", "close 4001", "-x", "/expect-close 4001"])
            .await
            .code,
        0
    );
    assert_eq!(connect(&[&url, "-x", "terminate"]).await.code, 1);
}

#[tokio::test]
async fn socket_io_is_asked_and_answered_with_binary_data_over_every_transport() {
    for parser in ["default", "msgpack"] {
        let server = Reference::start(&json!({"parser": parser}));
        for transport in ["polling,websocket", "websocket", "polling"] {
            let run = connect(&[
                &format!("http://{}", server.address),
                "--transport",
                transport,
                "--parser",
                parser,
                "--compress",
                "--json",
                "-x",
                r#"/ask echo {"b": 1, "a": 2} word hex:0102"#,
                "-x",
                r#"/expect [{"a": 2, "b": 1}, "word", {"num": 0}]"#,
                "-x",
                r#"/ask "ask me" why"#,
                "-x",
                r#"/expect ["question", "why"]"#,
                "-x",
                "/ack 1 base64:AQID",
                "-x",
                r#"/expect [{"num": 0}]"#,
                "-x",
                r#"["say", "hello"]"#,
                "-x",
                r#"/expect ["said", "hello"]"#,
            ])
            .await;

            assert_eq!(
                run.code,
                0,
                "{parser} {transport}: {}\n{}",
                run.shown(),
                run.err
            );
            let answers: Vec<Value> = run.of_type("answer");
            assert_eq!(answers[0]["attachments"], json!(["AQI="]), "{answers:?}");
            assert_eq!(answers[1]["attachments"], json!(["AQID"]), "{answers:?}");
        }
    }
}

#[tokio::test]
async fn socket_io_s_middleware_lets_in_who_has_the_word() {
    let server = Reference::start(&json!({}));
    let url = format!("http://{}/guarded", server.address);

    let refused = connect(&[&url]).await;
    assert_eq!(refused.code, 3);
    assert!(
        refused
            .err
            .contains(r#"connect_error: say please {"missing":"word"}"#),
        "{}",
        refused.err
    );

    let auth = r#"{"word": "please"}"#;
    let run = connect(&[
        &url, "--auth", auth, "--token", "t", "--json", "-x", "/ask who",
    ])
    .await;
    assert_eq!(run.code, 0, "{}", run.err);
    let who = run.of_type("answer").remove(0);
    assert_eq!(
        who["args"][0]["auth"],
        json!({"word": "please", "token": "t"})
    );
}

#[tokio::test]
async fn who_is_thrown_out_ends_with_five_and_who_is_cut_off_with_one() {
    let server = Reference::start(&json!({}));
    let url = format!("http://{}", server.address);

    let out = connect(&[&url, "-x", r#"/emit "throw me out""#]).await;
    assert_eq!(out.code, 5);
    assert!(
        out.err.contains("disconnect: io server disconnect"),
        "{}",
        out.err
    );
    let expected = ["-x", r#"/emit "throw me out""#, "-x", "/expect-close"];
    assert_eq!(connect(&[&[&*url], &expected[..]].concat()).await.code, 0);

    let cut = connect(&[&url, "-x", r#"/emit "hang up""#]).await;
    assert_eq!(cut.code, 1, "{}", cut.err);
    assert!(
        cut.err.contains("disconnect: transport close"),
        "{}",
        cut.err
    );
}

#[tokio::test]
async fn lines_wait_while_the_server_is_away() {
    let mut server = Reference::start(&json!({}));
    let mut child = spawn(&[
        &format!("http://{}", server.address),
        "--reconnect",
        "--count",
        "2",
    ]);
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();

    stdin.write_all(b"[\"say\", \"one\"]\n").await.unwrap();
    assert_eq!(
        lines.next_line().await.unwrap().as_deref(),
        Some(r#"["said","one"]"#)
    );
    server.kill();
    server.start_again();
    stdin.write_all(b"[\"say\", \"two\"]\n").await.unwrap();
    assert_eq!(
        lines.next_line().await.unwrap().as_deref(),
        Some(r#"["said","two"]"#)
    );

    let run = finish(child).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("disconnect: transport "), "{}", run.err);
}

impl Run {
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    fn of_type(&self, kind: &str) -> Vec<Value> {
        let objects = self.objects().into_iter();
        objects.filter(|object| object["type"] == kind).collect()
    }
}
