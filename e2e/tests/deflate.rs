//! Compression (RFC 7692): agreed on when both want it, with every window, never with a context taken over.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use flate2::{Decompress, FlushDecompress};
use nuncio_e2e::raw::Frame;
use nuncio_e2e::{Client, Raw, TestServer, raw};
use nuncio_websocket::{Compression, Deflater, Mask, MessageKind, WindowBits};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// FIN, RSV1, text.
const COMPRESSED: u8 = 0xc1;
const ON: [&str; 2] = ["deflate.enabled=true", "deflate.threshold=100"];

#[tokio::test]
async fn it_is_off_unless_it_is_written() {
    let server = TestServer::start("").await;

    let ann = join(&server, "ann", "permessage-deflate").await;

    assert_eq!(ann.answer.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn it_is_agreed_on_without_context_takeover() {
    let server = TestServer::set(&ON).await;

    let ann = join(&server, "ann", "permessage-deflate; client_max_window_bits").await;

    let agreed = ann.answer.header("sec-websocket-extensions").unwrap();
    assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
    assert!(
        agreed.contains("server_no_context_takeover")
            && agreed.contains("client_no_context_takeover"),
        "{agreed}"
    );
}

#[tokio::test]
async fn the_first_offer_that_can_be_met_is_taken() {
    let server = TestServer::set(&ON).await;

    let offers = "x-unknown, permessage-deflate; server_max_window_bits=99, permessage-deflate; server_max_window_bits=10";
    let ann = join(&server, "ann", offers).await;

    let agreed = ann.answer.header("sec-websocket-extensions").unwrap();
    assert!(agreed.contains("server_max_window_bits=10"), "{agreed}");
}

#[tokio::test]
async fn small_messages_are_sent_as_they_are_and_larger_ones_compressed() {
    let server = TestServer::set(&ON).await;
    let mut ann = join(&server, "ann", "permessage-deflate").await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;

    bob.publish("quiet", &"x".repeat(10)).await;
    bob.publish("quiet", &"x".repeat(5000)).await;

    // The frame around it is larger than the threshold by itself; what is smaller is the reply to a ping.
    assert_eq!(content(&publication(&mut ann).await, 15), "x".repeat(10));
    let frame = publication(&mut ann).await;
    assert_eq!(frame.first, COMPRESSED);
    assert!(frame.payload.len() < 500, "{} bytes", frame.payload.len());
    assert_eq!(content(&frame, 15), "x".repeat(5000));
    ann.send_json(&json!({"type": "ping"})).await;
    assert_eq!(ann.frame().await.unwrap().first, raw::TEXT);
}

#[tokio::test]
async fn each_window_is_kept_to() {
    let server = TestServer::set(&ON).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let mut members = Vec::new();
    for bits in 9..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        members.push((bits, join(&server, "ann", &offer).await));
    }

    // What repeats farther back than a small window reaches must not be referred to.
    let text: String = (0..40_000_u32)
        .map(|n| char::from(b'a' + ((n.wrapping_mul(2_654_435_761) >> 16) % 26) as u8))
        .collect();
    let text = format!("{text}{}", &text[..15_000]);
    bob.publish("quiet", &text).await;

    for (bits, member) in &mut members {
        let frame = publication(member).await;
        assert_eq!(frame.first, COMPRESSED);
        assert_eq!(content(&frame, *bits), text, "a window of {bits} bits");
    }
}

#[tokio::test]
async fn a_window_of_8_bits_is_declined_or_kept_to() {
    let server = TestServer::set(&ON).await;

    let ann = join(
        &server,
        "ann",
        "permessage-deflate; server_max_window_bits=8",
    )
    .await;

    // zlib makes no such stream; agreeing would be a lie.
    assert_eq!(ann.answer.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn one_frame_is_shared_and_the_same_message_makes_the_same_bytes() {
    let server = TestServer::set(&ON).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let mut members = Vec::new();
    for user in ["a", "b", "c"] {
        members.push(join(&server, user, "permessage-deflate").await);
    }
    // The first message of a room is longer: it names the epoch.
    bob.publish("quiet", "first").await;
    for member in &mut members {
        publication(member).await;
    }
    let before = server.metric("nuncio_encodes_total").await;

    let text = "the same again and again ".repeat(100);
    for _ in 0..2 {
        bob.publish("quiet", &text).await;
    }

    let mut firsts = Vec::new();
    for member in &mut members {
        let (first, second) = (publication(member).await, publication(member).await);
        // With a context taken over, the second would be a few bytes long, and not be readable by itself.
        assert_eq!(
            (content(&first, 15), content(&second, 15)),
            (text.clone(), text.clone())
        );
        assert!(second.payload.len().abs_diff(first.payload.len()) < 20);
        firsts.push(first);
    }
    assert!(firsts.iter().all(|frame| *frame == firsts[0]));
    assert_eq!(server.metric("nuncio_encodes_total").await - before, 2.0);
}

#[tokio::test]
async fn compressed_messages_of_a_client_are_read() {
    let server = TestServer::set(&ON).await;
    let mut ann = join(&server, "ann", "permessage-deflate").await;
    let mut deflater = Deflater::new();

    for n in 0..3 {
        let message = json!({"type": "chat:message", "roomId": "quiet", "content": format!("{n}").repeat(300)});
        let compression = Compression::Deflate {
            deflater: &mut deflater,
            window: WindowBits::new(15).unwrap(),
        };
        let key = Mask::Key([1, 2, 3, n]);
        let frame = nuncio_websocket::encode(
            MessageKind::Text,
            message.to_string().as_bytes(),
            compression,
            key,
        );
        assert_eq!(frame[0], COMPRESSED);
        ann.stream.write_all(&frame).await.unwrap();
        assert_eq!(
            content(&publication(&mut ann).await, 15),
            format!("{n}").repeat(300)
        );
    }
}

#[tokio::test]
async fn a_compressed_message_that_nobody_agreed_on_closes_with_1002() {
    let server = TestServer::start("").await;
    let mut ann = join(&server, "ann", "permessage-deflate").await;

    ann.send(COMPRESSED, &[0]).await;

    assert_eq!(ann.closed().await.0, 1002);
}

#[tokio::test]
async fn members_with_and_without_compression_see_the_same() {
    let server = TestServer::set(&ON).await;
    let mut ann = join(&server, "ann", "permessage-deflate").await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    bob.join("quiet").await;
    let text = "✓ text ".repeat(100);

    bob.publish("quiet", &text).await;

    assert_eq!(bob.expect("chat:message").await["content"], text);
    assert_eq!(content(&publication(&mut ann).await, 15), text);
}

async fn join(server: &TestServer, user: &str, offer: &str) -> Raw {
    let target = format!("/ws?token={}", server.token(user));
    let headers = [("Sec-WebSocket-Extensions", offer)];
    let mut client = Raw::connect(server.address, &target, &headers).await;
    client
        .send_json(&json!({"type": "room:join", "roomId": "quiet", "id": 1}))
        .await;
    while text_of(&client.frame().await.unwrap(), 15)["ack"] != 1 {}
    client
}

/// The next frame with a publication.
async fn publication(client: &mut Raw) -> Frame {
    loop {
        let frame = client.frame().await.unwrap();
        if text_of(&frame, 15)["type"] == "chat:message" {
            return frame;
        }
    }
}

fn content(frame: &Frame, bits: u8) -> String {
    text_of(frame, bits)["content"].as_str().unwrap().to_owned()
}

/// A text frame, inflated by another library with a window of its own where it is compressed.
fn text_of(frame: &Frame, bits: u8) -> Value {
    match frame.first {
        raw::TEXT => serde_json::from_slice(&frame.payload).unwrap(),
        COMPRESSED => serde_json::from_slice(&inflate(&frame.payload, bits)).unwrap(),
        _ => Value::Null,
    }
}

fn inflate(payload: &[u8], bits: u8) -> Vec<u8> {
    let mut input = payload.to_vec();
    input.extend([0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(200_000);
    let mut inflater = Decompress::new_with_window_bits(false, bits);
    inflater
        .decompress_vec(&input, &mut out, FlushDecompress::Sync)
        .expect("the stream keeps to its window");
    out
}
