//! The client against a scripted server.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_engineio::client::{CloseReason, Config, Connection, Output};
use nuncio_engineio::{Frame, Message, Packet, Transport};

use crate::network::start;

const OPEN: &str = r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":20}"#;

#[test]
fn the_handshake_is_a_get_without_a_sid_and_later_requests_have_it() {
    let mut connection = Connection::new(start(), Config::default());
    assert_eq!(
        connection.query(Transport::Polling),
        "EIO=4&transport=polling"
    );
    assert_eq!(outputs(&mut connection), [Output::Get]);

    connection.handle_get_response(start(), 200, OPEN.into());

    let seen = outputs(&mut connection);
    assert!(
        matches!(&seen[..], [Output::Opened(open), Output::OpenSocket, Output::Get] if open.sid == "abc")
    );
    assert_eq!(
        connection.query(Transport::WebSocket),
        "EIO=4&transport=websocket&sid=abc"
    );
}

#[test]
fn posts_hold_as_much_as_the_server_takes() {
    let (mut connection, _) = polling();
    for text in ["123456789", "abcdefghi", "x"] {
        connection.send(Packet::text(text).encode());
    }

    assert_eq!(
        outputs(&mut connection),
        [Output::Post("4123456789".into())]
    );
    connection.handle_post_response(200);

    assert_eq!(
        outputs(&mut connection),
        [Output::Post("4abcdefghi\x1e4x".into())]
    );
}

#[test]
fn a_packet_larger_than_the_server_takes_goes_alone() {
    let (mut connection, _) = polling();
    connection.send(Frame::Binary(Bytes::from(vec![0; 30])));

    let seen = outputs(&mut connection);
    assert!(matches!(&seen[..], [Output::Post(body)] if body.len() == 41));
}

#[test]
fn a_refused_handshake_or_request_ends_the_connection() {
    let mut connection = Connection::new(start(), Config::default());
    outputs(&mut connection);
    connection.handle_get_response(start(), 400, Bytes::new());
    assert_eq!(
        outputs(&mut connection),
        [Output::Closed(CloseReason::TransportError)]
    );

    let (mut connection, now) = polling();
    let end = [
        Output::CloseSocket,
        Output::Closed(CloseReason::TransportError),
    ];
    connection.handle_get_response(now, 400, Bytes::new());
    assert_eq!(outputs(&mut connection), end);

    let (mut connection, _) = polling();
    connection.handle_request_failed();
    assert_eq!(outputs(&mut connection), end);
}

#[test]
fn a_first_packet_that_is_no_handshake_ends_the_connection() {
    for body in ["4hi", "0{}", "0nonsense", "", "x"] {
        let mut connection = Connection::new(start(), Config::default());
        outputs(&mut connection);

        connection.handle_get_response(start(), 200, body.into());

        let end = [Output::Closed(CloseReason::ParseError)];
        assert_eq!(outputs(&mut connection), end, "{body:?}");
    }
}

#[test]
fn a_handshake_takes_twenty_seconds_at_most() {
    let now = start();
    let mut connection = Connection::new(now, Config::default());
    outputs(&mut connection);

    let dead_at = now + Duration::from_secs(20);
    assert_eq!(connection.poll_timeout(), Some(dead_at));
    connection.handle_timeout(dead_at);

    assert_eq!(
        outputs(&mut connection),
        [Output::Closed(CloseReason::ConnectTimeout)]
    );
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn pings_are_answered_and_a_silent_server_is_given_up() {
    let (mut connection, now) = polling();
    let later = now + Duration::from_millis(400);
    connection.handle_get_response(later, 200, "2".into());
    assert_eq!(
        outputs(&mut connection),
        [Output::Post("3".into()), Output::Get]
    );

    let dead_at = later + Duration::from_millis(500);
    assert_eq!(connection.poll_timeout(), Some(dead_at));
    connection.handle_timeout(dead_at);

    assert_eq!(
        outputs(&mut connection),
        [
            Output::CloseSocket,
            Output::Closed(CloseReason::PingTimeout)
        ]
    );
}

#[test]
fn the_upgrade_waits_for_the_requests_under_way() {
    let (mut connection, now) = probing();
    connection.send(Packet::text("a").encode());
    assert_eq!(outputs(&mut connection), [Output::Post("4a".into())]);

    connection.handle_frame(now, Frame::Text("3probe".into()));
    connection.send(Packet::text("b").encode());
    assert_eq!(outputs(&mut connection), []);
    connection.handle_get_response(now, 200, "4x".into());
    let message = Message::Text("x".into());
    assert_eq!(outputs(&mut connection), [Output::Message(message)]);
    connection.handle_post_response(200);

    assert_eq!(
        outputs(&mut connection),
        [
            Output::Send(text("5")),
            Output::Upgraded,
            Output::Send(text("4b"))
        ]
    );
    assert_eq!(connection.transport(), Some(Transport::WebSocket));
}

#[test]
fn a_failed_probe_leaves_polling_as_it_was() {
    let (mut connection, now) = probing();
    connection.handle_frame(now, Frame::Text("4no".into()));
    assert_eq!(outputs(&mut connection), [Output::CloseSocket]);

    let (mut connection, _) = probing();
    connection.handle_socket_end();
    connection.send(Packet::text("a").encode());
    assert_eq!(outputs(&mut connection), [Output::Post("4a".into())]);
}

#[test]
fn close_posts_a_close_packet_after_what_waits() {
    let mut config = Config::default();
    config.upgrade = false;
    let now = start();
    let mut connection = Connection::new(now, config);
    outputs(&mut connection);
    connection.handle_get_response(now, 200, OPEN.into());
    outputs(&mut connection);

    connection.send(Packet::text("bye").encode());
    connection.close();
    assert_eq!(outputs(&mut connection), [Output::Post("4bye\x1e1".into())]);
    connection.handle_get_response(now, 200, "6".into());
    connection.handle_post_response(200);

    assert_eq!(
        outputs(&mut connection),
        [Output::Closed(CloseReason::ForcedClose)]
    );
}

/// A client that polls, its upgrade's WebSocket not yet open.
fn polling() -> (Connection, Instant) {
    let now = start();
    let mut connection = Connection::new(now, Config::default());
    outputs(&mut connection);
    connection.handle_get_response(now, 200, OPEN.into());
    outputs(&mut connection);
    (connection, now)
}

fn probing() -> (Connection, Instant) {
    let (mut connection, now) = polling();
    connection.handle_socket_open();
    assert_eq!(outputs(&mut connection), [Output::Send(text("2probe"))]);
    (connection, now)
}

fn text(text: &'static str) -> Frame {
    Frame::Text(Bytes::from_static(text.as_bytes()))
}

fn outputs(connection: &mut Connection) -> Vec<Output> {
    std::iter::from_fn(|| connection.poll_output()).collect()
}
