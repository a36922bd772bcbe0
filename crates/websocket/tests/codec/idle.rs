//! What a quiet connection costs.

use nuncio_websocket::{Connection, Event};

use crate::peer::{Peer, events, ping, text};

#[test]
fn an_idle_connection_is_32_bytes() {
    assert!(
        size_of::<Connection>() <= 32,
        "{} bytes",
        size_of::<Connection>()
    );
}

#[test]
fn a_message_that_comes_whole_leaves_nothing_behind() {
    let mut peer = Peer::client();

    peer.receive(b"\x81\x05Hello\x89\x01p");

    assert_eq!(peer.connection.heap_bytes(), 0);
}

#[test]
fn a_message_that_comes_in_pieces_is_kept_only_until_its_end() {
    let bytes = [b"\x01\x03Hel" as &[u8], b"\x89\x04ping", b"\x80\x02lo"].concat();
    for cut in 1..bytes.len() {
        let mut peer = Peer::client();

        peer.receive(&bytes[..cut]);
        assert!(peer.connection.heap_bytes() > 0, "cut at {cut}");
        peer.receive(&bytes[cut..]);

        assert_eq!(peer.connection.heap_bytes(), 0, "cut at {cut}");
    }
}

#[test]
fn a_cut_control_frame_leaves_nothing_behind() {
    let mut peer = Peer::client();

    let received = peer.receive_in_pieces(b"\x89\x04ping", &[1, 2, 1]);

    assert_eq!(received, events([ping(b"ping")]));
    assert_eq!(peer.connection.heap_bytes(), 0);
}

#[test]
fn a_cut_between_head_and_payload_leaves_nothing_behind() {
    let mut peer = Peer::client();

    let received = peer.receive_in_pieces(b"\x81\x05Hello\x81\x02Hi", &[2]);

    assert_eq!(received, events([text("Hello"), text("Hi")]));
    assert_eq!(peer.connection.heap_bytes(), 0);
}

#[test]
fn a_refusal_frees_what_was_kept() {
    let mut peer = Peer::client();
    peer.receive(b"\x01\x03Hel");

    assert!(peer.receive(b"\x83\x00").refused.is_some());

    assert_eq!(peer.connection.heap_bytes(), 0);
}

/// What lies in the input as a whole is borrowed from there; what came in pieces is handed over.
#[test]
fn a_whole_message_is_not_copied() {
    let mut connection = Peer::client().connection;
    let mut inflater = nuncio_websocket::Inflater::new();
    let mut bytes = *b"\x81\x05Hello";
    let place = bytes[2..].as_ptr();

    let mut input = &mut bytes[..];
    let Ok(Some(Event::Text(received))) = connection.receive(&mut input, &mut inflater) else {
        panic!("no text");
    };

    assert_eq!(Event::Text(received.clone()), text("Hello"));
    assert_eq!(received.as_ptr(), place);
}
