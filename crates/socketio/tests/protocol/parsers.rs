//! The parser of a client is told by its first packet, where the server leaves it the choice.

use nuncio_socketio::server::{Config, DisconnectReason};
use nuncio_socketio::{Frame, Parser, ParserRule, Protocol};

use crate::peer::{Peer, Seen, connect, disconnected, sent};

/// `{type: 0, nsp: "/", data: {token: "t"}}`, as notepack.io writes it.
const CONNECT: &[u8] = b"\x83\xa4type\x00\xa4data\x81\xa5token\xa1t\xa3nsp\xa1/";

#[test]
fn a_client_that_begins_with_a_binary_message_is_answered_in_messagepack() {
    let mut peer = of_any_parser(Protocol::V5);

    peer.binary(CONNECT);
    assert_eq!(peer.seen(), [connect("/", r#"{"token":"t"}"#)]);
    peer.accept("/");

    assert_eq!(peer.connection.parser(), Parser::MessagePack);
    let Some(nuncio_socketio::server::Output::Send(answer)) = peer.connection.poll_output() else {
        panic!("an answer");
    };
    let expected = b"\x83\xa4type\x00\xa4data\x81\xa3sid\xa6the-id\xa3nsp\xa1/";
    assert_eq!(answer.head(), &Frame::Binary(expected.as_slice().into()));
}

#[test]
fn a_client_that_begins_with_text_keeps_to_it() {
    let mut peer = of_any_parser(Protocol::V5);
    peer.text("0");
    peer.seen();
    peer.accept("/");
    assert_eq!(peer.seen(), [sent(r#"0{"sid":"the-id"}"#)]);

    // To the default parser this is an attachment that nothing announced.
    peer.binary(CONNECT);

    let left = disconnected("/", DisconnectReason::ForcedClose);
    assert_eq!(peer.seen(), [left, Seen::Close]);
}

#[test]
fn a_binary_message_that_is_no_packet_ends_the_connection() {
    let mut peer = of_any_parser(Protocol::V5);

    peer.binary(&[0xc1]);

    assert_eq!(peer.seen(), [Seen::Close]);
}

#[test]
fn a_v4_client_is_spoken_to_first_in_the_default_parser() {
    let mut peer = of_any_parser(Protocol::V4);
    peer.seen();

    peer.accept("/");

    assert_eq!(peer.seen(), [sent("0")]);
}

fn of_any_parser(protocol: Protocol) -> Peer {
    let mut config = Config::default();
    config.parser = ParserRule::AsClient;
    Peer::with(protocol, config)
}
