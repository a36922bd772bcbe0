//! How it ends: each exit status.

use std::time::Duration;

use nuncio_e2e::TestServer;
use nuncio_e2e::server::free_address;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;

use crate::peer::Peer;
use crate::run::{Run, connect, connect_with, finish, spawn};

#[tokio::test]
async fn zero_when_the_server_closes_cleanly() {
    for code in [1000, 1001] {
        let run = closed_with(code, "", &[]).await;
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(
            run.err.contains(&format!("Closed with {code} (")),
            "{}",
            run.err
        );
    }
}

#[tokio::test]
async fn five_when_the_server_closes_with_an_error() {
    let run = closed_with(1011, "out of luck", &[]).await;

    assert_eq!(run.code, 5);
    assert!(
        run.err
            .contains("Closed with 1011 (internal error): out of luck"),
        "{}",
        run.err
    );
}

#[tokio::test]
async fn zero_when_that_close_was_expected_and_four_when_it_was_another() {
    assert_eq!(
        closed_with(4000, "", &["-x", "/expect-close 4000"])
            .await
            .code,
        0
    );
    assert_eq!(
        closed_with(4001, "", &["-x", "/expect-close 4000"])
            .await
            .code,
        4
    );
}

#[tokio::test]
async fn one_when_nobody_is_there_and_when_the_connection_is_cut() {
    let url = format!("ws://{}/", free_address());
    let run = connect(&[&url]).await;
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("the server cannot be reached"),
        "{}",
        run.err
    );

    let peer = Peer::listen().await;
    let child = spawn(&[&peer.url()]);
    drop(peer.accept().await);
    let run = finish(child).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("the connection is lost"), "{}", run.err);
}

#[tokio::test]
async fn one_when_the_connection_does_not_open_in_time() {
    let peer = Peer::listen().await;
    let url = peer.url();

    let run = connect(&[&url, "--connect-timeout", "200ms"]).await;

    assert_eq!(run.code, 1);
    assert!(run.err.contains("not open within 200ms"), "{}", run.err);
}

#[tokio::test]
async fn one_when_pings_are_not_answered() {
    let peer = Peer::listen().await;
    let child = spawn(&[&peer.url(), "--ping-interval", "100ms"]);

    // It is never read from again.
    let visitor = peer.accept().await;
    let run = finish(child).await;
    drop(visitor);

    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("did not answer a ping within 100ms"),
        "{}",
        run.err
    );
}

#[tokio::test]
async fn two_when_the_command_line_or_a_line_is_wrong_and_nothing_was_sent() {
    let url = format!("ws://{}/", free_address());
    for (args, wrong) in [
        (&["-x", "/clsoe"][..], "did you mean /close?"),
        (
            &["-x", "/join lobby"],
            "/join is for the native protocol (--native)",
        ),
        (&["-H", "x"], "has no colon"),
        (
            &["--script", "/no/such/file"],
            "/no/such/file cannot be read",
        ),
        (&["--auth", "{}"], "--auth is for Socket.IO"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let run = connect(&[&[&*url], args].concat()).await;
        assert_eq!(run.code, 2, "{args:?}: {}", run.err);
        assert!(run.err.contains(wrong), "{args:?}: {}", run.err);
    }
}

#[tokio::test]
async fn two_when_a_pipe_has_what_is_no_text() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let server = tokio::spawn(peer.echo());

    let run = connect_with(&[&url], b"\xff\xfe\n").await;

    assert_eq!(run.code, 2);
    assert!(
        run.err.contains("is not UTF-8: --binary sends bytes"),
        "{}",
        run.err
    );
    server.await.unwrap();
}

#[tokio::test]
async fn three_when_the_server_refuses() {
    let server = TestServer::start("").await;
    let url = format!("ws://{}/ws?token=wrong", server.address);
    let run = connect(&[&url, "--reconnect"]).await;
    assert_eq!(run.code, 3, "a refusal is not tried again: {}", run.err);
    assert!(run.err.contains("401"), "{}", run.err);

    assert_eq!(
        closed_with(1008, "Authentication failed", &[]).await.code,
        3
    );

    let peer = Peer::listen().await;
    let child = spawn(&[&peer.url()]);
    let mut tcp = peer.tcp().await;
    tcp.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(finish(child).await.code, 3);
}

#[tokio::test]
async fn four_when_what_was_expected_does_not_come() {
    let peer = Peer::listen().await;
    let url = peer.url();
    let server = tokio::spawn(peer.echo());
    let run = connect(&[&url, "--timeout", "200ms", "-x", "a", "-x", "/expect b"]).await;
    assert_eq!(run.code, 4);
    assert!(
        run.err.contains("\"b\" did not come within 200ms"),
        "{}",
        run.err
    );
    assert_eq!(u16::from(server.await.unwrap().unwrap().code), 1000);

    let run = closed_with(1000, "", &["-x", "/expect b"]).await;
    assert_eq!(run.code, 4);
    assert!(
        run.err.contains("\"b\" did not come before the end"),
        "{}",
        run.err
    );

    let run = closed_with(1000, "", &["--count", "2"]).await;
    assert_eq!(run.code, 4);
    assert!(run.err.contains("0 messages came, not 2"), "{}", run.err);
}

#[tokio::test]
async fn a_signal_closes_cleanly_and_is_told_as_shells_do() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let peer = Peer::listen().await;
        let child = spawn(&[&peer.url()]);
        let visitor = peer.accept().await;
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();

        kill_process(pid, signal).unwrap();

        let frame = visitor.echo().await;
        assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1000));
        assert_eq!(finish(child).await.code, code);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_close_is_not_waited_for_long() {
    let peer = Peer::listen().await;
    let child = spawn(&[&peer.url(), "-x", "a", "-w", "0"]);
    let silent = peer.accept().await;

    let ended = tokio::time::timeout(Duration::from_secs(20), finish(child)).await;

    assert_eq!(ended.unwrap().code, 0);
    drop(silent);
}

/// Runs against a server that closes at once.
async fn closed_with(code: u16, reason: &str, args: &[&str]) -> Run {
    let peer = Peer::listen().await;
    let url = peer.url();
    let child = spawn(&[&[&*url], args].concat());
    peer.accept().await.close(code, reason).await;
    finish(child).await
}
