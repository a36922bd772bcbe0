//! RFC 7692 §6 and §7.2: compressed messages.

use nuncio_websocket::{
    CloseCode, Compression, ConnectionConfig, Deflater, Event, FrameError, Mask, MessageKind, Role,
    WindowBits, encode,
};

use crate::peer::{DEFLATE, Peer, binary, events, ping, refused, text};

/// §7.2.3.1, a message compressed using one compressed DEFLATE block.
#[test]
fn a_compressed_message_in_one_frame_is_inflated() {
    let bytes = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    assert_eq!(
        Peer::deflating_client().receive(&bytes),
        events([text("Hello")])
    );
}

/// §7.2.3.1, fragmented: only the first frame has RSV1.
#[test]
fn a_compressed_message_in_fragments_is_inflated() {
    let bytes = [
        &[0x41, 0x03, 0xf2, 0x48, 0xcd][..],
        &[0x89, 0x01, b'p'],
        &[0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00],
    ]
    .concat();

    assert_eq!(
        Peer::deflating_client().receive(&bytes),
        events([ping(b"p"), text("Hello")])
    );
}

/// §7.2.3.3 to §7.2.3.6: each form of block.
#[test]
fn every_form_of_block_is_inflated() {
    let stored = [
        0xc1, 0x0b, 0, 5, 0, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0,
    ];
    let last = [0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two = [
        0xc1, 0x0d, 0xf2, 0x48, 5, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0,
    ];
    let empty = [0xc1, 0x01, 0x00];

    let bytes = [&stored[..], &last, &two, &empty].concat();

    let hello = || text("Hello");
    assert_eq!(
        Peer::deflating_client().receive(&bytes),
        events([hello(), hello(), hello(), text("")])
    );
}

/// §6.1: each message may be compressed or not.
#[test]
fn a_plain_message_may_follow_a_compressed_one() {
    let bytes = [
        &[0xc2, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
        b"\x82\x02Hi",
    ]
    .concat();

    assert_eq!(
        Peer::deflating_client().receive(&bytes),
        events([binary(b"Hello"), binary(b"Hi")])
    );
}

/// §6: control frames and continuations never have RSV1.
#[test]
fn the_compression_bit_on_another_frame_is_refused() {
    for bytes in [
        &[0xc9, 0][..],
        &[0xca, 0],
        &[0xc8, 0],
        &[0xc0, 0],
        &[0x41, 0, 0xc0, 0],
    ] {
        let received = Peer::deflating_client().receive(bytes);

        assert_eq!(received, refused(FrameError::CompressionBitMisplaced));
    }
}

/// §6.2: RSV1 without the extension.
#[test]
fn a_compressed_message_without_agreement_is_refused() {
    let received = Peer::client().receive(&[0xc1, 1, 0]);

    assert_eq!(received, refused(FrameError::ReservedBits { bits: 0b100 }));
}

#[test]
fn corrupt_data_is_refused_with_1007() {
    let received = Peer::deflating_client().receive(&[0xc1, 2, 0xff, 0xff]);

    assert_eq!(received, refused(FrameError::Deflate));
    assert_eq!(FrameError::Deflate.close_code(), CloseCode::INVALID_DATA);
}

#[test]
fn an_inflated_text_that_is_not_utf_8_is_refused() {
    // A stored block of one byte.
    let received = Peer::deflating_client().receive(&[0xc1, 7, 0, 1, 0, 0xfe, 0xff, 0xff, 0]);

    assert_eq!(received, refused(FrameError::TextNotUtf8));
}

/// §8: the bound holds for what comes out.
#[test]
fn a_message_that_inflates_to_too_much_is_refused_with_1009() {
    let mut deflater = Deflater::new();
    let compression = Compression::Deflate {
        deflater: &mut deflater,
        window: WindowBits::MAX,
    };
    let bomb = encode(
        MessageKind::Binary,
        &vec![0; 1 << 20],
        compression,
        Mask::None,
    );
    assert!(bomb.len() < 65_536);

    let received = Peer::deflating_client().receive(&bomb);

    assert_eq!(received.events, []);
    let error = received.refused.unwrap();
    assert!(
        matches!(
            error,
            FrameError::TooBig {
                len: 65_537..,
                max: 65_536
            }
        ),
        "{error}"
    );
    assert_eq!(error.close_code(), CloseCode::TOO_BIG);
}

/// A message of the limit's length passes although deflating noise makes it longer; much more is not even kept.
#[test]
fn the_bound_leaves_room_for_what_cannot_be_compressed() {
    let config = ConnectionConfig {
        message_bytes_max: 1000,
        deflate: Some(DEFLATE),
    };
    let noise = noise(1000);
    let deflated = Deflater::new().deflate(&noise, WindowBits::MAX).to_vec();
    assert!(deflated.len() > noise.len());
    let [high, low] = (deflated.len() as u16).to_be_bytes();

    let received =
        Peer::new(Role::Client, config).receive(&[&[0xc2, 126, high, low][..], &deflated].concat());

    assert_eq!(received, events([Event::Binary(noise.into())]));
    assert_eq!(
        Peer::new(Role::Client, config).receive(&[0xc2, 126, 0x04, 0xa6]),
        refused(FrameError::TooBig {
            len: 1190,
            max: 1000
        })
    );
}

/// The top bytes of a linear congruential sequence.
fn noise(len: usize) -> Vec<u8> {
    let next = |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1), next)
        .skip(9)
        .map(|x| (x >> 56) as u8)
        .take(len)
        .collect()
}
