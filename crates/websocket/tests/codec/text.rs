//! RFC 6455 §8.1: text that is not UTF-8 fails the connection, as early as its bytes show it.

use nuncio_websocket::{CloseCode, FrameError};

use crate::peer::{Peer, Received, events, refused, text};

#[test]
fn a_text_that_is_not_utf_8_is_refused_with_1007() {
    let received = Peer::client().receive(b"\x81\x03a\xffb");

    assert_eq!(received, refused(FrameError::TextNotUtf8));
    assert_eq!(
        FrameError::TextNotUtf8.close_code(),
        CloseCode::INVALID_DATA
    );
}

/// §5.6: "a particular text frame might include a partial UTF-8 sequence".
#[test]
fn a_character_may_be_cut_by_a_fragment() {
    let bytes = [
        b"\x01\x03\xce\xba\xe1" as &[u8],
        b"\x00\x01\xbd",
        b"\x80\x02\xb9!",
    ]
    .concat();

    assert_eq!(
        Peer::client().receive(&bytes),
        events([text("\u{3ba}\u{1f79}!")])
    );
}

#[test]
fn a_text_that_ends_inside_a_character_is_refused() {
    assert_eq!(
        Peer::client().receive(b"\x81\x02\xce\xba"),
        events([text("κ")])
    );
    assert_eq!(
        Peer::client().receive(b"\x81\x01\xce"),
        refused(FrameError::TextNotUtf8)
    );
    assert_eq!(
        Peer::client().receive(b"\x01\x01\xce\x80\x00"),
        refused(FrameError::TextNotUtf8)
    );
}

#[test]
fn a_bad_text_fails_in_the_fragment_that_makes_it_bad() {
    let mut peer = Peer::client();

    assert_eq!(peer.receive(b"\x01\x01\xf4"), events([]));
    assert_eq!(
        peer.receive(b"\x00\x01\x90"),
        refused(FrameError::TextNotUtf8)
    );
}

#[test]
fn a_bad_text_fails_at_the_byte_that_makes_it_bad_though_its_frame_goes_on() {
    let mut peer = Peer::client();
    let bytes = b"\x81\x7d\xce\xba\xf4\x90\x80\x80 and so on";

    let fed_until_refused = bytes
        .iter()
        .take_while(|byte| peer.receive(&[**byte]).refused.is_none());

    assert_eq!(fed_until_refused.count(), 5);
}

/// Bytes that look like text are not judged in a binary message.
#[test]
fn a_binary_message_may_be_anything() {
    let Received { events, refused } = Peer::client().receive(b"\x82\x03a\xffb");

    assert_eq!((events.len(), refused), (1, None));
}
