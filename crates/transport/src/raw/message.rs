//! What is sent and what arrives.

use std::cell::RefCell;

use bytes::Bytes;
use nuncio_websocket::{Compression, Deflater, Mask, MessageKind, WindowBits};

use crate::app::Closed;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// The text; `None` when the message is binary.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes, of a text too.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// What happens on a connection, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message came.
    Message(Message),
    /// A ping came; it was answered already.
    Ping(Bytes),
    /// A pong came, asked for or not.
    Pong(Bytes),
    /// The connection is over; nothing follows.
    Closed(Closed),
}

/// A message in frames: one for all who agreed to the same compression, made when the first of them wants it.
pub(super) struct Frames<'a> {
    message: &'a Message,
    deflate_threshold: usize,
    made: [Option<Bytes>; 8],
}

thread_local! {
    static DEFLATER: RefCell<Deflater> = const { RefCell::new(Deflater::new()) };
}

impl<'a> Frames<'a> {
    pub(super) const fn new(message: &'a Message, deflate_threshold: usize) -> Self {
        Self {
            message,
            deflate_threshold,
            made: [const { None }; 8],
        }
    }

    /// The frame for a client that inflates with this window, or not at all.
    pub(super) fn frame(&mut self, window: Option<WindowBits>) -> Bytes {
        let bytes = self.message.as_bytes();
        let window = window.filter(|_| bytes.len() >= self.deflate_threshold);
        let slot = window.map_or(0, |window| usize::from(window.bits()) - 8);
        let made = self.made[slot].get_or_insert_with(|| encode(self.message, window));
        made.clone()
    }
}

fn encode(message: &Message, window: Option<WindowBits>) -> Bytes {
    let (kind, bytes) = (message.kind(), message.as_bytes());
    match window {
        None => nuncio_websocket::encode(kind, bytes, Compression::None, Mask::None),
        Some(window) => DEFLATER.with_borrow_mut(|deflater| {
            let compression = Compression::Deflate { deflater, window };
            nuncio_websocket::encode(kind, bytes, compression, Mask::None)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_with_the_same_window_share_one_frame() {
        let message = Message::from("a text that is long enough to be compressed, compressed");
        let mut frames = Frames::new(&message, 16);
        let window = WindowBits::new(12);

        let (plain, deflated) = (frames.frame(None), frames.frame(window));

        assert_ne!(plain, deflated);
        assert_eq!(frames.frame(None).as_ptr(), plain.as_ptr());
        assert_eq!(frames.frame(window).as_ptr(), deflated.as_ptr());
        assert_ne!(frames.frame(WindowBits::new(9)).as_ptr(), deflated.as_ptr());
    }

    #[test]
    fn a_short_message_is_sent_as_it_is_to_everybody() {
        let message = Message::from("short");
        let mut frames = Frames::new(&message, 16);

        let plain = frames.frame(None);

        assert_eq!(frames.frame(WindowBits::new(15)).as_ptr(), plain.as_ptr());
        assert_eq!(plain, b"\x81\x05short"[..]);
    }
}
