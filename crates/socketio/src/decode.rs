//! Decoding of packets (protocol v5, "Packet encoding"), attachments included.

use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::json::{self, Cursor};
use crate::limits::Limits;
use crate::msgpack;
use crate::namespace::Namespace;
use crate::packet::{Body, Packet, Parser};
use crate::payload::{self, Event, Payload};

/// Why a message was refused. Each ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message is empty or its first character is no packet type.
    #[error("unknown packet type")]
    Type,
    /// The number of attachments is missing or no number.
    #[error("illegal number of attachments")]
    Attachments,
    /// More attachments than [`Limits::attachments_max`].
    #[error("{count} attachments, at most {max} are allowed")]
    TooManyAttachments {
        /// What the packet announced.
        count: u64,
        /// The bound.
        max: usize,
    },
    /// A namespace longer than [`Limits::namespace_bytes_max`].
    #[error("namespace of {len} bytes, at most {max} are allowed")]
    NamespaceTooLong {
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// An acknowledgement id that JavaScript cannot hold: above 2^53 - 1.
    #[error("acknowledgement id out of range")]
    Id,
    /// The data is not JSON, or not MessagePack.
    #[error("data is not well-formed")]
    Json,
    /// Nested deeper than `depth_max` of [`Limits`].
    #[error("data nested deeper than {max} levels")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// Data that this type of packet does not carry, or a reserved event name.
    #[error("invalid data for this type of packet")]
    Data,
    /// A placeholder names an attachment that is not there.
    #[error("placeholder without an attachment")]
    Placeholder,
    /// A text while attachments are due.
    #[error("text where an attachment is due")]
    TextWhileWaiting,
    /// A binary message that no packet announced, or a text with the MessagePack parser that is none of the few it has.
    #[error("unexpected message")]
    Unexpected,
    /// The attachments did not arrive within [`Limits::attachments_wait`].
    #[error("attachments are overdue")]
    Overdue,
}

/// Turns Engine.IO messages into packets; holds a packet while its attachments are on their way.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// A packet that waits for attachments.
#[derive(Debug)]
struct Partial {
    packet: Header,
    json: Bytes,
    attachments: Vec<Bytes>,
    count: usize,
    overdue_at: Instant,
}

#[derive(Debug)]
struct Header {
    kind: u8,
    namespace: Namespace,
    id: Option<u64>,
}

impl Decoder {
    /// A text message, without the Engine.IO type digit. `None` when attachments must follow.
    ///
    /// # Errors
    /// [`DecodeError`]: the connection ends then.
    pub fn decode_text(
        &mut self,
        now: Instant,
        text: Bytes,
        parser: Parser,
        limits: &Limits,
    ) -> Result<Option<Packet>, DecodeError> {
        match parser {
            Parser::MessagePack => return msgpack::read_text(&text, limits).map(Some),
            Parser::Default if self.partial.is_some() => return Err(DecodeError::TextWhileWaiting),
            Parser::Default => {}
        }
        let (packet, count, json) = decode_header(text, limits)?;
        if !json.is_empty() {
            json::check(&json, limits.depth())?;
        }
        if count == 0 {
            return packet.with(Payload::new(json, Vec::new())).map(Some);
        }
        // The data is judged now: nobody waits for the attachments of a packet that is wrong anyway.
        body(
            packet.kind,
            packet.id,
            Payload::new(json.clone(), Vec::new()),
        )?;
        payload::check_placeholders(&json, count)?;
        let overdue_at = now + limits.attachments_wait;
        let attachments = Vec::with_capacity(count);
        self.partial = Some(Box::new(Partial {
            packet,
            json,
            attachments,
            count,
            overdue_at,
        }));
        Ok(None)
    }

    /// A binary message. `None` when more attachments must follow.
    ///
    /// # Errors
    /// [`DecodeError`]: the connection ends then.
    pub fn decode_binary(
        &mut self,
        bytes: Bytes,
        parser: Parser,
        limits: &Limits,
    ) -> Result<Option<Packet>, DecodeError> {
        match parser {
            Parser::MessagePack => return msgpack::read_packet(&bytes, limits).map(Some),
            Parser::Default => {}
        }
        let partial = self.partial.as_mut().ok_or(DecodeError::Unexpected)?;
        partial.attachments.push(bytes);
        if partial.attachments.len() < partial.count {
            return Ok(None);
        }
        let Some(complete) = self.partial.take() else {
            return Ok(None);
        };
        complete
            .packet
            .with(Payload::new(complete.json, complete.attachments))
            .map(Some)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, while attachments are.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.partial.as_ref().map(|partial| partial.overdue_at)
    }

    /// Gives up on attachments that are overdue.
    ///
    /// # Errors
    /// [`DecodeError::Overdue`]: the connection ends then.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), DecodeError> {
        match self.poll_timeout() {
            Some(overdue_at) if now >= overdue_at => Err(DecodeError::Overdue),
            Some(_) | None => Ok(()),
        }
    }
}

impl Header {
    fn with(self, payload: Payload) -> Result<Packet, DecodeError> {
        let body = body(self.kind, self.id, payload)?;
        Ok(Packet {
            namespace: self.namespace,
            body,
        })
    }
}

/// Checks that the data fits the type, as the reference does, and that an EVENT has data at all.
pub(crate) fn body(kind: u8, id: Option<u64>, payload: Payload) -> Result<Body, DecodeError> {
    let first = Cursor::new(payload.json()).peek();
    match (kind, first) {
        (0, 0 | b'{') => Ok(Body::Connect(payload.into_parts().0)),
        (1, 0) => Ok(Body::Disconnect),
        (2 | 5, b'[') => Ok(Body::Event {
            id,
            event: Event::new(payload)?,
        }),
        (3 | 6, b'[') => Ok(Body::Ack { id, args: payload }),
        (3, 0) => Ok(Body::Ack {
            id,
            args: Payload::new(&b"[]"[..], Vec::new()),
        }),
        (4, b'{' | b'"') => Ok(Body::ConnectError(payload.into_parts().0)),
        (0..=6, _) => Err(DecodeError::Data),
        (_, _) => Err(DecodeError::Type),
    }
}

/// `<type>[<attachments>-][<namespace>,][<id>][<JSON>]`
fn decode_header(mut text: Bytes, limits: &Limits) -> Result<(Header, usize, Bytes), DecodeError> {
    let kind = match text.first() {
        Some(digit @ b'0'..=b'6') => digit - b'0',
        Some(_) | None => return Err(DecodeError::Type),
    };
    text.advance(1);
    let count = if kind >= 5 {
        attachments(&mut text, limits)?
    } else {
        0
    };
    let namespace = namespace(&mut text, limits)?;
    let id = match digits(&mut text) {
        Some(digits) => Some(
            number(&digits)
                .filter(|&id| id <= ID_MAX)
                .ok_or(DecodeError::Id)?,
        ),
        None => None,
    };
    Ok((
        Header {
            kind,
            namespace,
            id,
        },
        count,
        text,
    ))
}

fn attachments(text: &mut Bytes, limits: &Limits) -> Result<usize, DecodeError> {
    let count = digits(text).ok_or(DecodeError::Attachments)?;
    let count = number(&count)
        .filter(|&count| count > 0)
        .ok_or(DecodeError::Attachments)?;
    if text.first() != Some(&b'-') {
        return Err(DecodeError::Attachments);
    }
    text.advance(1);
    let max = limits.attachments_max;
    usize::try_from(count)
        .ok()
        .filter(|&count| count <= max)
        .ok_or(DecodeError::TooManyAttachments { count, max })
}

/// The comma may be missing when nothing follows.
fn namespace(text: &mut Bytes, limits: &Limits) -> Result<Namespace, DecodeError> {
    if text.first() != Some(&b'/') {
        return Ok(Namespace::MAIN);
    }
    let len = text
        .iter()
        .position(|&byte| byte == b',')
        .unwrap_or(text.len());
    let max = limits.namespace_bytes_max;
    if len > max {
        return Err(DecodeError::NamespaceTooLong { len, max });
    }
    let name = text.split_to(len);
    if !text.is_empty() {
        text.advance(1);
    }
    Ok(Namespace::new(
        std::str::from_utf8(&name).map_err(|_| DecodeError::Json)?,
    ))
}

fn digits(text: &mut Bytes) -> Option<Bytes> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (len > 0).then(|| text.split_to(len))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The largest integer JavaScript holds exactly.
pub(crate) const ID_MAX: u64 = (1 << 53) - 1;
