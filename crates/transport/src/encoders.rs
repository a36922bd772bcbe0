//! How messages are written: a dialect, a framing and a compression for each encoder.

use std::cell::RefCell;

use bytes::Bytes;
use nuncio_hub::{Encode, EncoderId, Message};
use nuncio_protocol::encode;
use nuncio_session::socketio;
use nuncio_websocket::{Compression, DeflateParams, Deflater, Mask, MessageKind, WindowBits};

/// Native JSON in WebSocket text frames.
pub const NATIVE: EncoderId = EncoderId(0);
/// The same, deflated with a window of 9 bits; the six after it have one bit more each.
const NATIVE_DEFLATE: EncoderId = EncoderId(1);

/// Socket.IO packets of the default parser, in WebSocket frames of Engine.IO 4.
pub const SOCKETIO: EncoderId = EncoderId(8);

/// Writes messages for all kinds of members.
#[derive(Debug, Clone)]
pub struct Encoders {
    /// Messages below this many bytes are not compressed: a small JSON gains nothing.
    pub deflate_threshold: usize,
}

thread_local! {
    static DEFLATER: RefCell<Deflater> = const { RefCell::new(Deflater::new()) };
}

/// The encoder of a connection, by the compression it agreed to.
pub(crate) fn encoder_of(deflate: Option<DeflateParams>) -> EncoderId {
    deflate.map_or(NATIVE, |params| {
        EncoderId(NATIVE_DEFLATE.0 + params.server_window.bits() - 9)
    })
}

impl Encoders {
    /// Frames a text for one encoder.
    pub fn frame(&self, encoder: EncoderId, text: &[u8]) -> Bytes {
        let window = encoder
            .0
            .checked_sub(NATIVE_DEFLATE.0)
            .and_then(|bits| WindowBits::new(bits + 9));
        match window {
            Some(window) if text.len() >= self.deflate_threshold => {
                DEFLATER.with_borrow_mut(|deflater| {
                    nuncio_websocket::encode(
                        MessageKind::Text,
                        text,
                        Compression::Deflate { deflater, window },
                        Mask::None,
                    )
                })
            }
            _ => nuncio_websocket::encode(MessageKind::Text, text, Compression::None, Mask::None),
        }
    }
}

impl Encode for Encoders {
    fn encode(&self, encoder: EncoderId, message: Message<'_>) -> Bytes {
        if encoder == SOCKETIO {
            return crate::socketio::item(match message {
                Message::Publication(publication) => socketio::publication(publication),
                Message::Push(namespace, push) => socketio::push(namespace, push),
            });
        }
        let text = match message {
            Message::Publication(publication) => encode::publication(publication),
            Message::Push(_, push) => encode::push(push),
        };
        self.frame(encoder, &text)
    }
}
