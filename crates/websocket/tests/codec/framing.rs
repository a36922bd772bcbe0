//! RFC 6455 §5: masks, fragments, control frames, data frames.

use nuncio_websocket::{ConnectionConfig, FrameError, MessageKind, Role};

use crate::peer::{Peer, binary, events, ping, pong, refused, text};

/// §5.7, a single-frame masked text message.
#[test]
fn a_server_unmasks_what_a_client_sends() {
    let bytes = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];

    assert_eq!(Peer::server().receive(&bytes), events([text("Hello")]));
}

/// §5.7, a single-frame unmasked text message.
#[test]
fn a_client_reads_what_a_server_sends() {
    assert_eq!(
        Peer::client().receive(b"\x81\x05Hello"),
        events([text("Hello")])
    );
}

/// §5.1, "a server MUST close the connection upon receiving a frame that is not masked".
#[test]
fn a_server_refuses_a_frame_without_a_mask() {
    assert_eq!(
        Peer::server().receive(b"\x81\x05Hello"),
        refused(FrameError::Unmasked)
    );
}

/// §5.1, "a client MUST close a connection if it detects a masked frame".
#[test]
fn a_client_refuses_a_frame_with_a_mask() {
    assert_eq!(
        Peer::client().receive(&[0x81, 0x80, 1, 2, 3, 4]),
        refused(FrameError::Masked)
    );
}

/// §5.2: RSV1 has a meaning only where compression was agreed.
#[test]
fn reserved_bits_are_refused() {
    for (first, bits) in [(0xc1, 0b100), (0xa1, 0b010), (0x91, 0b001), (0xc9, 0b100)] {
        assert_eq!(
            Peer::client().receive(&[first, 0]),
            refused(FrameError::ReservedBits { bits })
        );
    }
}

/// §5.2.
#[test]
fn reserved_opcodes_are_refused() {
    for opcode in (3..=7).chain(11..=15) {
        let bytes = [0x80 | opcode, 0];

        assert_eq!(
            Peer::client().receive(&bytes),
            refused(FrameError::ReservedOpcode { opcode })
        );
    }
}

/// §5.2, payload length in 7, 16 and 64 bits.
#[test]
fn lengths_of_each_form_are_read() {
    for len in [0_usize, 1, 125, 126, 127, 65_535, 65_536] {
        let mut peer = Peer::new(Role::Client, limit(100_000));
        let mut bytes = match len {
            0..126 => vec![0x82, len as u8],
            126..65_536 => vec![0x82, 126, (len >> 8) as u8, len as u8],
            _ => vec![
                0x82,
                127,
                0,
                0,
                0,
                0,
                0,
                (len >> 16) as u8,
                (len >> 8) as u8,
                len as u8,
            ],
        };
        bytes.extend(vec![7; len]);

        let received = peer.receive(&bytes);

        assert_eq!(
            received,
            events([nuncio_websocket::Event::Binary(vec![7; len].into())])
        );
    }
}

/// §5.4 and §5.7, a fragmented unmasked text message.
#[test]
fn fragments_are_joined() {
    let bytes = b"\x01\x03Hel \x80\x02lo"
        .iter()
        .copied()
        .filter(|byte| *byte != b' ');

    let received = Peer::client().receive(&bytes.collect::<Vec<_>>());

    assert_eq!(received, events([text("Hello")]));
}

/// §5.4: a fragment may be empty, the first and the last too.
#[test]
fn empty_fragments_are_joined() {
    let bytes = [
        b"\x02\x00" as &[u8],
        b"\x00\x00",
        b"\x00\x01x",
        b"\x00\x00",
        b"\x80\x00",
    ]
    .concat();

    assert_eq!(Peer::client().receive(&bytes), events([binary(b"x")]));
}

/// §5.4: "Control frames MAY be injected in the middle of a fragmented message".
#[test]
fn control_frames_come_through_between_fragments() {
    let bytes = [
        b"\x01\x03Hel" as &[u8],
        b"\x89\x01p",
        b"\x8a\x01q",
        b"\x80\x02lo",
    ]
    .concat();

    let received = Peer::client().receive(&bytes);

    assert_eq!(received, events([ping(b"p"), pong(b"q"), text("Hello")]));
}

/// §5.4: a continuation needs a beginning.
#[test]
fn a_continuation_without_a_beginning_is_refused() {
    assert_eq!(
        Peer::client().receive(b"\x80\x01x"),
        refused(FrameError::ContinuationOutsideMessage)
    );
}

/// §5.4: after the last fragment the message is over.
#[test]
fn a_continuation_after_the_last_fragment_is_refused() {
    let bytes = [b"\x01\x01a" as &[u8], b"\x80\x01b", b"\x80\x01c"].concat();

    let received = Peer::client().receive(&bytes);

    assert_eq!(received.events, [text("ab")]);
    assert_eq!(
        received.refused,
        Some(FrameError::ContinuationOutsideMessage)
    );
}

/// §5.4: fragments of two messages must not be interleaved.
#[test]
fn a_new_message_inside_a_message_is_refused() {
    for second in [b"\x81\x01b" as &[u8], b"\x02\x01b"] {
        let bytes = [b"\x01\x01a", second].concat();

        assert_eq!(
            Peer::client().receive(&bytes),
            refused(FrameError::MessageInsideMessage)
        );
    }
}

/// §5.5: at most 125 bytes.
#[test]
fn a_control_frame_of_126_bytes_is_refused_by_its_head() {
    assert_eq!(
        Peer::client().receive(b"\x89\x7e"),
        refused(FrameError::ControlTooLong)
    );
    assert_eq!(
        Peer::client().receive(b"\x8a\x7f"),
        refused(FrameError::ControlTooLong)
    );
    assert_eq!(
        Peer::client().receive(b"\x88\x7e"),
        refused(FrameError::ControlTooLong)
    );
}

/// §5.5: not fragmented.
#[test]
fn a_fragmented_control_frame_is_refused() {
    for first in [0x08, 0x09, 0x0a] {
        assert_eq!(
            Peer::client().receive(&[first, 0]),
            refused(FrameError::ControlFragmented)
        );
    }
}

/// §5.5.2, §5.5.3.
#[test]
fn pings_and_pongs_bring_their_payload() {
    assert_eq!(
        Peer::client().receive(b"\x89\x05Hello"),
        events([ping(b"Hello")])
    );
    assert_eq!(Peer::client().receive(b"\x8a\x00"), events([pong(b"")]));
    let longest = [&[0x89, 125][..], &[7; 125]].concat();
    assert_eq!(Peer::client().receive(&longest), events([ping(&[7; 125])]));
}

/// §10.4: a frame is refused by the length it announces.
#[test]
fn a_message_that_is_too_long_is_refused_before_it_comes() {
    let mut peer = Peer::new(Role::Client, limit(1000));

    let received = peer.receive(&[0x82, 126, 0x03, 0xe9]);

    assert_eq!(
        received,
        refused(FrameError::TooBig {
            len: 1001,
            max: 1000
        })
    );
    assert_eq!(peer.connection.heap_bytes(), 0);
}

/// §10.4: "…or message size after reassembly from multiple frames".
#[test]
fn fragments_that_would_add_up_to_too_much_are_refused() {
    let first = [&[0x02, 126, 0x03, 0xe8][..], &[7; 1000]].concat();
    let mut peer = Peer::new(Role::Client, limit(1000));

    assert_eq!(peer.receive(&first), events([]));
    assert_eq!(peer.receive(&[0x00, 0]), events([]));
    assert_eq!(
        peer.receive(&[0x80, 1]),
        refused(FrameError::TooBig {
            len: 1001,
            max: 1000
        })
    );
}

/// §5.2: a length near 2^63 is a number like any other.
#[test]
fn a_fragment_of_enormous_length_is_refused() {
    let max = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let bytes = [&[0x02, 1, b'x', 0x80, 127][..], &max].concat();

    let received = Peer::client().receive(&bytes);

    assert_eq!(
        received,
        refused(FrameError::TooBig {
            len: 1 << 63,
            max: 65_536
        })
    );
}

/// 4 MiB in 64-byte fragments, and 16 MiB in one frame that comes in small pieces: the cost is linear.
#[test]
fn many_fragments_and_large_frames_are_joined() {
    let mut peer = Peer::new(Role::Client, limit(16 << 20));
    let fragment = [&[0x00, 64][..], &[b'x'; 64]].concat();
    let fragments = [&[0x01, 0][..], &fragment.repeat(65_536), &[0x80, 0]].concat();
    let frame = [&[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0][..], &vec![7; 16 << 20]].concat();

    let joined = peer.receive(&fragments);
    let whole = peer.receive_in_pieces(&frame, &vec![1460; 12_000]);

    assert_eq!(
        joined,
        events([nuncio_websocket::Event::Text("x".repeat(4 << 20).into())])
    );
    assert_eq!(
        whole,
        events([nuncio_websocket::Event::Binary(vec![7; 16 << 20].into())])
    );
    assert_eq!(peer.connection.heap_bytes(), 0);
}

fn limit(message_bytes_max: u64) -> ConnectionConfig {
    ConnectionConfig {
        message_bytes_max,
        ..ConnectionConfig::default()
    }
}

/// §5.4: a fragment may be handed on before the message ends. A control frame does not disturb that, and a text is cut between
/// characters.
#[test]
fn what_has_arrived_of_a_message_can_be_taken_before_its_end() {
    let mut peer = Peer::client();
    assert_eq!(peer.connection.take_piece(1), None);

    assert_eq!(peer.receive(b"\x01\x05Gr\xc3\xbc\xc3"), events([]));
    assert_eq!(
        peer.connection.take_piece(5),
        None,
        "it is 4 bytes and half a character"
    );
    let piece = peer.connection.take_piece(4);
    assert_eq!(piece, Some((MessageKind::Text, "Grü".into())));
    assert_eq!(peer.connection.take_piece(1), None);

    let rest = [b"\x00\x01\x9f" as &[u8], b"\x89\x00", b"\x80\x01e"].concat();
    assert_eq!(peer.receive(&rest), events([ping(b""), text("ße")]));
    assert_eq!(peer.connection.heap_bytes(), 0);
}

/// What was taken still counts for the longest message.
#[test]
fn a_message_that_is_taken_in_pieces_is_not_longer_than_the_limit() {
    let config = ConnectionConfig {
        message_bytes_max: 5,
        ..ConnectionConfig::default()
    };
    let mut peer = Peer::new(Role::Client, config);
    peer.receive(b"\x02\x03abc");
    assert!(peer.connection.take_piece(1).is_some());

    let received = peer.receive(b"\x00\x03def");

    assert_eq!(
        received.refused,
        Some(FrameError::TooBig { len: 6, max: 5 })
    );
}
