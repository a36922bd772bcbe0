//! Protocol v4 and v3, "WebSocket".

use bytes::Bytes;
use nuncio_engineio::server::{Close, CloseReason, Connection, SocketEnd};
use nuncio_engineio::{BinarySupport, Frame, Packet, Protocol, Transport};

use crate::peer::{Peer, Seen, config, framed, message, start};

const V4: Protocol = Protocol::V4;
const V3: Protocol = Protocol::V3;
const BYTES: BinarySupport = BinarySupport::Bytes;

#[test]
fn the_handshake_is_the_first_frame_and_offers_no_upgrades() {
    let config = std::sync::Arc::new(config());
    let now = start();

    let (mut connection, socket) = Connection::websocket(now, config, "the-sid", V4, BYTES);

    let output = connection.poll_output().map(Seen::from);
    let open = r#"0{"sid":"the-sid","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#;
    assert_eq!(output, Some(framed(socket, open)));
}

#[test]
fn text_and_binary_travel_both_ways() {
    let (mut peer, socket) = Peer::websocket(V4, BYTES);

    peer.frame(socket, "4hello");
    peer.connection
        .handle_frame(peer.now, socket, Frame::Binary(Bytes::from_static(&[1, 2])));
    peer.send("back");
    peer.connection
        .send(Packet::binary(vec![3]).encode())
        .unwrap();

    assert_eq!(
        peer.seen(),
        [
            message("hello"),
            Seen::Binary(vec![1, 2]),
            framed(socket, "4back"),
            Seen::BinaryFrame(socket, vec![3])
        ]
    );
}

#[test]
fn v3_binary_frames_carry_the_packet_type() {
    let (mut peer, socket) = Peer::websocket(V3, BYTES);

    let frame = Frame::Binary(Bytes::from_static(&[4, 1, 2, 3, 4]));
    peer.connection.handle_frame(peer.now, socket, frame);
    peer.connection
        .send(Packet::binary(vec![1, 2, 3, 4]).encode())
        .unwrap();

    assert_eq!(
        peer.seen(),
        [
            Seen::Binary(vec![1, 2, 3, 4]),
            Seen::BinaryFrame(socket, vec![4, 1, 2, 3, 4])
        ]
    );
}

#[test]
fn a_client_without_binary_support_gets_base64_text() {
    for (protocol, expected) in [(V4, "bAQID"), (V3, "b4AQID")] {
        let (mut peer, socket) = Peer::websocket(protocol, BinarySupport::Base64);

        peer.connection
            .send(Packet::binary(vec![1, 2, 3]).encode())
            .unwrap();

        assert_eq!(peer.seen(), [framed(socket, expected)]);
    }
}

#[test]
fn an_invalid_packet_closes_the_socket() {
    for text in ["abc", "", "9"] {
        let (mut peer, socket) = Peer::websocket(V4, BYTES);

        peer.frame(socket, text);

        let end = [
            Seen::SocketClosed(socket),
            Seen::Closed(CloseReason::ParseError),
        ];
        assert_eq!(peer.seen(), end);
    }
}

#[test]
fn a_close_packet_closes_the_socket() {
    let (mut peer, socket) = Peer::websocket(V4, BYTES);

    peer.frame(socket, "1");

    let end = [
        Seen::SocketClosed(socket),
        Seen::Closed(CloseReason::TransportClose),
    ];
    assert_eq!(peer.seen(), end);
}

#[test]
fn the_sockets_end_is_the_connections() {
    for (end, reason) in [
        (SocketEnd::Closed, CloseReason::TransportClose),
        (SocketEnd::Failed, CloseReason::TransportError),
    ] {
        let (mut peer, socket) = Peer::websocket(V4, BYTES);

        peer.connection.handle_socket_end(peer.now, socket, end);
        peer.frame(socket, "4late");

        assert_eq!(peer.seen(), [Seen::Closed(reason)]);
    }
}

#[test]
fn close_sends_what_was_sent_before_it() {
    let (mut peer, socket) = Peer::websocket(V4, BYTES);

    peer.send("last words");
    peer.connection.close(peer.now, Close::Flush);

    assert_eq!(
        peer.seen(),
        [
            framed(socket, "4last words"),
            Seen::SocketClosed(socket),
            Seen::Closed(CloseReason::ForcedClose)
        ]
    );
}

#[test]
fn a_second_websocket_is_not_wanted() {
    let (mut peer, _) = Peer::websocket(V4, BYTES);

    assert_eq!(peer.connection.handle_websocket(peer.now), None);
    assert!(!peer.connection.is_closed());
}

#[test]
fn polling_requests_are_bad_requests() {
    let (mut peer, _) = Peer::websocket(V4, BYTES);

    let get = peer.get();
    let post = peer.post("4a");

    let body = r#"{"code":3,"message":"Bad request"}"#;
    let bad = |request| Seen::Response(request, 400, body.to_owned());
    assert_eq!(peer.seen(), [bad(get), bad(post)]);
    assert_eq!(
        peer.connection.session().unwrap().transport,
        Transport::WebSocket
    );
}

#[test]
fn an_idle_connection_fits_in_128_bytes() {
    assert!(
        size_of::<Connection>() <= 128,
        "{} bytes",
        size_of::<Connection>()
    );
}
