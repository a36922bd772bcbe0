//! Packets and their encoding, one at a time (protocol v4 and v3, "Packet encoding").

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};

/// One Engine.IO packet.
///
/// Text payloads are `Bytes` that hold valid UTF-8, so that they can be passed on without a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the handshake, a JSON object.
    Open(Bytes),
    /// `1`: the transport can be closed.
    Close,
    /// `2`: part of the heartbeat, or with the text `probe` of the upgrade.
    Ping(Bytes),
    /// `3`: the answer to a ping, with its text.
    Pong(Bytes),
    /// `4`: a message for the application.
    Message(Message),
    /// `5`: completes an upgrade.
    Upgrade,
    /// `6`: nothing; releases a pending poll.
    Noop,
}

/// What the application sends and receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Valid UTF-8, without the type digit.
    Text(Bytes),
    /// Any bytes.
    Binary(Bytes),
}

/// One encoded packet, as a WebSocket message carries it.
///
/// What [`Connection::send`](crate::server::Connection::send) takes is in the form of protocol v4 with binary
/// support: a text starts with its type digit (`4hello`), a binary is the bare message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Type digit and UTF-8 text.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

/// The revision of the Engine.IO protocol a client speaks (`EIO` in the query).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Revision 3: Socket.IO clients 1.x and 2.x. The client pings.
    V3,
    /// Revision 4: Socket.IO clients 3.x and 4.x. The server pings.
    V4,
}

/// Whether the client takes binary data as it is (no `b64` in the query).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinarySupport {
    /// Binary messages travel as bytes wherever the transport allows it.
    Bytes,
    /// Binary messages travel as base64 text (`b64=1`).
    Base64,
}

/// Why a packet or payload was refused. Each ends the connection with
/// [`CloseReason::ParseError`](crate::server::CloseReason::ParseError).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A text packet without a type digit.
    #[error("empty packet")]
    Empty,
    /// The first byte names no packet type.
    #[error("unknown packet type {0:#04x}")]
    UnknownType(u8),
    /// The text after `b` is not base64.
    #[error("binary packet is not base64")]
    Base64,
    /// A payload that should be text is not UTF-8.
    #[error("payload is not UTF-8")]
    Utf8,
    /// A length of a v3 payload is missing, no number, or larger than what follows.
    #[error("invalid packet length in a payload")]
    Length,
}

impl Packet {
    /// A text message.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::Message(Message::Text(text.into()))
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Message(Message::Binary(bytes.into()))
    }

    /// Decodes one WebSocket message. A v4 binary is always a message; in v3 its first byte is the type.
    ///
    /// # Errors
    /// [`PacketError`] when the frame is no packet; the connection ends then.
    pub fn decode(protocol: Protocol, frame: Frame) -> Result<Self, PacketError> {
        match (frame, protocol) {
            (Frame::Text(text), _) => Self::decode_text(protocol, text),
            (Frame::Binary(bytes), Protocol::V4) => Ok(Self::binary(bytes)),
            (Frame::Binary(bytes), Protocol::V3) => Self::decode_v3_binary(bytes),
        }
    }

    pub(crate) fn decode_text(protocol: Protocol, text: Bytes) -> Result<Self, PacketError> {
        let kind = *text.first().ok_or(PacketError::Empty)?;
        let data = text.slice(1..);
        match kind {
            b'0' => Ok(Self::Open(data)),
            b'1' => Ok(Self::Close),
            b'2' => Ok(Self::Ping(data)),
            b'3' => Ok(Self::Pong(data)),
            b'4' => Ok(Self::text(data)),
            b'5' => Ok(Self::Upgrade),
            b'6' => Ok(Self::Noop),
            b'b' => Self::decode_base64(protocol, &data),
            unknown => Err(PacketError::UnknownType(unknown)),
        }
    }

    /// v4: `b<base64>`; v3: `b<type><base64>`, where only messages are ever binary.
    fn decode_base64(protocol: Protocol, data: &[u8]) -> Result<Self, PacketError> {
        let encoded = match (protocol, data) {
            (Protocol::V4, encoded) | (Protocol::V3, [b'4', encoded @ ..]) => encoded,
            (Protocol::V3, [kind, ..]) => return Err(PacketError::UnknownType(*kind)),
            (Protocol::V3, []) => return Err(PacketError::Empty),
        };
        // The Java client breaks its lines (RFC 2045 §6.8), and the reference server reads over that.
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let unbroken: Vec<u8> = encoded
            .iter()
            .copied()
            .filter(|byte| !is_break(byte))
            .collect();
        let bytes = BASE64.decode(unbroken).map_err(|_| PacketError::Base64)?;
        Ok(Self::binary(bytes))
    }

    pub(crate) fn decode_v3_binary(bytes: Bytes) -> Result<Self, PacketError> {
        match bytes.first() {
            Some(4) => Ok(Self::binary(bytes.slice(1..))),
            Some(&kind) => Err(PacketError::UnknownType(kind)),
            None => Err(PacketError::Empty),
        }
    }

    /// Encodes the packet in the form [`Frame`] describes. A text is copied behind its type digit.
    pub fn encode(self) -> Frame {
        match self {
            Self::Open(data) => typed(b'0', &data),
            Self::Close => Frame::Text(Bytes::from_static(b"1")),
            Self::Ping(data) if data.is_empty() => Frame::Text(Bytes::from_static(b"2")),
            Self::Ping(data) => typed(b'2', &data),
            Self::Pong(data) if data.is_empty() => Frame::Text(Bytes::from_static(b"3")),
            Self::Pong(data) => typed(b'3', &data),
            Self::Message(Message::Text(text)) => typed(b'4', &text),
            Self::Message(Message::Binary(bytes)) => Frame::Binary(bytes),
            Self::Upgrade => Frame::Text(Bytes::from_static(b"5")),
            Self::Noop => Frame::Text(Bytes::from_static(b"6")),
        }
    }
}

impl Frame {
    /// The frame as it goes over a WebSocket to a client of this protocol. Without a copy, except for binary
    /// messages to v3 clients (a type byte stands before them) and to clients without binary support (base64).
    pub fn for_websocket(self, protocol: Protocol, binary: BinarySupport) -> Self {
        match (self, binary, protocol) {
            (Self::Text(text), _, _) => Self::Text(text),
            (Self::Binary(bytes), BinarySupport::Base64, _) => {
                let mut text = BytesMut::with_capacity(2 + bytes.len().div_ceil(3) * 4);
                put_base64(&mut text, protocol, &bytes);
                Self::Text(text.freeze())
            }
            (Self::Binary(bytes), BinarySupport::Bytes, Protocol::V4) => Self::Binary(bytes),
            (Self::Binary(bytes), BinarySupport::Bytes, Protocol::V3) => {
                let mut typed = BytesMut::with_capacity(1 + bytes.len());
                typed.put_u8(4);
                typed.put_slice(&bytes);
                Self::Binary(typed.freeze())
            }
        }
    }

    /// Number of bytes of the encoded packet.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether nothing is in it: an empty binary message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Appends `b<base64>` (v4) or `b4<base64>` (v3).
pub(crate) fn put_base64(out: &mut BytesMut, protocol: Protocol, bytes: &[u8]) {
    out.put_u8(b'b');
    if protocol == Protocol::V3 {
        out.put_u8(b'4');
    }
    out.put_slice(BASE64.encode(bytes).as_bytes());
}

fn typed(kind: u8, data: &[u8]) -> Frame {
    let mut text = BytesMut::with_capacity(1 + data.len());
    text.put_u8(kind);
    text.put_slice(data);
    Frame::Text(text.freeze())
}

/// Some clients leave the padding out, so it is not asked for.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_message_carries_the_digit_4() {
        assert_eq!(Packet::text("hello").encode(), text("4hello"));
        assert_eq!(decode_v4("4hello"), Ok(Packet::text("hello")));
    }

    #[test]
    fn control_packets_are_one_digit_and_their_text() {
        let cases = [
            ("1", Packet::Close),
            ("2", Packet::Ping(Bytes::new())),
            ("2probe", Packet::Ping(Bytes::from_static(b"probe"))),
            ("3probe", Packet::Pong(Bytes::from_static(b"probe"))),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("0{}", Packet::Open(Bytes::from_static(b"{}"))),
        ];
        for (wire, packet) in cases {
            assert_eq!(packet.clone().encode(), text(wire));
            assert_eq!(decode_v4(wire), Ok(packet));
        }
    }

    #[test]
    fn an_empty_or_unknown_packet_is_refused() {
        assert_eq!(decode_v4(""), Err(PacketError::Empty));
        assert_eq!(decode_v4("abc"), Err(PacketError::UnknownType(b'a')));
        assert_eq!(decode_v4("7"), Err(PacketError::UnknownType(b'7')));
    }

    #[test]
    fn binary_data_of_the_java_client_arrives_although_its_base64_has_line_breaks() {
        let message = Packet::binary(vec![0, 0x1e, 1, 0xff]);

        assert_eq!(decode_v4("bAB4B/w==\n"), Ok(message.clone()));
        assert_eq!(decode_v4("bAB4B\r\n/w==\r\n"), Ok(message));
    }

    #[test]
    fn v4_base64_has_no_type_and_v3_base64_has_one() {
        let message = Packet::binary(vec![1, 2, 3, 4]);

        assert_eq!(decode_v4("bAQIDBA=="), Ok(message.clone()));
        assert_eq!(
            Packet::decode(Protocol::V3, text("b4AQIDBA==")),
            Ok(message.clone())
        );
        assert_eq!(
            message
                .clone()
                .encode()
                .for_websocket(Protocol::V4, BinarySupport::Base64),
            text("bAQIDBA==")
        );
        assert_eq!(
            message
                .encode()
                .for_websocket(Protocol::V3, BinarySupport::Base64),
            text("b4AQIDBA==")
        );
    }

    #[test]
    fn base64_without_padding_is_accepted_and_other_text_refused() {
        assert_eq!(decode_v4("bAQIDBA"), Ok(Packet::binary(vec![1, 2, 3, 4])));
        assert_eq!(decode_v4("b!!!"), Err(PacketError::Base64));
    }

    #[test]
    fn a_v3_binary_frame_starts_with_its_type_byte() {
        let frame = Packet::binary(vec![1, 2])
            .encode()
            .for_websocket(Protocol::V3, BinarySupport::Bytes);

        assert_eq!(frame, Frame::Binary(Bytes::from_static(&[4, 1, 2])));
        assert_eq!(
            Packet::decode(Protocol::V3, frame),
            Ok(Packet::binary(vec![1, 2]))
        );
        let ping = Frame::Binary(Bytes::from_static(&[2]));
        assert_eq!(
            Packet::decode(Protocol::V3, ping),
            Err(PacketError::UnknownType(2))
        );
    }

    #[test]
    fn a_v4_binary_frame_is_the_bare_message() {
        let bytes = Bytes::from_static(&[4, 1, 2]);
        let frame = Packet::binary(bytes.clone())
            .encode()
            .for_websocket(Protocol::V4, BinarySupport::Bytes);

        assert_eq!(frame, Frame::Binary(bytes));
    }

    fn text(text: &'static str) -> Frame {
        Frame::Text(Bytes::from_static(text.as_bytes()))
    }

    fn decode_v4(wire: &'static str) -> Result<Packet, PacketError> {
        Packet::decode(Protocol::V4, text(wire))
    }
}
