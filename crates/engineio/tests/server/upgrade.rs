//! Protocol v4, "Upgrade"; v3 is the same but for its payloads.

use bytes::Bytes;
use nuncio_engineio::payload::Content;
use nuncio_engineio::server::{Close, CloseReason, SocketEnd, SocketId};
use nuncio_engineio::{BinarySupport, Frame, Protocol};

use crate::peer::{Peer, Seen, config, framed, message, ok, polled};

const V4: Protocol = Protocol::V4;
const V3: Protocol = Protocol::V3;

#[test]
fn a_probe_is_answered_and_releases_the_pending_poll() {
    for (protocol, noop) in [(V4, "6"), (V3, "1:6")] {
        let mut peer = Peer::polling(protocol);
        let poll = peer.get();
        let socket = opened(&mut peer);
        assert_eq!(peer.seen(), []);

        peer.frame(socket, "2probe");

        assert_eq!(peer.seen(), [framed(socket, "3probe"), polled(poll, noop)]);
    }
}

#[test]
fn a_poll_after_the_probe_is_released_at_once() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);

    let poll = peer.get();

    assert_eq!(peer.seen(), [polled(poll, "6")]);
    peer.frame(socket, "5");
    peer.frame(socket, "4hello");
    assert_eq!(peer.seen(), [Seen::Upgraded(socket), message("hello")]);
}

#[test]
fn a_client_that_keeps_polling_after_its_probe_is_held_back() {
    let mut peer = Peer::polling(V4);
    probed(&mut peer);
    for _ in 0..3 {
        let poll = peer.get();
        assert_eq!(peer.seen(), [polled(poll, "6")]);
    }

    let poll = peer.get();
    assert_eq!(peer.seen(), []);
    assert_eq!(peer.timeout_millis(), Some(100));
    peer.pass(100);

    assert_eq!(peer.seen(), [polled(poll, "6")]);
}

#[test]
fn messages_still_go_through_polls_until_the_upgrade_packet() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);
    peer.send("a");
    let poll = peer.get();
    assert_eq!(peer.seen(), [polled(poll, "4a")]);

    let post = peer.post("4b");
    peer.frame(socket, "5");

    assert_eq!(
        peer.seen(),
        [message("b"), ok(post), Seen::Upgraded(socket)]
    );
}

#[test]
fn what_waits_moves_to_the_websocket_in_order() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);
    peer.send("a");
    peer.connection
        .send(Frame::Binary(Bytes::from_static(&[7])))
        .unwrap();
    peer.send("b");

    peer.frame(socket, "5");
    peer.send("c");

    assert_eq!(
        peer.seen(),
        [
            Seen::Upgraded(socket),
            framed(socket, "4a"),
            Seen::BinaryFrame(socket, vec![7]),
            framed(socket, "4b"),
            framed(socket, "4c")
        ]
    );
    assert_eq!(peer.connection.socket(), Some(socket));
}

#[test]
fn packets_of_an_earlier_post_come_before_those_of_the_websocket() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);

    // The driver has not asked for outputs since the POST.
    let post = peer.post("4a\x1e4b");
    peer.frame(socket, "5");
    peer.frame(socket, "4c");

    assert_eq!(
        peer.seen(),
        [
            message("a"),
            message("b"),
            ok(post),
            Seen::Upgraded(socket),
            message("c")
        ]
    );
}

#[test]
fn an_upgrade_packet_without_a_probe_is_accepted_as_the_reference_does() {
    let mut peer = Peer::polling(V4);
    let socket = opened(&mut peer);

    peer.frame(socket, "5");

    assert_eq!(peer.seen(), [Seen::Upgraded(socket)]);
}

#[test]
fn requests_left_open_at_the_upgrade_are_answered() {
    let mut peer = Peer::polling(V4);
    let socket = opened(&mut peer);
    let poll = peer.get();
    let post = peer.request();
    assert!(peer.connection.handle_post(peer.now, post, Content::Text));

    peer.frame(socket, "5");
    peer.connection
        .handle_post_body(peer.now, post, Content::Text, Bytes::from_static(b"4late"));
    peer.connection.handle_aborted(peer.now, poll);

    assert_eq!(
        peer.seen(),
        [
            polled(poll, "6"),
            Seen::Response(post, 400, String::new()),
            Seen::Upgraded(socket)
        ]
    );
}

#[test]
fn anything_unexpected_on_the_probe_closes_it_and_polling_goes_on() {
    for text in ["4hi", "2", "1", "3probe", "abc", ""] {
        let mut peer = Peer::polling(V4);
        let socket = opened(&mut peer);

        peer.frame(socket, text);
        peer.frame(socket, "5");

        assert_eq!(peer.seen(), [Seen::SocketClosed(socket)], "{text:?}");
        still_polls(&mut peer);
        assert!(
            peer.connection.handle_websocket(peer.now).is_some(),
            "it may try again"
        );
    }
}

#[test]
fn a_probe_may_be_repeated() {
    let mut peer = Peer::polling(V4);
    let socket = opened(&mut peer);

    for _ in 0..2 {
        peer.frame(socket, "2probe");
        assert_eq!(peer.seen(), [framed(socket, "3probe")]);
    }
}

#[test]
fn a_probe_that_vanishes_leaves_polling_as_it_was() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);

    peer.connection
        .handle_socket_end(peer.now, socket, SocketEnd::Failed);

    assert_eq!(peer.seen(), []);
    let poll = peer.get();
    assert_eq!(peer.seen(), [], "polls wait again");
    peer.send("a");
    assert_eq!(peer.seen(), [polled(poll, "4a")]);
}

#[test]
fn a_client_that_vanishes_between_probe_and_upgrade_loses_the_socket_after_ten_seconds() {
    let mut config = config();
    config.ping_interval = std::time::Duration::from_secs(60);
    let mut peer = Peer::opening(V4, BinarySupport::Bytes, config);
    peer.seen();
    let socket = probed(&mut peer);

    assert_eq!(peer.timeout_millis(), Some(10_000));
    peer.pass(9_999);
    assert_eq!(peer.seen(), []);
    peer.pass(1);

    assert_eq!(peer.seen(), [Seen::SocketClosed(socket)]);
    still_polls(&mut peer);
}

#[test]
fn one_websocket_at_a_time() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);

    assert_eq!(
        peer.connection.handle_websocket(peer.now),
        None,
        "while probing"
    );
    peer.frame(socket, "5");
    assert_eq!(
        peer.connection.handle_websocket(peer.now),
        None,
        "after the upgrade"
    );

    peer.frame(socket, "4hello");
    assert_eq!(peer.seen(), [Seen::Upgraded(socket), message("hello")]);
}

#[test]
fn a_websocket_is_not_wanted_when_upgrades_are_off() {
    let mut config = config();
    config.upgrades = false;
    let mut peer = Peer::opening(V4, BinarySupport::Bytes, config);

    assert_eq!(peer.connection.handle_websocket(peer.now), None);
}

#[test]
fn polls_after_the_upgrade_are_bad_requests() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);
    peer.frame(socket, "5");
    peer.seen();

    let poll = peer.get();

    let body = r#"{"code":3,"message":"Bad request"}"#.to_owned();
    assert_eq!(peer.seen(), [Seen::Response(poll, 400, body)]);
}

#[test]
fn the_session_takes_its_probe_with_it() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);

    let post = peer.post("1");

    assert_eq!(
        peer.seen(),
        [
            ok(post),
            Seen::SocketClosed(socket),
            Seen::Closed(CloseReason::TransportClose)
        ]
    );
}

#[test]
fn a_close_during_the_probe_is_completed_on_the_websocket() {
    let mut peer = Peer::polling(V4);
    let socket = probed(&mut peer);
    peer.send("last words");
    peer.connection.close(peer.now, Close::Flush);

    peer.frame(socket, "5");

    assert_eq!(
        peer.seen(),
        [
            Seen::Upgraded(socket),
            framed(socket, "4last words"),
            Seen::SocketClosed(socket),
            Seen::Closed(CloseReason::ForcedClose)
        ]
    );
}

fn opened(peer: &mut Peer) -> SocketId {
    peer.connection
        .handle_websocket(peer.now)
        .expect("the first WebSocket is wanted")
}

fn probed(peer: &mut Peer) -> SocketId {
    let socket = opened(peer);
    peer.frame(socket, "2probe");
    assert_eq!(peer.seen(), [framed(socket, "3probe")]);
    socket
}

fn still_polls(peer: &mut Peer) {
    peer.send("still here");
    let poll = peer.get();
    assert_eq!(peer.seen(), [polled(poll, "4still here")]);
}
