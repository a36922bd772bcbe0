//! The programs of the folder `examples`, run and talked to.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nuncio::auth::Tokens;
use nuncio_e2e::{Example, PATIENCE, example, http};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(example: &Example, target: &str) -> Socket {
    let url = format!("ws://{}{target}", example.address);
    connect_async(url).await.expect("it lets us in").0
}

async fn next(socket: &mut Socket) -> Message {
    let next = tokio::time::timeout(PATIENCE, socket.next()).await;
    let next = next.expect("something comes");
    next.expect("the connection is open")
        .expect("in good order")
}

async fn json(socket: &mut Socket) -> Value {
    let message = next(socket).await;
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

async fn close(socket: &mut Socket) -> (u16, String) {
    match next(socket).await {
        Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("{other:?} is no close frame with a code"),
    }
}

/// The code lines of an example: neither empty nor comments.
fn code_lines(name: &str) -> usize {
    let path = format!("{}/../examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the example is there");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[tokio::test]
async fn ws_echo_greets_echoes_answers_pings_and_tells_all_who_left() {
    let example = Example::start("ws_echo");
    let (mut ann, mut bob) = (
        connect(&example, "/ws").await,
        connect(&example, "/ws").await,
    );
    let welcome = json(&mut ann).await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(json(&mut bob).await["type"], "welcome");

    ann.send(Message::text("Hello")).await.unwrap();
    assert_eq!(next(&mut ann).await, Message::text("Server echo: Hello"));
    ann.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(next(&mut ann).await, Message::Pong("p".into()));
    ann.close(None).await.unwrap();

    assert_eq!(
        json(&mut bob).await,
        json!({ "type": "left", "id": welcome["id"] })
    );
}

#[tokio::test]
async fn ws_auth_query_turns_away_before_the_upgrade_and_knows_who_comes_in() {
    let example = Example::start("ws_auth_query");
    let token = Tokens::new(example::SECRET)
        .unwrap()
        .mint("ann", Duration::from_secs(60));

    for (target, said) in [("/ws", "Missing token"), ("/ws?token=x", "Invalid token")] {
        let refused = connect_async(format!("ws://{}{target}", example.address)).await;
        let Err(Error::Http(response)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(response.status(), 401);
        assert_eq!(response.body().as_deref(), Some(said.as_bytes()));
    }
    let mut ann = connect(&example, &format!("/ws?token={token}")).await;
    assert_eq!(
        json(&mut ann).await,
        json!({ "type": "auth_ok", "user": "ann" })
    );
}

#[tokio::test]
async fn ws_auth_first_message_closes_with_1008_whoever_says_something_else() {
    let example = Example::start("ws_auth_first_message");
    let token = Tokens::new(example::SECRET)
        .unwrap()
        .mint("ann", Duration::from_secs(60));

    let mut ann = connect(&example, "/ws").await;
    let auth = json!({ "type": "auth", "token": token }).to_string();
    ann.send(Message::text(auth)).await.unwrap();
    assert_eq!(json(&mut ann).await, json!({ "type": "auth_ok" }));
    for (first, reason) in [
        (r#"{"type":"chat"}"#, "Not authenticated"),
        ("not JSON", "Not authenticated"),
        (r#"{"type":"auth"}"#, "Authentication failed"),
        (r#"{"type":"auth","token":"x"}"#, "Authentication failed"),
    ] {
        let mut stranger = connect(&example, "/ws").await;
        stranger.send(Message::text(first)).await.unwrap();
        assert_eq!(
            close(&mut stranger).await,
            (1008, reason.to_owned()),
            "{first}"
        );
    }
}

#[tokio::test]
async fn axum_chat_shows_to_all_what_one_says_and_ends_in_good_order() {
    let mut example = Example::start("axum_chat");
    assert!(
        http::get(example.address, "/")
            .await
            .text()
            .contains("/chat")
    );
    let (mut ann, mut bob) = (
        connect(&example, "/chat").await,
        connect(&example, "/chat").await,
    );

    ann.send(Message::text("Hello")).await.unwrap();
    assert_eq!(next(&mut ann).await, Message::text("Hello"));
    assert_eq!(next(&mut bob).await, Message::text("Hello"));

    example.interrupt();
    for socket in [&mut ann, &mut bob] {
        assert_eq!(
            close(socket).await,
            (1012, "Server shutting down".to_owned())
        );
        let _ = socket.close(None).await;
    }
    assert!(example.ended_well());
}

#[tokio::test]
async fn socketio_chat_joins_tells_sends_and_whispers_to_who_has_a_token() {
    let example = Example::start("socketio_chat");
    let tokens = Tokens::new(example::SECRET).unwrap();
    let [ann, bob] = ["ann", "bob"].map(|user| tokens.mint(user, Duration::from_secs(60)));
    let mut stranger = connect(&example, SOCKETIO).await;
    packet(&mut stranger, "0{").await;
    stranger.send(Message::text("40")).await.unwrap();
    assert!(
        packet(&mut stranger, "44")
            .await
            .contains("Authentication failed")
    );

    let mut ann = joined(&example, &ann).await;
    let mut bob = joined(&example, &bob).await;
    ann.send(Message::text(r#"42["room:join","lobby"]"#))
        .await
        .unwrap();
    ann.send(Message::text(
        r#"421["message:send",{"roomId":"lobby","content":"alone"}]"#,
    ))
    .await
    .unwrap();
    assert_eq!(packet(&mut ann, "431").await, r#"431[{"status":"ok"}]"#);
    bob.send(Message::text(r#"42["room:join","lobby"]"#))
        .await
        .unwrap();
    assert_eq!(
        packet(&mut ann, r#"42["user:joined"#).await,
        r#"42["user:joined",{"userId":"bob"}]"#
    );
    ann.send(Message::text(
        r#"42["message:send",{"roomId":"lobby","content":"Hello"}]"#,
    ))
    .await
    .unwrap();
    let heard = packet(&mut bob, "42").await;
    assert_eq!(
        heard,
        r#"42["message:new",{"content":"Hello","userId":"ann"}]"#
    );
    bob.send(Message::text(r#"42["typing:start","lobby"]"#))
        .await
        .unwrap();
    assert!(packet(&mut ann, r#"42["user:typing"#).await.contains("bob"));
}

const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";

/// A Socket.IO client in the main namespace.
async fn joined(example: &Example, token: &str) -> Socket {
    let mut socket = connect(example, SOCKETIO).await;
    packet(&mut socket, "0{").await;
    let connect = format!("40{}", json!({ "token": token }));
    let sent = socket.send(Message::text(connect)).await;
    sent.expect("the example reads");
    packet(&mut socket, "40").await;
    socket
}

/// The next packet that begins like this; others are passed over.
async fn packet(socket: &mut Socket, start: &str) -> String {
    loop {
        let text = next(socket).await.into_text().expect("text").to_string();
        if text.starts_with(start) {
            return text;
        }
    }
}

#[test]
fn each_example_is_as_short_as_the_same_in_node() {
    // The lines of the guide's snippets that are code, with those that make them programs.
    for (name, node) in [
        ("ws_echo", 39),
        ("ws_auth_query", 21),
        ("ws_auth_first_message", 24),
        ("axum_chat", 29),
        ("socketio_chat", 51),
    ] {
        let lines = code_lines(name);
        assert!(lines <= node, "{name}: {lines} lines, {node} in Node");
    }
}
