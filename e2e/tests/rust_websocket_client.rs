//! The Rust WebSocket client against the server that most of the world runs: Node's `ws`.

use nuncio_client::websocket::{
    ClientConfig, DeflateConfig, Event, Events, Message, MessageKind, WebSocket,
};
use nuncio_e2e::{PATIENCE, Reference};
use serde_json::{Value, json};
use tokio::time::timeout;

#[tokio::test]
async fn text_and_binary_are_echoed_and_the_request_carries_what_was_asked_for() {
    let server = Reference::websocket(&json!({}));
    let config = ClientConfig::new(format!("ws://{}/room?x=1", server.address))
        .subprotocol("chat.v1")
        .subprotocol("chat.v2")
        .header("x-test", "7");
    let (socket, mut events) = WebSocket::connect(config);
    let Event::Open { subprotocol } = next(&mut events).await else {
        panic!("not open");
    };
    assert_eq!(subprotocol.as_deref(), Some("chat.v2"));

    socket.send("who").await.unwrap();
    let who: Value = serde_json::from_str(&text(&mut events).await).unwrap();
    assert_eq!(
        who,
        json!({"header": "7", "path": "/room?x=1", "extensions": ""})
    );
    for message in [
        Message::from("Grüße 😀"),
        Message::Binary(vec![0, 255, 7].into()),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(message_of(&mut events).await, message);
    }
}

#[tokio::test]
async fn close_codes_and_reasons_come_through_in_both_directions() {
    let server = Reference::websocket(&json!({}));
    let (socket, mut events) = open(&server).await;
    socket.send("close 4321").await.unwrap();
    assert_eq!(end(&mut events).await, (4321, "as asked".to_owned(), true));

    let (socket, mut events) = open(&server).await;
    socket.close(3210, "enough").await.unwrap();
    assert_eq!(end(&mut events).await, (3210, "enough".to_owned(), true));

    let (socket, mut events) = open(&server).await;
    socket.send("terminate").await.unwrap();
    assert!(matches!(next(&mut events).await, Event::Error(_)));
    assert_eq!(end(&mut events).await, (1006, String::new(), false));
}

#[tokio::test]
async fn permessage_deflate_is_agreed_on_and_used() {
    let server = Reference::websocket(&json!({"perMessageDeflate": {"threshold": 0}}));
    let mut config = ClientConfig::new(format!("ws://{}/", server.address));
    config.deflate = Some(DeflateConfig::default());
    let (socket, mut events) = WebSocket::connect(config);
    assert!(matches!(next(&mut events).await, Event::Open { .. }));

    socket.send("who").await.unwrap();
    let who: Value = serde_json::from_str(&text(&mut events).await).unwrap();
    assert_eq!(who["extensions"], "permessage-deflate");
    for length in [0, 1, 1000, 300_000] {
        let message = Message::Text("nuncio ".repeat(length));
        socket.send(message.clone()).await.unwrap();
        assert!(message_of(&mut events).await == message, "{length}");
    }
}

#[tokio::test]
async fn streams_go_there_and_come_back_in_pieces() {
    const LEN: usize = 3_000_000;
    let server = Reference::websocket(&json!({"perMessageDeflate": false}));
    let mut config = ClientConfig::new(format!("ws://{}/", server.address));
    config.piece_bytes_min = Some(10_000);
    let (socket, mut events) = WebSocket::connect(config);
    assert!(matches!(next(&mut events).await, Event::Open { .. }));
    let bytes: Vec<u8> = (0..LEN).map(|place| (place & 255) as u8).collect();

    let sent = socket.send_stream(MessageKind::Binary, &bytes[..]).await;
    assert_eq!(sent.unwrap(), LEN as u64);
    assert!(pieces(&mut events).await.0 == bytes, "the echo");

    socket.send(format!("fragments {LEN}")).await.unwrap();
    let (joined, count) = pieces(&mut events).await;
    assert!(joined == bytes && count > 1, "{count} pieces");
}

async fn open(server: &Reference) -> (WebSocket, Events) {
    let config = ClientConfig::new(format!("ws://{}/", server.address));
    let (socket, mut events) = WebSocket::connect(config);
    assert!(matches!(next(&mut events).await, Event::Open { .. }));
    (socket, events)
}

/// A message in pieces, and how many there were.
async fn pieces(events: &mut Events) -> (Vec<u8>, usize) {
    let (mut joined, mut count) = (Vec::new(), 0);
    loop {
        let Event::Piece(piece) = next(events).await else {
            panic!("not a piece");
        };
        joined.extend_from_slice(&piece.bytes);
        count += 1;
        if piece.is_last {
            return (joined, count);
        }
    }
}

async fn text(events: &mut Events) -> String {
    match message_of(events).await {
        Message::Text(text) => text,
        Message::Binary(bytes) => panic!("{bytes:?}"),
    }
}

async fn message_of(events: &mut Events) -> Message {
    match next(events).await {
        Event::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

async fn end(events: &mut Events) -> (u16, String, bool) {
    match next(events).await {
        Event::Close {
            code,
            reason,
            was_clean,
        } => (code.0, reason, was_clean),
        other => panic!("{other:?}"),
    }
}

async fn next(events: &mut Events) -> Event {
    let event = timeout(PATIENCE, events.next()).await;
    event.expect("it comes in time").expect("it goes on")
}
