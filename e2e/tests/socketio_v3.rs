//! Clients 2.x of Socket.IO (Engine.IO 3, Socket.IO protocol 4), byte by byte.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio_e2e::http::get;
use nuncio_e2e::polling::{Poller, Version, framed};
use nuncio_e2e::raw::{Raw, TEXT};
use nuncio_e2e::{Client, TestServer};

const ALLOWED: &str = "[socketio]\nallow_eio3 = true";
const BINARY: u8 = 0x82;

/// An event with a placeholder, for whose attachment the room is the board.
const DRAW: &str = r#"451-1["event",{"roomId":"board","event":"draw","data":[{"_placeholder":true,"num":0},"end"]}]"#;
/// What members of the room get of it.
const DRAWN: &str = r#"451-["draw",{"_placeholder":true,"num":0},"end"]"#;

#[tokio::test]
async fn clients_2x_are_refused_until_they_are_allowed() {
    let server = TestServer::start("").await;

    for query in ["EIO=3&", ""] {
        let path = format!("/socket.io/?{query}transport=polling");
        let answer = get(server.address, &path).await;
        let expected = r#"{"code":5,"message":"Unsupported protocol version"}"#;
        assert_eq!((answer.status, &*answer.text()), (400, expected));
    }
}

#[tokio::test]
async fn a_polling_client_2x_joins_the_main_namespace_unasked_and_talks_with_a_native_one() {
    let server = TestServer::start(ALLOWED).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    let bob = enter(&server, "bob", "").await;

    bob.post(r#"421["room:join","lobby"]"#).await;
    bob.poll_until("431").await;
    // Lengths count UTF-16 units: each of these is two.
    bob.post(r#"422["message:send",{"roomId":"lobby","content":"🐎🐎"}]"#)
        .await;

    assert_eq!(ann.expect("chat:message").await["content"], "🐎🐎");
    let came = bob.poll_until("🐎🐎").await;
    assert!(lengths_are_right(&came), "{came}");
}

#[tokio::test]
async fn a_client_2x_that_is_refused_gets_the_data_as_an_error() {
    let server = TestServer::start(ALLOWED).await;
    let refused = r#"44{"code":"NOT_AUTHENTICATED","message":"Invalid token"}"#;

    let bob = Poller::open(server.address, Version::V3, "&token=wrong").await;
    assert_eq!(bob.get().await.text(), framed(refused));

    let path = "/socket.io/?EIO=3&transport=websocket&token=wrong";
    let mut socket = Raw::connect(server.address, path, &[]).await;
    socket.frame().await.unwrap();
    assert_eq!(socket.frame().await.unwrap().payload, refused.as_bytes());
}

#[tokio::test]
async fn binary_data_reaches_each_kind_of_client_in_its_form() {
    let server = TestServer::start(ALLOWED).await;
    let mut old = websocket(&server, "EIO=3", "old").await;
    let mut new = websocket(&server, "EIO=4", "new").await;
    let mut text = websocket(&server, "EIO=3&b64=1", "text").await;
    let polling = enter(&server, "polling", "").await;
    let polling_text = enter(&server, "polling-text", "&b64=1").await;
    for poller in [&polling, &polling_text] {
        poller.post(r#"420["room:join","board"]"#).await;
        poller.poll_until("430").await;
    }

    old.send(TEXT, DRAW.as_bytes()).await;
    old.send(BINARY, &[4, 0x1e, 0, 255]).await;

    for (socket, first, payload) in [
        (&mut old, BINARY, &[4, 0x1e, 0, 255][..]),
        (&mut new, BINARY, &[0x1e, 0, 255]),
        (&mut text, TEXT, b"b4HgD/"),
    ] {
        until(socket, DRAWN).await;
        let attachment = socket.frame().await.unwrap();
        assert_eq!(
            (attachment.first, &attachment.payload[..]),
            (first, payload)
        );
    }
    let expected = [
        &[0, 4, 8, 255],
        DRAWN.as_bytes(),
        &[1, 4, 255, 4, 0x1e, 0, 255],
    ];
    let answer = polled(&polling, "draw").await;
    assert!(answer.ends_with(&expected.concat()), "{answer:?}");
    let expected = framed(DRAWN) + &framed("b4HgD/");
    let answer = polled(&polling_text, "draw").await;
    assert!(answer.ends_with(expected.as_bytes()), "{answer:?}");
}

#[tokio::test]
async fn a_polling_client_2x_sends_binary_data_in_both_payloads() {
    let server = TestServer::start(ALLOWED).await;
    let mut member = websocket(&server, "EIO=4", "member").await;
    let bob = enter(&server, "bob", "").await;

    let length: Vec<u8> = DRAW
        .len()
        .to_string()
        .bytes()
        .map(|digit| digit - b'0')
        .collect();
    let body = [
        &[0][..],
        &length,
        &[255],
        DRAW.as_bytes(),
        &[1, 4, 255, 4, 7, 8, 9],
    ]
    .concat();
    assert_eq!(bob.post_bytes(&body).await.text(), "ok");
    until(&mut member, DRAWN).await;
    assert_eq!(member.frame().await.unwrap().payload, [7, 8, 9]);

    bob.post(DRAW).await;
    bob.post("b4CQgH").await;
    until(&mut member, DRAWN).await;
    assert_eq!(member.frame().await.unwrap().payload, [9, 8, 7]);
}

#[tokio::test]
async fn a_client_2x_upgrades_without_losing_a_message_and_pings_on_the_new_transport() {
    let server = TestServer::start(ALLOWED).await;
    let bob = enter(&server, "bob", "").await;
    bob.post(r#"421["room:join","board"]"#).await;
    bob.poll_until("431").await;
    let mut socket = bob.websocket().await;
    socket.send(TEXT, b"2probe").await;
    assert_eq!(socket.frame().await.unwrap().payload, b"3probe");

    // It waits for a poll that does not come, with its attachment.
    bob.post(DRAW).await;
    bob.post("b4CQgH").await;
    socket.send(TEXT, b"5").await;

    until(&mut socket, DRAWN).await;
    assert_eq!(socket.frame().await.unwrap().payload, [4, 9, 8, 7]);
    socket.send(TEXT, b"2").await;
    until(&mut socket, "3").await;
}

#[tokio::test]
async fn another_namespace_takes_the_token_of_its_query_or_that_of_the_connection() {
    let namespaces = r#"grants.namespaces=["/", "/chat"]"#;
    let server = TestServer::set(&["socketio.allow_eio3=true", namespaces]).await;
    let mut bob = websocket(&server, "EIO=3", "bob").await;

    bob.send(TEXT, b"40/chat?token=wrong,").await;
    let refused = r#"44/chat,{"code":"NOT_AUTHENTICATED","message":"Invalid token"}"#;
    until(&mut bob, refused).await;
    let connect = format!("40/chat?token={},", server.token("bob"));
    bob.send(TEXT, connect.as_bytes()).await;
    until(&mut bob, "40/chat,").await;
    bob.send(TEXT, b"41/chat,").await;
    bob.send(TEXT, b"40/chat,").await;
    until(&mut bob, "40/chat,").await;

    bob.send(TEXT, br#"42/chat,1["room:join","lobby"]"#).await;
    until_begins(&mut bob, r#"43/chat,1[{"status":"ok""#).await;
}

#[tokio::test]
async fn a_silent_client_2x_is_gone_after_interval_and_timeout() {
    let config = format!("{ALLOWED}\nping_interval = \"300ms\"\nping_timeout = \"200ms\"");
    let server = TestServer::start(&config).await;
    let bob = enter(&server, "bob", "").await;

    let begun = std::time::Instant::now();
    while bob.get().await.status == 200 {}

    let gone = begun.elapsed().as_millis();
    assert!((300..1_500).contains(&gone), "{gone} ms");
}

/// A client that polls, in `/`.
async fn enter(server: &TestServer, user: &str, query: &str) -> Poller {
    let query = format!("&token={}{query}", server.token(user));
    let poller = Poller::open(server.address, Version::V3, &query).await;
    assert!(lengths_are_right(&poller.opened.text()));
    assert_eq!(poller.get().await.text(), "2:40");
    poller
}

/// A client over a WebSocket, in `/` and on the board.
async fn websocket(server: &TestServer, query: &str, user: &str) -> Raw {
    let token = server.token(user);
    let path = format!("/socket.io/?{query}&transport=websocket&token={token}");
    let mut socket = Raw::connect(server.address, &path, &[]).await;
    socket.frame().await.unwrap();
    if query.starts_with("EIO=4") {
        socket.send(TEXT, b"40").await;
    }
    until_begins(&mut socket, "40").await;
    socket.send(TEXT, br#"420["room:join","board"]"#).await;
    until_begins(&mut socket, "430").await;
    socket
}

async fn until(socket: &mut Raw, wanted: &str) {
    while socket.frame().await.unwrap().payload != wanted.as_bytes() {}
}

async fn until_begins(socket: &mut Raw, wanted: &str) {
    while !socket
        .frame()
        .await
        .unwrap()
        .payload
        .starts_with(wanted.as_bytes())
    {}
}

/// Polls until the answer has this text in it.
async fn polled(poller: &Poller, wanted: &str) -> Vec<u8> {
    loop {
        let answer = poller.get().await;
        if answer.text().contains(wanted) {
            return answer.body;
        }
    }
}

/// Whether a text payload is nothing but lengths and as many UTF-16 units.
fn lengths_are_right(payload: &str) -> bool {
    let mut rest = payload.trim_end();
    while let Some((length, after)) = rest.split_once(':') {
        let Ok(length) = length.trim_start().parse::<usize>() else {
            return false;
        };
        let units: Vec<u16> = after.encode_utf16().collect();
        let Some(packet) = units.get(..length).map(String::from_utf16_lossy) else {
            return false;
        };
        rest = after.strip_prefix(&packet).unwrap_or(after).trim_start();
    }
    rest.is_empty()
}
