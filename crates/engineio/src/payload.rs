//! Payloads: several packets in one HTTP body (protocol v4, "HTTP long-polling"; protocol v3, "Payload").

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::packet::{BinarySupport, Frame, Packet, PacketError, Protocol, put_base64};

/// How an HTTP body is to be read, told by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Anything but `application/octet-stream`: UTF-8 text.
    Text,
    /// `application/octet-stream`: only v3 has it.
    Binary,
}

impl Content {
    /// Reads a `Content-Type` header; an absent one means text.
    pub fn from_header(content_type: Option<&str>) -> Self {
        match content_type {
            Some("application/octet-stream") => Self::Binary,
            Some(_) | None => Self::Text,
        }
    }

    /// The header of a response.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=UTF-8",
            Self::Binary => "application/octet-stream",
        }
    }
}

/// Encodes packets into one body: joined by the record separator (v4), or with lengths (v3, in UTF-16 units for
/// text; in bytes when a binary message makes the whole payload binary).
pub fn encode(protocol: Protocol, binary: BinarySupport, frames: &[Frame]) -> (Content, Bytes) {
    let has_binary = frames.iter().any(|frame| matches!(frame, Frame::Binary(_)));
    let bytes_len = frames.iter().map(|frame| frame.len() + 8).sum();
    let mut body = BytesMut::with_capacity(bytes_len);
    let content = match protocol {
        Protocol::V4 => encode_v4(&mut body, frames),
        Protocol::V3 if has_binary && binary == BinarySupport::Bytes => {
            encode_v3_binary(&mut body, frames)
        }
        Protocol::V3 => encode_v3_text(&mut body, frames),
    };
    (content, body.freeze())
}

fn encode_v4(body: &mut BytesMut, frames: &[Frame]) -> Content {
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            body.put_u8(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => body.put_slice(text),
            Frame::Binary(bytes) => put_base64(body, Protocol::V4, bytes),
        }
    }
    Content::Text
}

fn encode_v3_text(body: &mut BytesMut, frames: &[Frame]) -> Content {
    for frame in frames {
        match frame {
            Frame::Text(text) => {
                body.put_slice(utf16_len(text).to_string().as_bytes());
                body.put_u8(b':');
                body.put_slice(text);
            }
            Frame::Binary(bytes) => {
                let mut encoded = BytesMut::new();
                put_base64(&mut encoded, Protocol::V3, bytes);
                body.put_slice(encoded.len().to_string().as_bytes());
                body.put_u8(b':');
                body.put_slice(&encoded);
            }
        }
    }
    Content::Text
}

/// `<0 text, 1 binary><decimal digits as bytes 0-9><255><packet>`, lengths in bytes.
fn encode_v3_binary(body: &mut BytesMut, frames: &[Frame]) -> Content {
    for frame in frames {
        let (marker, len) = match frame {
            Frame::Text(text) => (0, text.len()),
            Frame::Binary(bytes) => (1, 1 + bytes.len()),
        };
        body.put_u8(marker);
        body.extend(len.to_string().bytes().map(|digit| digit - b'0'));
        body.put_u8(LENGTH_END);
        match frame {
            Frame::Text(text) => body.put_slice(text),
            Frame::Binary(bytes) => {
                body.put_u8(4);
                body.put_slice(bytes);
            }
        }
    }
    Content::Binary
}

/// The packets of a received body, decoded one by one. After an error there are no more.
///
/// Packets before a broken one are good: the reference delivers them, then closes.
#[derive(Debug, Clone)]
pub struct Packets {
    rest: Bytes,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Separated,
    TextLengths,
    ByteLengths,
    Done,
}

impl Packets {
    /// Starts to decode `body`. An empty body is an error in both protocols, reported by the first `next`.
    pub fn new(protocol: Protocol, content: Content, body: Bytes) -> Self {
        let form = match (protocol, content) {
            (Protocol::V4, _) => Form::Separated,
            (Protocol::V3, Content::Text) => Form::TextLengths,
            (Protocol::V3, Content::Binary) => Form::ByteLengths,
        };
        Self { rest: body, form }
    }

    fn decode_next(&mut self) -> Result<Packet, PacketError> {
        match self.form {
            Form::Separated => self.next_separated(),
            Form::TextLengths => self.next_text_length(),
            Form::ByteLengths => self.next_byte_length(),
            Form::Done => Err(PacketError::Empty),
        }
    }

    fn next_separated(&mut self) -> Result<Packet, PacketError> {
        let text = match self.rest.iter().position(|&byte| byte == SEPARATOR) {
            Some(end) => {
                let text = self.rest.split_to(end);
                self.rest.advance(1);
                text
            }
            None => {
                self.form = Form::Done;
                std::mem::take(&mut self.rest)
            }
        };
        Packet::decode_text(Protocol::V4, checked_utf8(text)?)
    }

    fn next_text_length(&mut self) -> Result<Packet, PacketError> {
        let colon = self
            .rest
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(PacketError::Length)?;
        let units = decimal(&self.rest[..colon])?;
        self.rest.advance(colon + 1);
        let len = utf16_prefix(&self.rest, units).ok_or(PacketError::Length)?;
        let text = checked_utf8(self.rest.split_to(len))?;
        self.end_when_empty();
        Packet::decode_text(Protocol::V3, text)
    }

    fn next_byte_length(&mut self) -> Result<Packet, PacketError> {
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == LENGTH_END)
            .ok_or(PacketError::Length)?;
        let [marker, digits @ ..] = &self.rest[..end] else {
            return Err(PacketError::Length);
        };
        let is_text = *marker == 0;
        let len = byte_digits(digits)?;
        self.rest.advance(end + 1);
        if len > self.rest.len() {
            return Err(PacketError::Length);
        }
        let packet = self.rest.split_to(len);
        self.end_when_empty();
        if is_text {
            Packet::decode_text(Protocol::V3, checked_utf8(packet)?)
        } else {
            Packet::decode_v3_binary(packet)
        }
    }

    fn end_when_empty(&mut self) {
        if self.rest.is_empty() {
            self.form = Form::Done;
        }
    }
}

impl Iterator for Packets {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.form, Form::Done) {
            return None;
        }
        let result = self.decode_next();
        if result.is_err() {
            self.form = Form::Done;
        }
        Some(result)
    }
}

fn checked_utf8(bytes: Bytes) -> Result<Bytes, PacketError> {
    match std::str::from_utf8(&bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(PacketError::Utf8),
    }
}

fn decimal(digits: &[u8]) -> Result<usize, PacketError> {
    if digits.is_empty()
        || digits.len() > LENGTH_DIGITS_MAX
        || !digits.iter().all(u8::is_ascii_digit)
    {
        return Err(PacketError::Length);
    }
    Ok(digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

fn byte_digits(digits: &[u8]) -> Result<usize, PacketError> {
    if digits.is_empty()
        || digits.len() > LENGTH_DIGITS_MAX
        || digits.iter().any(|&digit| digit > 9)
    {
        return Err(PacketError::Length);
    }
    Ok(digits
        .iter()
        .fold(0, |sum, &digit| sum * 10 + usize::from(digit)))
}

/// The v3 text form counts what JavaScript calls the length of a string.
fn utf16_len(text: &[u8]) -> usize {
    text.iter().map(|&byte| utf16_units(byte)).sum()
}

/// The number of bytes that make `units` UTF-16 units, `None` when there are fewer or a character would be cut.
fn utf16_prefix(text: &[u8], units: usize) -> Option<usize> {
    let mut seen = 0;
    let mut len = 0;
    while len < text.len() && (seen < units || utf16_units(text[len]) == 0) {
        seen += utf16_units(text[len]);
        len += 1;
    }
    (seen == units).then_some(len)
}

/// Units that start at this byte of UTF-8: none for a continuation byte, two for a character beyond the BMP.
fn utf16_units(byte: u8) -> usize {
    match byte {
        0x80..=0xBF => 0,
        0xF0..=0xFF => 2,
        0x00..=0x7F | 0xC0..=0xEF => 1,
    }
}

/// Stands between the packets of a v4 payload (protocol v4, "HTTP long-polling").
const SEPARATOR: u8 = 0x1e;
/// Ends the length in a v3 binary payload.
const LENGTH_END: u8 = 255;
/// More digits than any body has; keeps the sum from overflowing.
const LENGTH_DIGITS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_joins_packets_with_the_record_separator_and_binary_is_base64() {
        let frames = [
            text("4hello"),
            Frame::Binary(Bytes::from_static(&[1, 2, 3, 4])),
        ];

        let (content, body) = encode(Protocol::V4, BinarySupport::Bytes, &frames);

        assert_eq!(content, Content::Text);
        assert_eq!(body, "4hello\x1ebAQIDBA==");
        assert_eq!(
            packets(Protocol::V4, Content::Text, &body),
            [
                Ok(Packet::text("hello")),
                Ok(Packet::binary(vec![1, 2, 3, 4]))
            ]
        );
    }

    #[test]
    fn v3_text_lengths_count_utf16_units() {
        let frames = [text("4€"), text("4💙a")];

        let (content, body) = encode(Protocol::V3, BinarySupport::Bytes, &frames);

        assert_eq!(content, Content::Text);
        assert_eq!(body, "2:4€4:4💙a");
        assert_eq!(
            packets(Protocol::V3, Content::Text, &body),
            [Ok(Packet::text("€")), Ok(Packet::text("💙a"))]
        );
    }

    #[test]
    fn v3_without_binary_support_sends_base64() {
        let frames = [
            text("4hello"),
            Frame::Binary(Bytes::from_static(&[1, 2, 3, 4])),
        ];

        let (content, body) = encode(Protocol::V3, BinarySupport::Base64, &frames);

        assert_eq!(
            (content, &body[..]),
            (Content::Text, &b"6:4hello10:b4AQIDBA=="[..])
        );
    }

    #[test]
    fn v3_with_binary_support_sends_byte_lengths() {
        let frames = [
            text("4hello"),
            Frame::Binary(Bytes::from_static(&[1, 2, 3, 4])),
        ];

        let (content, body) = encode(Protocol::V3, BinarySupport::Bytes, &frames);

        let expected = [
            0, 6, 255, 52, 104, 101, 108, 108, 111, 1, 5, 255, 4, 1, 2, 3, 4,
        ];
        assert_eq!((content, &body[..]), (Content::Binary, &expected[..]));
        assert_eq!(
            packets(Protocol::V3, Content::Binary, &body),
            [
                Ok(Packet::text("hello")),
                Ok(Packet::binary(vec![1, 2, 3, 4]))
            ]
        );
    }

    #[test]
    fn an_empty_body_is_an_error_in_both_protocols() {
        assert_eq!(
            packets(Protocol::V4, Content::Text, b""),
            [Err(PacketError::Empty)]
        );
        assert_eq!(
            packets(Protocol::V3, Content::Text, b""),
            [Err(PacketError::Length)]
        );
        assert_eq!(
            packets(Protocol::V3, Content::Binary, b""),
            [Err(PacketError::Length)]
        );
    }

    #[test]
    fn packets_before_a_broken_one_are_delivered_and_none_after_it() {
        let v4 = packets(Protocol::V4, Content::Text, b"4a\x1ex\x1e4b");
        let v3 = packets(Protocol::V3, Content::Text, b"2:4a1:x2:4b");

        let expected = [Ok(Packet::text("a")), Err(PacketError::UnknownType(b'x'))];
        assert_eq!(v4, expected);
        assert_eq!(v3, expected);
    }

    #[test]
    fn broken_v3_lengths_are_refused() {
        for body in [
            &b"abc"[..],
            b":4a",
            b"x:4a",
            b"9:4a",
            b"2:4a5",
            b"99999999999999999999:4",
            b"1.5:4a",
            b"0:",
        ] {
            let last = packets(Protocol::V3, Content::Text, body).pop();
            assert!(matches!(last, Some(Err(_))), "{body:?} gave {last:?}");
        }
        for body in [
            &[0, 255][..],
            &[0, 9, 255, 52],
            &[0, 10, 255, 52],
            &[255],
            &[0, 1],
            &[1, 0, 255],
        ] {
            let last = packets(Protocol::V3, Content::Binary, body).pop();
            assert!(matches!(last, Some(Err(_))), "{body:?} gave {last:?}");
        }
    }

    #[test]
    fn a_v3_length_may_not_cut_a_character() {
        assert_eq!(
            packets(Protocol::V3, Content::Text, "2:4💙".as_bytes()),
            [Err(PacketError::Length)]
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        assert_eq!(
            packets(Protocol::V4, Content::Text, b"4\xff"),
            [Err(PacketError::Utf8)]
        );
        assert_eq!(
            packets(Protocol::V3, Content::Text, b"3:4\xff"),
            [Err(PacketError::Utf8)]
        );
        assert_eq!(
            packets(Protocol::V3, Content::Binary, &[0, 2, 255, 52, 255]),
            [Err(PacketError::Utf8)]
        );
    }

    fn text(text: &'static str) -> Frame {
        Frame::Text(Bytes::from_static(text.as_bytes()))
    }

    fn packets(
        protocol: Protocol,
        content: Content,
        body: &[u8],
    ) -> Vec<Result<Packet, PacketError>> {
        Packets::new(protocol, content, Bytes::copy_from_slice(body)).collect()
    }
}
