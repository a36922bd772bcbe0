//! Frames to send (RFC 6455 §5, §6.1), each one encoded as a whole.

use bytes::{BufMut, Bytes, BytesMut};

use crate::close::fitting_reason;
use crate::header::{Header, Opcode};
use crate::{CloseCode, Deflater, Mask, MessageKind, WindowBits, mask};

/// How a message is written.
#[derive(Debug)]
pub enum Compression<'a> {
    /// As it is.
    None,
    /// Deflated, if that makes it shorter (RFC 7692 §6.1 leaves the choice for each message).
    Deflate {
        /// The compressor of this thread.
        deflater: &'a mut Deflater,
        /// The window agreed with the receivers: [`DeflateParams`](crate::DeflateParams) for the role that sends.
        window: WindowBits,
    },
}

/// Encodes one message as one frame. With [`Mask::None`] the result fits every client that agreed to the same compression.
///
/// A text's `payload` must be UTF-8.
pub fn encode(
    kind: MessageKind,
    payload: &[u8],
    compression: Compression<'_>,
    mask: Mask,
) -> Bytes {
    let (payload, compressed) = compress(payload, compression);
    let header = Header {
        fin: true,
        compressed,
        opcode: kind.opcode(),
        mask,
        len: payload.len() as u64,
    };
    encode_frame(header, payload)
}

/// Appends one message as one frame to `out`, like [`encode`].
pub fn encode_into(
    out: &mut BytesMut,
    kind: MessageKind,
    payload: &[u8],
    compression: Compression<'_>,
    mask: Mask,
) {
    let (payload, compressed) = compress(payload, compression);
    let header = Header {
        fin: true,
        compressed,
        opcode: kind.opcode(),
        mask,
        len: payload.len() as u64,
    };
    out.reserve(header.encoded_len() + payload.len());
    header.encode(out);
    let start = out.len();
    out.put_slice(payload);
    apply(mask, &mut out[start..]);
}

/// Encodes a ping (RFC 6455 §5.5.2).
///
/// # Panics
///
/// When `payload` is longer than 125 bytes.
pub fn encode_ping(payload: &[u8], mask: Mask) -> Bytes {
    encode_control(Opcode::Ping, payload, mask)
}

/// Encodes a pong; the answer to a ping carries the ping's payload (RFC 6455 §5.5.3).
///
/// # Panics
///
/// When `payload` is longer than 125 bytes.
pub fn encode_pong(payload: &[u8], mask: Mask) -> Bytes {
    encode_control(Opcode::Pong, payload, mask)
}

/// Encodes a close frame (RFC 6455 §5.5.1). Without a code there is no reason either; a reason is cut after 123 bytes.
///
/// [`Connection::close`](crate::Connection::close) does the same and remembers it.
pub fn encode_close(code: Option<CloseCode>, reason: &str, mask: Mask) -> Bytes {
    let Some(code) = code else {
        return encode_control(Opcode::Close, &[], mask);
    };
    let mut payload = code.as_u16().to_be_bytes().to_vec();
    payload.extend_from_slice(fitting_reason(reason).as_bytes());
    encode_control(Opcode::Close, &payload, mask)
}

/// Writes one message in fragments (RFC 6455 §5.4), for a sender that does not know the whole yet. Not compressed.
///
/// Pings, pongs and close frames may be sent between the fragments, other messages not.
#[derive(Debug)]
pub struct Fragments {
    opcode: Opcode,
}

impl Fragments {
    /// Begins a message. A text may be cut inside a character.
    pub const fn new(kind: MessageKind) -> Self {
        Self {
            opcode: kind.opcode(),
        }
    }

    /// Encodes the next piece; another one must follow.
    pub fn piece(&mut self, payload: &[u8], mask: Mask) -> Bytes {
        let opcode = std::mem::replace(&mut self.opcode, Opcode::Continuation);
        encode_frame(
            Header {
                fin: false,
                compressed: false,
                opcode,
                mask,
                len: payload.len() as u64,
            },
            payload,
        )
    }

    /// Encodes the last piece, which may be empty.
    pub fn last(self, payload: &[u8], mask: Mask) -> Bytes {
        encode_frame(
            Header {
                fin: true,
                compressed: false,
                opcode: self.opcode,
                mask,
                len: payload.len() as u64,
            },
            payload,
        )
    }
}

impl MessageKind {
    const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

fn compress<'a>(payload: &'a [u8], compression: Compression<'a>) -> (&'a [u8], bool) {
    match compression {
        Compression::None => (payload, false),
        Compression::Deflate { deflater, window } => {
            let deflated = deflater.deflate(payload, window);
            if deflated.len() < payload.len() {
                (deflated, true)
            } else {
                (payload, false)
            }
        }
    }
}

fn encode_control(opcode: Opcode, payload: &[u8], mask: Mask) -> Bytes {
    assert!(
        payload.len() <= 125,
        "a control frame carries at most 125 bytes, not {}",
        payload.len()
    );
    encode_frame(
        Header {
            fin: true,
            compressed: false,
            opcode,
            mask,
            len: payload.len() as u64,
        },
        payload,
    )
}

fn encode_frame(header: Header, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(header.encoded_len() + payload.len());
    header.encode(&mut out);
    let start = out.len();
    out.extend_from_slice(payload);
    apply(header.mask, &mut out[start..]);
    out.into()
}

fn apply(mask: Mask, payload: &mut [u8]) {
    match mask {
        Mask::None => {}
        Mask::Key(key) => mask::apply(payload, key, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §5.7.
    #[test]
    fn the_examples_of_the_rfc_are_written() {
        let key = Mask::Key([0x37, 0xfa, 0x21, 0x3d]);
        let mut fragments = Fragments::new(MessageKind::Text);

        assert_eq!(
            encode(MessageKind::Text, b"Hello", Compression::None, Mask::None)[..],
            *b"\x81\x05Hello"
        );
        assert_eq!(
            encode(MessageKind::Text, b"Hello", Compression::None, key)[..],
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
        assert_eq!(fragments.piece(b"Hel", Mask::None)[..], *b"\x01\x03Hel");
        assert_eq!(fragments.last(b"lo", Mask::None)[..], *b"\x80\x02lo");
        assert_eq!(encode_ping(b"Hello", Mask::None)[..], *b"\x89\x05Hello");
        assert_eq!(
            encode_pong(b"Hello", key)[..],
            [
                0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
        assert_eq!(
            encode(
                MessageKind::Binary,
                &[7; 256],
                Compression::None,
                Mask::None
            )[..5],
            [0x82, 0x7e, 0x01, 0x00, 7]
        );
        assert_eq!(
            encode(
                MessageKind::Binary,
                &[7; 65_536],
                Compression::None,
                Mask::None
            )[..11],
            [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0, 7]
        );
    }

    /// RFC 7692 §7.2.3: the compressed frame has RSV1 and an empty window.
    #[test]
    fn a_message_that_shrinks_is_sent_deflated() {
        let mut deflater = Deflater::new();
        let compression = Compression::Deflate {
            deflater: &mut deflater,
            window: WindowBits::MAX,
        };

        let frame = encode(MessageKind::Text, &[b'x'; 100], compression, Mask::None);

        assert_eq!(frame[0], 0xc1);
        assert_eq!(usize::from(frame[1]), frame.len() - 2);
        assert!(frame.len() < 20);
    }

    #[test]
    fn a_message_that_would_grow_is_sent_as_it_is() {
        let mut deflater = Deflater::new();
        let compression = Compression::Deflate {
            deflater: &mut deflater,
            window: WindowBits::MAX,
        };

        assert_eq!(
            encode(MessageKind::Text, b"Hi", compression, Mask::None)[..],
            *b"\x81\x02Hi"
        );
    }

    #[test]
    fn a_frame_is_appended_as_it_would_stand_alone() {
        for mask in [Mask::None, Mask::Key([1, 2, 3, 4])] {
            let mut out = BytesMut::from(&b"before"[..]);

            encode_into(
                &mut out,
                MessageKind::Text,
                b"Hello",
                Compression::None,
                mask,
            );

            assert_eq!(
                out[6..],
                encode(MessageKind::Text, b"Hello", Compression::None, mask)[..]
            );
        }
    }

    /// RFC 6455 §5.5.1.
    #[test]
    fn a_close_frame_has_a_code_and_a_reason_or_nothing() {
        assert_eq!(encode_close(None, "unsaid", Mask::None)[..], [0x88, 0]);
        assert_eq!(
            encode_close(Some(CloseCode::NORMAL), "bye", Mask::None)[..],
            *b"\x88\x05\x03\xe8bye"
        );
        assert_eq!(
            encode_close(Some(CloseCode::NORMAL), &"é".repeat(99), Mask::None).len(),
            2 + 2 + 122
        );
    }

    #[test]
    #[should_panic(expected = "at most 125 bytes")]
    fn a_ping_of_126_bytes_is_a_bug_of_the_caller() {
        encode_ping(&[0; 126], Mask::None);
    }
}
