//! Socket.IO clients that are written to in other ways than most: compressed, in MessagePack.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio_e2e::polling::{Poller, Version};
use nuncio_e2e::raw::{CLOSE, Frame, Raw, TEXT};
use nuncio_e2e::{Client, TestServer};
use nuncio_websocket::Inflater;

const DEFLATE: &str = "[socketio]\ndeflate = true\ndeflate_threshold = 200";
const OFFER: [(&str, &str); 1] = [("Sec-WebSocket-Extensions", "permessage-deflate")];
/// FIN, RSV1, text.
const COMPRESSED: u8 = 0xc1;
const BINARY: u8 = 0x82;

#[tokio::test]
async fn compression_is_off_unless_it_is_written() {
    let server = TestServer::start("").await;

    let path = "/socket.io/?EIO=4&transport=websocket";
    let socket = Raw::connect(server.address, path, &OFFER).await;

    assert_eq!(socket.answer.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn packets_from_the_threshold_on_are_compressed_once_for_all_with_the_same_window() {
    let server = TestServer::start(DEFLATE).await;
    let mut ann = member(&server, "ann", &OFFER).await;
    let mut bob = member(&server, "bob", &OFFER).await;
    let small = [(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; server_max_window_bits=9",
    )];
    let mut carl = member(&server, "carl", &small).await;
    let mut dave = member(&server, "dave", &[]).await;
    let (mut native, _) = Client::enter(&server.url("native")).await;
    let encodes = server.metric("nuncio_encodes_total").await;

    native.publish("lobby", &"x".repeat(5_000)).await;

    let frames = [
        received(&mut ann).await,
        received(&mut bob).await,
        received(&mut carl).await,
    ];
    let plain = received(&mut dave).await;
    assert_eq!(plain.first, TEXT);
    assert_eq!(frames[0], frames[1], "one frame for both");
    for frame in &frames {
        assert_eq!(frame.first, COMPRESSED);
        assert!(frame.payload.len() < 500, "{} bytes", frame.payload.len());
        assert_eq!(inflated(frame), plain.payload);
    }
    let more = server.metric("nuncio_encodes_total").await - encodes;
    assert_eq!(more, 3.0, "a window of 15 bits, one of 9, none");
    native.publish("lobby", "small").await;
    assert_eq!(received(&mut ann).await.first, TEXT);
}

#[tokio::test]
async fn a_client_may_compress_what_it_sends() {
    let server = TestServer::start(DEFLATE).await;
    let (mut native, _) = Client::enter(&server.url("native")).await;
    native.join("lobby").await;
    let mut ann = member(&server, "ann", &OFFER).await;
    let mut deflater = nuncio_websocket::Deflater::new();

    let content = "y".repeat(2_000);
    let packet = format!(r#"42["message:send",{{"roomId":"lobby","content":"{content}"}}]"#);
    let window = nuncio_websocket::WindowBits::MAX;
    let payload = deflater.deflate(packet.as_bytes(), window).to_vec();
    ann.send(COMPRESSED, &payload).await;

    assert_eq!(native.expect("chat:message").await["content"], content);
}

#[tokio::test]
async fn a_client_that_upgrades_gets_compressed_packets_from_then_on_in_all_its_rooms() {
    let server = TestServer::start(DEFLATE).await;
    let (mut native, _) = Client::enter(&server.url("native")).await;
    let bob = Poller::open(server.address, Version::V4, "").await;
    bob.post(&format!(r#"40{{"token":"{}"}}"#, server.token("bob")))
        .await;
    bob.post(r#"421["room:join","lobby"]"#).await;
    bob.post(r#"422["room:join","desk"]"#).await;
    bob.poll_until("432").await;
    native.publish("lobby", &"a".repeat(300)).await;
    bob.poll_until(&"a".repeat(300)).await;

    let mut socket = Raw::connect(server.address, &bob.websocket, &OFFER).await;
    socket.send(TEXT, b"2probe").await;
    assert_eq!(socket.frame().await.unwrap().payload, b"3probe");
    // Nobody fetches this any more: it is written as for a poll.
    native.publish("lobby", &"b".repeat(300)).await;
    socket.send(TEXT, b"5").await;
    let missed = received(&mut socket).await;
    assert_eq!(missed.first, TEXT);
    native.publish("lobby", &"c".repeat(300)).await;
    native.publish("desk", &"d".repeat(300)).await;

    let mut letters = Vec::new();
    for _ in 0..2 {
        let frame = received(&mut socket).await;
        assert_eq!(frame.first, COMPRESSED);
        let text = inflated(&frame);
        letters.extend("cd".bytes().filter(|letter| {
            let content = vec![*letter; 300];
            text.windows(300).any(|part| part == content)
        }));
    }
    letters.sort_unstable();
    assert_eq!(letters, b"cd");
}

#[tokio::test]
async fn clients_of_both_parsers_meet_in_one_room() {
    let server = TestServer::start("").await;
    let mut ann = member(&server, "ann", &[]).await;
    let mut bob = packed(&server, "bob").await;

    // {type: 2, data: ["event", {roomId: "lobby", event: "draw", data: [<bytes 01 02>, "end"]}], nsp: "/"}
    let data =
        b"\x92\xa5event\x83\xa6roomId\xa5lobby\xa5event\xa4draw\xa4data\x92\xc4\x02\x01\x02\xa3end";
    bob.send(BINARY, &packet(2, Some(data), None)).await;

    assert_eq!(
        received(&mut ann).await.payload,
        br#"451-["draw",{"_placeholder":true,"num":0},"end"]"#
    );
    assert_eq!(ann.frame().await.unwrap().payload, [1, 2]);
    let heard = bob.frame().await.unwrap();
    let expected = packet(2, Some(b"\x93\xa4draw\xc4\x02\x01\x02\xa3end"), None);
    assert_eq!((heard.first, heard.payload), (BINARY, expected));
}

#[tokio::test]
async fn an_endpoint_of_one_parser_closes_clients_of_the_other() {
    let server = TestServer::start("[socketio]\nparser = \"msgpack\"").await;
    let mut bob = packed(&server, "bob").await;
    bob.send(BINARY, &packet(1, None, None)).await;
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut ann = Raw::connect(server.address, path, &[]).await;
    ann.frame().await.unwrap();

    ann.send(TEXT, b"40{}").await;

    let close = ann.frame().await.unwrap();
    assert_eq!((close.first, &close.payload[..]), (CLOSE, &[][..]));
}

#[tokio::test]
async fn a_messagepack_client_polls_in_base64() {
    let server = TestServer::start("").await;
    let bob = Poller::open(server.address, Version::V4, "").await;

    // {type: 0, nsp: "/"}
    bob.post("bgqR0eXBlAKNuc3ChLw==").await;

    // {type: 4, data: {message: "Authentication failed", ...
    let answer = bob.get().await.text();
    assert!(answer.starts_with("bg6R0eXBlBKRkYXRhg"), "{answer}");
}

/// A client in `/` and in the lobby.
async fn member(server: &TestServer, user: &str, headers: &[(&str, &str)]) -> Raw {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socket = Raw::connect(server.address, path, headers).await;
    socket.frame().await.unwrap();
    let connect = format!(r#"40{{"token":"{}"}}"#, server.token(user));
    socket.send(TEXT, connect.as_bytes()).await;
    socket.frame().await.unwrap();
    socket.send(TEXT, br#"420["room:join","lobby"]"#).await;
    while !socket.frame().await.unwrap().payload.starts_with(b"430") {}
    socket
}

/// The same with the MessagePack parser.
async fn packed(server: &TestServer, user: &str) -> Raw {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socket = Raw::connect(server.address, path, &[]).await;
    socket.frame().await.unwrap();
    let token = server.token(user);
    let length = u16::try_from(token.len()).unwrap().to_be_bytes();
    let auth = [b"\x81\xa5token\xda", &length[..], token.as_bytes()].concat();
    socket.send(BINARY, &packet(0, Some(&auth), None)).await;
    let connected = socket.frame().await.unwrap();
    assert!(
        connected
            .payload
            .starts_with(b"\x83\xa4type\x00\xa4data\x81\xa3sid\xb4")
    );
    let join = packet(2, Some(b"\x92\xa9room:join\xa5lobby"), Some(0));
    socket.send(BINARY, &join).await;
    while !socket
        .frame()
        .await
        .unwrap()
        .payload
        .starts_with(b"\x84\xa4type\x03")
    {}
    socket
}

/// A packet as `socket.io-msgpack-parser` writes it.
fn packet(kind: u8, data: Option<&[u8]>, id: Option<u8>) -> Vec<u8> {
    let members = 2 + u8::from(data.is_some()) + u8::from(id.is_some());
    let mut bytes = vec![0x80 | members];
    bytes.extend(b"\xa4type");
    bytes.push(kind);
    if let Some(data) = data {
        bytes.extend(b"\xa4data");
        bytes.extend(data);
    }
    if let Some(id) = id {
        bytes.extend(b"\xa2id");
        bytes.push(id);
    }
    bytes.extend(b"\xa3nsp\xa1/");
    bytes
}

/// The next message of the room: the comings and goings before it are passed over.
async fn received(socket: &mut Raw) -> Frame {
    loop {
        let frame = socket.frame().await.unwrap();
        let text = if frame.first == COMPRESSED {
            inflated(&frame)
        } else {
            frame.payload.clone()
        };
        let text = String::from_utf8_lossy(&text);
        if text.contains("message:new") || text.contains("draw") {
            return frame;
        }
    }
}

fn inflated(frame: &Frame) -> Vec<u8> {
    let mut inflater = Inflater::new();
    inflater
        .inflate(&frame.payload, 1_000_000)
        .unwrap()
        .to_vec()
}
