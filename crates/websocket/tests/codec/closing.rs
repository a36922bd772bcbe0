//! RFC 6455 §5.5.1 and §7: the closing handshake.

use nuncio_websocket::{CloseCode, Event, FrameError, Mask, State};

use crate::peer::{Peer, close, events, refused, text};

/// §5.5.1: the answer to a close frame is a close frame with its code.
#[test]
fn a_close_frame_is_answered_once() {
    let mut peer = Peer::client();
    assert_eq!(
        peer.receive(b"\x88\x05\x03\xe8bye"),
        events([close(1000, "bye")])
    );
    assert_eq!(peer.connection.state(), State::CloseReceived);

    let answer = peer
        .connection
        .close(Some(CloseCode::NORMAL), "", Mask::None);

    assert_eq!(answer.as_deref(), Some(&b"\x88\x02\x03\xe8"[..]));
    assert_eq!(peer.connection.state(), State::Closed);
    assert_eq!(
        peer.connection
            .close(Some(CloseCode::NORMAL), "", Mask::None),
        None
    );
}

/// §7.1.5: without a code the status is 1005, which is never on the wire.
#[test]
fn a_close_frame_without_a_code_is_answered_without_one() {
    let mut peer = Peer::client();

    let received = peer.receive(b"\x88\x00");

    assert_eq!(
        received,
        events([Event::Close {
            code: None,
            reason: "".into()
        }])
    );
    assert_eq!(
        peer.connection.close(None, "", Mask::None).as_deref(),
        Some(&b"\x88\x00"[..])
    );
}

/// §5.5.1: who has sent its close frame still reads, until the peer's comes.
#[test]
fn who_closes_first_reads_until_the_answer() {
    let mut peer = Peer::client();

    let frame = peer
        .connection
        .close(Some(CloseCode::GOING_AWAY), "moving", Mask::None);

    assert_eq!(frame.as_deref(), Some(&b"\x88\x08\x03\xe9moving"[..]));
    assert_eq!(peer.connection.state(), State::CloseSent);
    assert!(!peer.connection.may_send());
    assert_eq!(peer.receive(b"\x81\x04late"), events([text("late")]));
    assert_eq!(peer.receive(b"\x88\x02\x03\xe9"), events([close(1001, "")]));
    assert_eq!(peer.connection.state(), State::Closed);
}

/// §5.5.1: nothing follows a close frame.
#[test]
fn what_follows_a_close_frame_is_dropped() {
    let bytes = [
        b"\x88\x02\x03\xe8" as &[u8],
        b"\x81\x05Hello",
        b"\x89\x00",
        b"\xff\xff\xff",
    ]
    .concat();
    let mut peer = Peer::client();

    assert_eq!(peer.receive(&bytes), events([close(1000, "")]));
    assert_eq!(peer.receive(b"\x88\x02\x03\xe8"), events([]));
    assert!(!peer.connection.may_send());
}

/// §7.1.7: after a failure the rest is dropped, and the close frame says why.
#[test]
fn what_follows_a_refusal_is_dropped() {
    let mut peer = Peer::client();
    assert_eq!(
        peer.receive(b"\x83\x00"),
        refused(FrameError::ReservedOpcode { opcode: 3 })
    );

    assert_eq!(peer.receive(b"\x81\x05Hello"), events([]));

    let frame = peer
        .connection
        .close(Some(FrameError::Unmasked.close_code()), "", Mask::None);
    assert_eq!(frame.as_deref(), Some(&b"\x88\x02\x03\xea"[..]));
    assert_eq!(peer.connection.state(), State::Closed);
}

/// §5.5.1: a close frame may come in the middle of a fragmented message, which is then lost.
#[test]
fn a_close_frame_between_fragments_ends_the_message() {
    let bytes = [b"\x01\x03Hel" as &[u8], b"\x88\x02\x03\xe8", b"\x80\x02lo"].concat();
    let mut peer = Peer::client();

    assert_eq!(peer.receive(&bytes), events([close(1000, "")]));
    assert_eq!(peer.connection.heap_bytes(), 0);
}

/// §5.5.1: "If there is a body, the first two bytes MUST be a 2-byte unsigned integer".
#[test]
fn a_close_frame_of_one_byte_is_refused() {
    assert_eq!(
        Peer::client().receive(b"\x88\x01\x03"),
        refused(FrameError::CloseCodeCut)
    );
}

/// §7.4.1, §7.4.2.
#[test]
fn every_legal_close_code_comes_through() {
    for code in (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        let [high, low] = u16::to_be_bytes(code);

        assert_eq!(
            Peer::client().receive(&[0x88, 2, high, low]),
            events([close(code, "")])
        );
    }
}

/// §7.4.1, §7.4.2: 1004 is reserved, 1005, 1006 and 1015 must not be sent, the others are not defined.
#[test]
fn every_illegal_close_code_is_refused_with_1002() {
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let [high, low] = u16::to_be_bytes(code);

        let received = Peer::client().receive(&[0x88, 2, high, low]);

        assert_eq!(received, refused(FrameError::CloseCodeIllegal { code }));
        assert_eq!(received.refused.unwrap().close_code(), CloseCode::PROTOCOL);
    }
}

/// §5.5.1, §8.1: the reason is UTF-8.
#[test]
fn a_close_reason_that_is_not_utf_8_is_refused_with_1007() {
    for pieces in [&[][..], &[3]] {
        let received = Peer::client().receive_in_pieces(b"\x88\x04\x03\xe8\xce\xff", pieces);

        assert_eq!(received, refused(FrameError::CloseReasonNotUtf8));
        assert_eq!(
            received.refused.unwrap().close_code(),
            CloseCode::INVALID_DATA
        );
    }
}

/// §5.5: 125 bytes of payload are 123 bytes of reason.
#[test]
fn the_longest_reason_comes_through() {
    let reason: &'static str = "0123456789".repeat(13)[..123].to_owned().leak();
    let bytes = [b"\x88\x7d\x03\xe8" as &[u8], reason.as_bytes()].concat();

    for pieces in [&[][..], &[1, 1, 1, 1, 50]] {
        let received = Peer::client().receive_in_pieces(&bytes, pieces);

        assert_eq!(received, events([close(1000, reason)]));
    }
}
