//! How messages are written: a dialect, a framing and a compression for each encoder.

use std::cell::RefCell;

use bytes::Bytes;
use nuncio_hub::{Encode, EncoderId, Message};
use nuncio_model::{Compression as Wanted, Offset, Push};
use nuncio_protocol::{encode, stream};
use nuncio_session::socketio;
use nuncio_socketio::Encoded;
use nuncio_websocket::{Compression, DeflateParams, Deflater, Mask, MessageKind, WindowBits};

use crate::socketio::{Form, item};

/// Native JSON in WebSocket text frames.
pub const NATIVE: EncoderId = EncoderId(0);
/// The same, deflated with a window of 9 bits; the six after it have one bit more each.
const NATIVE_DEFLATE: EncoderId = EncoderId(1);

/// Native JSON in events, each behind a line with its position: what feeds and streams are made of.
pub const SSE: EncoderId = EncoderId(254);
/// The same bytes, for polls: a session may change between the two, and stays the same member of its rooms.
pub const POLLING: EncoderId = EncoderId(255);

/// Writes messages for all kinds of members. The encoders 8 to 71 are those of Socket.IO ([`Form`]).
#[derive(Debug, Clone)]
pub struct Encoders {
    /// Messages below this many bytes are not compressed: a small JSON gains nothing.
    pub deflate_threshold: usize,
    /// The same for Socket.IO packets, where the reference says 1,024.
    pub socketio_deflate_threshold: usize,
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
        let window = window.filter(|_| text.len() >= self.deflate_threshold);
        compressing(window, |compression| {
            nuncio_websocket::encode(MessageKind::Text, text, compression, Mask::None)
        })
    }

    /// Frames a Socket.IO packet and its attachments, which must not be parted.
    pub fn socketio(&self, form: Form, packet: Encoded) -> Bytes {
        item(packet, form, self.socketio_deflate_threshold)
    }
}

/// Lends the compressor of this thread, where a window is given.
pub(crate) fn compressing<T>(
    window: Option<WindowBits>,
    write: impl FnOnce(Compression<'_>) -> T,
) -> T {
    match window {
        None => write(Compression::None),
        Some(window) => {
            DEFLATER.with_borrow_mut(|deflater| write(Compression::Deflate { deflater, window }))
        }
    }
}

impl Encoders {
    /// A message for a Socket.IO client, with its place in the namespace's order where it has one.
    fn packet(&self, mut form: Form, message: Message<'_>, offset: Option<Offset>) -> Bytes {
        if wanted(message) == Wanted::Never {
            form.window = None;
        }
        let packet = match message {
            Message::Publication(publication) => {
                socketio::publication(form.parser, publication, offset)
            }
            Message::Push(namespace, push) => socketio::push(form.parser, namespace, push, offset),
        };
        self.socketio(form, packet)
    }
}

impl Encode for Encoders {
    fn encode_at(&self, encoder: EncoderId, message: Message<'_>, offset: Offset) -> Bytes {
        match Form::of(encoder) {
            // Clients of 2.x recover nothing: they are given no offsets.
            Some(form) if form.recovers() => self.packet(form, message, Some(offset)),
            Some(_) | None => self.encode(encoder, message),
        }
    }

    fn encode(&self, encoder: EncoderId, message: Message<'_>) -> Bytes {
        if let Some(form) = Form::of(encoder) {
            return self.packet(form, message, None);
        }
        if matches!(encoder, SSE | POLLING) {
            return stream_item(message);
        }
        let text = match message {
            Message::Publication(publication) => encode::publication(publication),
            Message::Push(_, push) => encode::push(push),
        };
        match wanted(message) {
            Wanted::AsAgreed => self.frame(encoder, &text),
            Wanted::Never => self.frame(NATIVE, &text),
        }
    }
}

/// Whether a message is worth compressing. Publications are: what is stored says nothing of its way.
const fn wanted(message: Message<'_>) -> Wanted {
    match message {
        Message::Push(_, Push::Event { compression, .. } | Push::Question { compression, .. }) => {
            *compression
        }
        Message::Push(..) | Message::Publication(_) => Wanted::AsAgreed,
    }
}

fn stream_item(message: Message<'_>) -> Bytes {
    match message {
        Message::Publication(publication) => stream::item(
            Some((&publication.room, publication.position)),
            &encode::publication(publication),
        ),
        Message::Push(_, push) => {
            let place = match push {
                Push::Position { room, position, .. } => Some((room, *position)),
                _ => None,
            };
            stream::item(place, &encode::push(push))
        }
    }
}
