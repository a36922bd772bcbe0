//! The items of a Socket.IO client's outbox: WebSocket frames of Engine.IO packets, written and read back.

use bytes::{Bytes, BytesMut};
use nuncio_engineio::Frame;
use nuncio_socketio::Encoded;
use nuncio_websocket::{Compression, Header, Mask, MessageKind, Opcode, encode, encode_into};

/// One item: the packet and its attachments, which must not be parted.
pub(crate) fn item(encoded: Encoded) -> Bytes {
    let is_alone = encoded.attachments().is_empty();
    let mut frames = encoded.into_frames().map(|frame| match frame {
        nuncio_socketio::Frame::Text(text) => Frame::Text(text),
        nuncio_socketio::Frame::Binary(bytes) => Frame::Binary(bytes),
    });
    match frames.next() {
        Some(only) if is_alone => item_of(&only),
        head => {
            let mut item = BytesMut::new();
            for frame in head.into_iter().chain(frames) {
                let (kind, payload) = parts(&frame);
                encode_into(&mut item, kind, payload, Compression::None, Mask::None);
            }
            item.freeze()
        }
    }
}

/// One packet as a WebSocket frame.
pub(crate) fn item_of(frame: &Frame) -> Bytes {
    let (kind, payload) = parts(frame);
    encode(kind, payload, Compression::None, Mask::None)
}

fn parts(frame: &Frame) -> (MessageKind, &[u8]) {
    match frame {
        Frame::Text(text) => (MessageKind::Text, text),
        Frame::Binary(bytes) => (MessageKind::Binary, bytes),
    }
}

/// Reads the packets of an item back, without a copy. Pongs, which only a WebSocket has, are passed over.
///
/// # Panics
/// When the item is not what this module writes.
pub(super) fn packets(mut item: Bytes) -> impl Iterator<Item = Frame> {
    std::iter::from_fn(move || {
        while !item.is_empty() {
            let (header, head_len) = Header::parse(&item)
                .ok()
                .flatten()
                .expect("items are whole frames");
            let mut frame = item.split_to(head_len + header.len as usize);
            let payload = frame.split_off(head_len);
            match header.opcode {
                Opcode::Text => return Some(Frame::Text(payload)),
                Opcode::Binary => return Some(Frame::Binary(payload)),
                Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {}
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use nuncio_socketio::{Namespace, Parser};

    use super::*;

    #[test]
    fn what_waits_for_a_websocket_is_read_back_for_a_poll() {
        let binary: Vec<Bytes> = vec![vec![0x1e, 0].into(), vec![7; 70_000].into()];
        let args = br#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
        let namespace = Namespace::new("/a");
        let encoded =
            nuncio_socketio::encode::event(Parser::Default, &namespace, None, "x", args, &binary);
        let mut items = BytesMut::from(&item(encoded.clone())[..]);
        items.extend_from_slice(&item_of(&Frame::Text("2".into())));

        let read: Vec<_> = packets(items.freeze()).collect();

        let text = format!("4{}", encoded.text().expect("the default parser"));
        assert_eq!(
            read,
            [
                Frame::Text(text.into()),
                Frame::Binary(binary[0].clone()),
                Frame::Binary(binary[1].clone()),
                Frame::Text("2".into()),
            ]
        );
    }
}
