//! What somebody sees who sits before a terminal.

use nuncio_e2e::backend::ADMIN;
use nuncio_e2e::command::nuncio;
use nuncio_e2e::terminal::plain;
use nuncio_e2e::{Backend, Client, Terminal, TestServer};
use serde_json::json;

use crate::start;

const LONG: &str = "a-room-whose-name-is-longer-than-any-terminal-is-wide-and-that-goes-on-and-on-until-nobody-reads-it-any-more";

async fn say(server: &TestServer, room: &str, count: usize) {
    let backend = Backend::new(server, ADMIN);
    for content in 0..count {
        backend
            .done("/publish", json!({"roomId": room, "content": content}))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_fits_the_terminal() {
    let server = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join(LONG).await;
    ann.join("b").await;
    for columns in [80, 120] {
        let terminal = Terminal::start(nuncio(&server, ADMIN, &["rooms"]), columns, 24);

        let (status, text) = terminal.ended();

        assert!(status.success(), "{text}");
        assert!(
            text.contains("\x1b[1mROOM"),
            "the heading is bold: {text:?}"
        );
        let lines: Vec<_> = plain(&text).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4, "{text}");
        for line in &lines {
            assert!(
                line.chars().count() <= usize::from(columns),
                "{columns}: {line:?}"
            );
        }
        assert!(lines[1].contains('…'), "{text}");
        assert_eq!(lines[3], "2 rooms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_is_readable_lines() {
    let server = start().await;
    say(&server, "lobby", 1).await;
    let mut terminal = Terminal::start(nuncio(&server, ADMIN, &["tail", "lobby"]), 80, 24);
    terminal.wait_for("lobby #1: 0");

    say(&server, "lobby", 1).await;

    terminal.wait_for("lobby #2: 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_the_server_and_leaves_the_terminal_as_it_was() {
    let server = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    ann.join("staff").await;
    let command = nuncio(&server, ADMIN, &["top", "--interval", "200ms"]);
    let mut top = Terminal::start(command, 80, 24);

    let lines = top.wait_for("websocket 1");
    assert!(lines[0].starts_with("nuncio top  http://"), "{lines:?}");
    assert_eq!(lines.len(), 24, "{lines:?}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{lines:?}"
    );
    assert!(!top.is_cooked());
    say(&server, "staff", 3).await;
    top.wait_until("three messages of staff", |lines| {
        let staff = lines.iter().find(|line| line.starts_with("staff"));
        staff.is_some_and(|line| line.split_whitespace().nth(3) == Some("3"))
    });
    top.type_keys("/lob\r");
    top.wait_until("only the lobby", |lines| {
        let has = |room: &str| lines.iter().any(|line| line.starts_with(room));
        has("lobby") && !has("staff")
    });
    top.type_keys("s");
    top.wait_for("sort: users");
    top.type_keys("p");
    top.wait_for("PAUSED");
    top.type_keys("q");

    let cooked_after = {
        let late = std::time::Instant::now() + nuncio_e2e::PATIENCE;
        while !top.is_cooked() && std::time::Instant::now() < late {
            std::thread::yield_now();
        }
        top.is_cooked()
    };
    assert!(cooked_after);
    let (status, text) = top.ended();
    assert!(status.success(), "{text}");
    assert!(
        text.ends_with("\x1b[?25h\x1b[?1049l"),
        "the cursor is back: {text:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn top_goes_on_while_the_server_is_away() {
    let server = start().await;
    let command = nuncio(&server, ADMIN, &["top", "--interval", "200ms"]);
    let mut top = Terminal::start(command, 120, 30);
    top.wait_for("Connections");

    server.stop().await;

    top.wait_for("cannot reach");
    top.type_keys("q");
    assert!(top.ended().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_disconnected_only_by_who_says_yes() {
    let server = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let ask = || {
        let command = nuncio(&server, ADMIN, &["disconnect", "--everyone"]);
        let mut terminal = Terminal::start(command, 80, 24);
        terminal.wait_for("[y/N]");
        terminal
    };

    let mut no = ask();
    no.type_keys("\r");
    let (status, text) = no.ended();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("nobody was disconnected"), "{text}");
    ann.publish("lobby", "still here").await;
    let mut yes = ask();
    yes.type_keys("y\r");

    assert_eq!(ann.closed().await.0, 1000);
    let (status, text) = yes.ended();
    assert!(
        status.success() && text.contains("disconnected 1 sessions"),
        "{text}"
    );
}
