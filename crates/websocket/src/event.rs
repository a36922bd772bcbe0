//! What arrives on a connection.

use std::borrow::Cow;

use crate::{CloseCode, FrameError, MessageKind, Opcode, close};

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping, to be answered with a pong that carries the same payload, at most 125 bytes (RFC 6455 §5.5.2).
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not (RFC 6455 §5.5.3).
    Pong(Cow<'a, [u8]>),
    /// The peer's close frame; nothing follows it (RFC 6455 §5.5.1).
    Close {
        /// Why, if the peer says so; its absence is what APIs report as 1005.
        code: Option<CloseCode>,
        /// A text for people, at most 123 bytes.
        reason: Cow<'a, str>,
    },
}

impl<'a> Event<'a> {
    /// The event with a copy of whatever it borrows.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
            Self::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
            Self::Close { code, reason } => Event::Close {
                code,
                reason: Cow::Owned(reason.into_owned()),
            },
        }
    }

    pub(crate) fn message(kind: MessageKind, payload: &'a [u8]) -> Result<Self, FrameError> {
        match kind {
            MessageKind::Text => match simdutf8::basic::from_utf8(payload) {
                Ok(text) => Ok(Self::Text(Cow::Borrowed(text))),
                Err(_) => Err(FrameError::TextNotUtf8),
            },
            MessageKind::Binary => Ok(Self::Binary(Cow::Borrowed(payload))),
        }
    }

    pub(crate) fn control(opcode: Opcode, payload: Cow<'a, [u8]>) -> Result<Self, FrameError> {
        match opcode {
            Opcode::Ping => Ok(Self::Ping(payload)),
            Opcode::Pong => Ok(Self::Pong(payload)),
            Opcode::Close => {
                close::parse(payload).map(|(code, reason)| Self::Close { code, reason })
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                unreachable!("{opcode:?} is not a control frame")
            }
        }
    }
}
