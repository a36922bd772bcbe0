//! A message whose last frame is still to come (RFC 6455 §5.4).

use std::borrow::Cow;

use crate::utf8::CutCharacter;
use crate::{Event, FrameError, Inflater};

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text in UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// The part of a message that has arrived. Text is judged as it comes; compressed bytes wait for the message's end, because
/// the inflater belongs to the thread and not to the connection.
#[derive(Debug)]
pub(crate) enum PartialMessage {
    Text { text: String, cut: CutCharacter },
    Binary(Vec<u8>),
    Deflated { kind: MessageKind, bytes: Vec<u8> },
}

impl PartialMessage {
    pub(crate) fn new(kind: MessageKind, compressed: bool) -> Self {
        match kind {
            kind if compressed => Self::Deflated {
                kind,
                bytes: Vec::new(),
            },
            MessageKind::Text => Self::Text {
                text: String::new(),
                cut: CutCharacter::default(),
            },
            MessageKind::Binary => Self::Binary(Vec::new()),
        }
    }

    pub(crate) fn append(&mut self, piece: &[u8]) -> Result<(), FrameError> {
        match self {
            Self::Text { text, cut } => cut.push(piece, text)?,
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.extend_from_slice(piece),
        }
        Ok(())
    }

    /// Bytes that have arrived.
    pub(crate) fn len(&self) -> u64 {
        let len = match self {
            Self::Text { text, cut } => text.len() + cut.len(),
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.len(),
        };
        len as u64
    }

    /// Takes what has arrived, when it is this long at least; a compressed message stays whole.
    pub(crate) fn take(&mut self, len_min: usize) -> Option<(MessageKind, Vec<u8>)> {
        match self {
            Self::Text { text, .. } if text.len() >= len_min => {
                Some((MessageKind::Text, std::mem::take(text).into_bytes()))
            }
            Self::Binary(bytes) if bytes.len() >= len_min => {
                Some((MessageKind::Binary, std::mem::take(bytes)))
            }
            Self::Text { .. } | Self::Binary(_) | Self::Deflated { .. } => None,
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        match self {
            Self::Text { .. } | Self::Binary(_) => false,
            Self::Deflated { .. } => true,
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.capacity(),
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.capacity(),
        }
    }

    /// The message, after its last byte was appended.
    pub(crate) fn finish(self) -> Result<Arrival<'static>, FrameError> {
        Ok(match self {
            Self::Text { cut, .. } if cut.len() > 0 => return Err(FrameError::TextNotUtf8),
            Self::Text { text, .. } => Arrival::Event(Event::Text(Cow::Owned(text))),
            Self::Binary(bytes) => Arrival::Event(Event::Binary(Cow::Owned(bytes))),
            Self::Deflated { kind, bytes } => Arrival::Deflated {
                kind,
                bytes: Cow::Owned(bytes),
            },
        })
    }
}

/// A control frame or message of which every byte is there.
#[derive(Debug)]
pub(crate) enum Arrival<'i> {
    Event(Event<'i>),
    Deflated {
        kind: MessageKind,
        bytes: Cow<'i, [u8]>,
    },
}

impl<'i> Arrival<'i> {
    /// A message of one frame that lies in the input as a whole.
    pub(crate) fn whole(
        kind: MessageKind,
        compressed: bool,
        payload: &'i [u8],
    ) -> Result<Self, FrameError> {
        if compressed {
            return Ok(Self::Deflated {
                kind,
                bytes: Cow::Borrowed(payload),
            });
        }
        Event::message(kind, payload).map(Self::Event)
    }

    pub(crate) fn into_event<'a>(
        self,
        inflater: &'a mut Inflater,
        bytes_max: u64,
    ) -> Result<Event<'a>, FrameError>
    where
        'i: 'a,
    {
        match self {
            Self::Event(event) => Ok(event),
            Self::Deflated { kind, bytes } => {
                Event::message(kind, inflater.inflate(&bytes, bytes_max)?)
            }
        }
    }
}
