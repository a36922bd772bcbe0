//! Protocol v4 and v3, "Heartbeat".

use std::time::Duration;

use nuncio_engineio::server::CloseReason;
use nuncio_engineio::{BinarySupport, Protocol};

use crate::peer::{Peer, Seen, framed, ok, polled, unknown_sid};

const V4: Protocol = Protocol::V4;
const V3: Protocol = Protocol::V3;

#[test]
fn the_v4_server_pings_at_the_interval_to_the_millisecond() {
    let (mut peer, socket) = Peer::websocket(V4, BinarySupport::Bytes);

    for _ in 0..3 {
        assert_eq!(peer.timeout_millis(), Some(300));
        peer.pass(299);
        assert_eq!(peer.seen(), []);
        peer.pass(1);
        assert_eq!(peer.seen(), [framed(socket, "2")]);
        assert_eq!(peer.timeout_millis(), Some(200));
        peer.frame(socket, "3");
    }
}

#[test]
fn pings_reach_a_polling_client_through_its_polls() {
    let mut peer = Peer::polling(V4);

    for _ in 0..3 {
        let poll = peer.get();
        peer.pass(300);
        assert_eq!(peer.seen(), [polled(poll, "2")]);
        let post = peer.post("3");
        assert_eq!(peer.seen(), [ok(post)]);
    }
}

#[test]
fn a_v4_client_that_stays_silent_is_gone_at_interval_plus_timeout() {
    let (mut peer, socket) = Peer::websocket(V4, BinarySupport::Bytes);
    peer.pass(300);
    peer.seen();

    peer.pass(199);
    assert_eq!(peer.seen(), []);
    peer.pass(1);

    let end = [
        Seen::SocketClosed(socket),
        Seen::Closed(CloseReason::PingTimeout),
    ];
    assert_eq!(peer.seen(), end);
}

#[test]
fn a_request_at_the_very_instant_of_the_ping_timeout_finds_the_session_gone() {
    let mut peer = Peer::polling(V4);
    peer.pass(300);

    // The driver's timer has not fired yet: the request itself brings the time.
    peer.now += Duration::from_millis(200);
    let poll = peer.get();

    assert_eq!(
        peer.seen(),
        [Seen::Closed(CloseReason::PingTimeout), unknown_sid(poll)]
    );
}

#[test]
fn a_ping_timer_that_fires_late_does_not_move_the_deadline() {
    let mut peer = Peer::polling(V4);

    peer.pass(310);

    assert_eq!(peer.timeout_millis(), Some(190));
}

#[test]
fn a_server_that_slept_leaves_the_client_half_of_its_time() {
    let mut peer = Peer::polling(V4);

    peer.pass(10_000);

    assert_eq!(peer.timeout_millis(), Some(100));
}

#[test]
fn another_packet_while_a_pong_is_due_moves_the_deadline_once() {
    let (mut peer, socket) = Peer::websocket(V4, BinarySupport::Bytes);
    peer.pass(300);

    peer.pass(150);
    peer.frame(socket, "4a long upload");
    assert_eq!(peer.timeout_millis(), Some(200));
    peer.pass(150);
    peer.frame(socket, "4and more");

    assert_eq!(peer.timeout_millis(), Some(50));
}

#[test]
fn an_unasked_pong_postpones_the_next_ping() {
    let (mut peer, socket) = Peer::websocket(V4, BinarySupport::Bytes);

    peer.pass(200);
    peer.frame(socket, "3");

    assert_eq!(peer.timeout_millis(), Some(300));
}

#[test]
fn the_v3_client_pings_and_is_answered() {
    let (mut peer, socket) = Peer::websocket(V3, BinarySupport::Bytes);

    for _ in 0..3 {
        peer.pass(400);
        peer.frame(socket, "2");
        assert_eq!(peer.seen(), [framed(socket, "3")]);
        assert_eq!(peer.timeout_millis(), Some(500));
    }
}

#[test]
fn the_v3_client_pings_over_polling() {
    let mut peer = Peer::polling(V3);

    for _ in 0..3 {
        let post = peer.post("1:2");
        assert_eq!(peer.seen(), [ok(post)]);
        let poll = peer.get();
        assert_eq!(peer.seen(), [polled(poll, "1:3")]);
    }
}

#[test]
fn a_v3_client_that_stays_silent_is_gone_at_interval_plus_timeout() {
    let mut peer = Peer::polling(V3);
    peer.pass(499);
    assert_eq!(peer.seen(), []);

    peer.now += Duration::from_millis(1);
    let post = peer.post("1:2");

    assert_eq!(
        peer.seen(),
        [Seen::Closed(CloseReason::PingTimeout), unknown_sid(post)]
    );
}

#[test]
fn a_heartbeat_in_the_wrong_direction_closes_the_connection() {
    for (protocol, packet) in [(V4, "2"), (V3, "3")] {
        let (mut peer, socket) = Peer::websocket(protocol, BinarySupport::Bytes);

        peer.frame(socket, packet);

        let end = [
            Seen::SocketClosed(socket),
            Seen::Closed(CloseReason::TransportError),
        ];
        assert_eq!(peer.seen(), end);
    }
}

#[test]
fn a_pong_that_is_due_while_upgrading_is_due_anew_on_the_websocket() {
    let mut peer = Peer::polling(V4);
    peer.pass(300);
    let socket = peer.connection.handle_websocket(peer.now).unwrap();
    peer.pass(100);

    peer.frame(socket, "5");

    assert_eq!(peer.seen(), [Seen::Upgraded(socket), framed(socket, "2")]);
    assert_eq!(peer.timeout_millis(), Some(200));
}
