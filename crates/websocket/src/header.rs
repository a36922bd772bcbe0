//! The head of a frame (RFC 6455 §5.2).
//!
//! ```text
//!  0 1 2 3 4 5 6 7   8 9 . . . . . 15
//! +-+-+-+-+-------+ +-+-------------+ +-----------------------+ +----------+
//! |F|R|R|R| opcode| |M| length (7)  | | length (16 or 64 bit) | | mask key |
//! |I|S|S|S|  (4)  | |A| 126: 16 bit | | if 126 or 127         | | if MASK  |
//! |N|V|V|V|       | |S| 127: 64 bit | |                       | | (4 byte) |
//! | |1|2|3|       | |K|             | |                       | |          |
//! +-+-+-+-+-------+ +-+-------------+ +-----------------------+ +----------+
//! ```

use bytes::BufMut;

use crate::{FrameError, Mask};

/// What a frame carries (RFC 6455 §5.2, "Opcode").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// 0: the next piece of a message.
    Continuation,
    /// 1: text in UTF-8, or its first piece.
    Text,
    /// 2: bytes, or their first piece.
    Binary,
    /// 8: the closing handshake.
    Close,
    /// 9: asks for a pong.
    Ping,
    /// 10: the answer to a ping.
    Pong,
}

impl Opcode {
    /// Whether this is a close, ping or pong, which may stand between the fragments of a message (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }

    const fn from_bits(bits: u8) -> Result<Self, FrameError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            opcode => return Err(FrameError::ReservedOpcode { opcode }),
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// The head of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last or only frame of its message.
    pub fin: bool,
    /// RSV1: the message is compressed (RFC 7692 §6). Only on a message's first frame.
    pub compressed: bool,
    /// What the frame carries.
    pub opcode: Opcode,
    /// The mask of the payload.
    pub mask: Mask,
    /// The length of the payload in bytes.
    pub len: u64,
}

impl Header {
    /// The longest head: 2 bytes, 8 of length, 4 of mask key.
    pub(crate) const BYTES_MAX: usize = 14;

    /// Reads the head at the start of `bytes` and its length in bytes; `None` while it is cut.
    ///
    /// # Errors
    ///
    /// What one frame shows to be wrong without its context: the rules of RFC 6455 §5.2 and §5.5. The first two bytes are
    /// judged as soon as both are there.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let (opcode, short_len) = check_first_bytes(*first, second & 0x7f)?;
        let Some((len, rest)) = parse_len(short_len, rest)? else {
            return Ok(None);
        };
        let Some((mask, rest)) = parse_mask(second & MASK_BIT != 0, rest) else {
            return Ok(None);
        };
        let header = Self {
            fin: first & FIN_BIT != 0,
            compressed: first & RSV1_BIT != 0,
            opcode,
            mask,
            len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Writes the head; the payload must follow, masked by the caller if `mask` has a key.
    pub fn encode(&self, out: &mut impl BufMut) {
        let fin = if self.fin { FIN_BIT } else { 0 };
        let rsv1 = if self.compressed { RSV1_BIT } else { 0 };
        out.put_u8(fin | rsv1 | self.opcode.bits());
        let mask = if self.mask == Mask::None { 0 } else { MASK_BIT };
        match self.len {
            0..=125 => out.put_u8(mask | self.len as u8),
            126..=0xffff => {
                out.put_u8(mask | 126);
                out.put_u16(self.len as u16);
            }
            0x1_0000.. => {
                out.put_u8(mask | 127);
                out.put_u64(self.len);
            }
        }
        if let Mask::Key(key) = self.mask {
            out.put_slice(&key);
        }
    }

    /// The length of the head in bytes, 2 to 14.
    pub const fn encoded_len(&self) -> usize {
        let len = match self.len {
            0..=125 => 2,
            126..=0xffff => 4,
            0x1_0000.. => 10,
        };
        match self.mask {
            Mask::None => len,
            Mask::Key(_) => len + 4,
        }
    }
}

const FIN_BIT: u8 = 0x80;
const RSV1_BIT: u8 = 0x40;
const MASK_BIT: u8 = 0x80;

/// The rules that the first two bytes alone decide.
fn check_first_bytes(first: u8, short_len: u8) -> Result<(Opcode, u8), FrameError> {
    let reserved = (first >> 4) & 0b111;
    if reserved & 0b011 != 0 {
        return Err(FrameError::ReservedBits { bits: reserved });
    }
    let opcode = Opcode::from_bits(first & 0x0f)?;
    if opcode.is_control() {
        if first & FIN_BIT == 0 {
            return Err(FrameError::ControlFragmented);
        }
        if short_len > 125 {
            return Err(FrameError::ControlTooLong);
        }
    }
    Ok((opcode, short_len))
}

fn parse_len(short_len: u8, bytes: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    let (len, least, rest) = match short_len {
        126 => {
            let Some((len, rest)) = bytes.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(*len)), 126, rest)
        }
        127 => {
            let Some((len, rest)) = bytes.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*len), 0x1_0000, rest)
        }
        len => (u64::from(len), 0, bytes),
    };
    if len >> 63 != 0 {
        return Err(FrameError::LengthTooLarge { len });
    }
    if len < least {
        return Err(FrameError::LengthNotMinimal { len });
    }
    Ok(Some((len, rest)))
}

fn parse_mask(is_masked: bool, bytes: &[u8]) -> Option<(Mask, &[u8])> {
    if !is_masked {
        return Some((Mask::None, bytes));
    }
    let (key, rest) = bytes.split_first_chunk()?;
    Some((Mask::Key(*key), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(bytes: &[u8]) -> Header {
        let (header, len) = Header::parse(bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        header
    }

    /// RFC 6455 §5.7, the heads of the examples.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let text = Header {
            fin: true,
            compressed: false,
            opcode: Opcode::Text,
            mask: Mask::None,
            len: 5,
        };

        assert_eq!(header(&[0x81, 0x05]), text);
        assert_eq!(
            header(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
            Header {
                mask: Mask::Key([0x37, 0xfa, 0x21, 0x3d]),
                ..text
            }
        );
        assert_eq!(
            header(&[0x01, 0x03]),
            Header {
                fin: false,
                len: 3,
                ..text
            }
        );
        assert_eq!(
            header(&[0x80, 0x02]),
            Header {
                opcode: Opcode::Continuation,
                len: 2,
                ..text
            }
        );
        assert_eq!(
            header(&[0x89, 0x05]),
            Header {
                opcode: Opcode::Ping,
                ..text
            }
        );
        assert_eq!(
            header(&[0x82, 0x7e, 0x01, 0x00]),
            Header {
                opcode: Opcode::Binary,
                len: 256,
                ..text
            }
        );
        assert_eq!(
            header(&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
            Header {
                opcode: Opcode::Binary,
                len: 65_536,
                ..text
            }
        );
    }

    /// RFC 6455 §5.2, "RSV1, RSV2, RSV3".
    #[test]
    fn the_second_and_third_reserved_bit_are_refused() {
        assert_eq!(
            Header::parse(&[0xa1, 0x00]),
            Err(FrameError::ReservedBits { bits: 0b010 })
        );
        assert_eq!(
            Header::parse(&[0x91, 0x00]),
            Err(FrameError::ReservedBits { bits: 0b001 })
        );
        assert_eq!(
            Header::parse(&[0xf1, 0x00]),
            Err(FrameError::ReservedBits { bits: 0b111 })
        );
    }

    /// RFC 6455 §5.2, "Opcode".
    #[test]
    fn reserved_opcodes_are_refused() {
        for opcode in (3..=7).chain(11..=15) {
            assert_eq!(
                Header::parse(&[0x80 | opcode, 0x80]),
                Err(FrameError::ReservedOpcode { opcode })
            );
        }
    }

    /// RFC 6455 §5.2, "the minimal number of bytes MUST be used".
    #[test]
    fn a_length_in_more_bytes_than_needed_is_refused() {
        assert_eq!(
            Header::parse(&[0x82, 0x7e, 0, 125]),
            Err(FrameError::LengthNotMinimal { len: 125 })
        );
        assert_eq!(
            Header::parse(&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            Err(FrameError::LengthNotMinimal { len: 65_535 })
        );
    }

    /// RFC 6455 §5.2, "the most significant bit MUST be 0".
    #[test]
    fn a_length_of_64_bits_is_refused() {
        assert_eq!(
            Header::parse(&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Err(FrameError::LengthTooLarge { len: 1 << 63 })
        );
    }

    /// RFC 6455 §5.5.
    #[test]
    fn control_frames_are_short_and_whole() {
        assert_eq!(
            Header::parse(&[0x89, 0x7e]),
            Err(FrameError::ControlTooLong)
        );
        assert_eq!(
            Header::parse(&[0x88, 0xff]),
            Err(FrameError::ControlTooLong)
        );
        assert_eq!(
            Header::parse(&[0x09, 0x00]),
            Err(FrameError::ControlFragmented)
        );
        assert_eq!(header(&[0x8a, 125]).len, 125);
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_it_was_written_and_never_before_its_end(
            fin: bool, compressed: bool, code in 0_u8..3, key: Option<[u8; 4]>, len in prop_oneof![0..0x2_0000_u64, 0..u64::MAX >> 1],
        ) {
            let mask = key.map_or(Mask::None, Mask::Key);
            let header = Header { fin, compressed, opcode: Opcode::from_bits(code).unwrap(), mask, len };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);

            prop_assert_eq!(bytes.len(), header.encoded_len());
            prop_assert!(bytes.len() <= Header::BYTES_MAX);
            for cut in 0..bytes.len() {
                prop_assert_eq!(Header::parse(&bytes[..cut]), Ok(None));
            }
            prop_assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))));
        }
    }
}
