//! The items of a Socket.IO client's outbox: WebSocket frames of Engine.IO packets, written and read back.

use bytes::{Bytes, BytesMut};
use nuncio_engineio::{Frame, Protocol};
use nuncio_socketio::Encoded;
use nuncio_websocket::{Compression, Header, Mask, MessageKind, Opcode, encode, encode_into};

use super::form::Form;
use crate::encoders::compressing;

/// One item: the packet and its attachments, which must not be parted. Frames of fewer bytes than `threshold` are not compressed.
pub(crate) fn item(packet: Encoded, form: Form, threshold: usize) -> Bytes {
    let is_alone = packet.attachments().is_empty();
    let mut frames = packet.into_frames().map(|frame| {
        let frame = match frame {
            nuncio_socketio::Frame::Text(text) => Frame::Text(text),
            nuncio_socketio::Frame::Binary(bytes) => Frame::Binary(bytes),
        };
        frame.for_websocket(form.protocol, form.binary)
    });
    let window_of = |payload: &[u8]| form.window.filter(|_| payload.len() >= threshold);
    match frames.next() {
        Some(only) if is_alone => {
            let (kind, payload) = parts(&only);
            compressing(window_of(payload), |compression| {
                encode(kind, payload, compression, Mask::None)
            })
        }
        head => {
            let mut item = BytesMut::new();
            for frame in head.into_iter().chain(frames) {
                let (kind, payload) = parts(&frame);
                compressing(window_of(payload), |compression| {
                    encode_into(&mut item, kind, payload, compression, Mask::None);
                });
            }
            item.freeze()
        }
    }
}

/// One packet as a WebSocket frame.
pub(super) fn item_of(frame: &Frame) -> Bytes {
    let (kind, payload) = parts(frame);
    encode(kind, payload, Compression::None, Mask::None)
}

fn parts(frame: &Frame) -> (MessageKind, &[u8]) {
    match frame {
        Frame::Text(text) => (MessageKind::Text, text),
        Frame::Binary(bytes) => (MessageKind::Binary, bytes),
    }
}

/// Reads the packets of an item back, without a copy, in the form that Engine.IO takes. Pongs, which only a WebSocket has, are passed over.
///
/// # Panics
/// When the item is not what this module writes for a client that polls: nothing for it is compressed.
pub(super) fn packets(mut item: Bytes, protocol: Protocol) -> impl Iterator<Item = Frame> {
    let type_len = match protocol {
        Protocol::V4 => 0,
        Protocol::V3 => 1,
    };
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
                Opcode::Binary => return Some(Frame::Binary(payload.slice(type_len..))),
                Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {}
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use nuncio_engineio::BinarySupport;
    use nuncio_socketio::{Namespace, Parser};
    use nuncio_websocket::{Connection, ConnectionConfig, DeflateParams, Event, Role, WindowBits};

    use super::*;

    #[test]
    fn what_waits_for_a_websocket_is_read_back_for_a_poll() {
        let binary: Vec<Bytes> = vec![vec![0x1e, 0].into(), vec![7; 70_000].into()];
        for protocol in [Protocol::V3, Protocol::V4] {
            let form = Form {
                protocol,
                ..Form::DEFAULT
            };
            let packet = packet(Parser::Default, &binary);
            let mut items = BytesMut::from(&item(packet.clone(), form, 0)[..]);
            items.extend_from_slice(&item_of(&Frame::Text("2".into())));

            let read: Vec<_> = packets(items.freeze(), protocol).collect();

            let text = format!("4{}", packet.text().expect("the default parser"));
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

    #[test]
    fn binary_messages_begin_with_their_type_in_v3_and_are_text_for_clients_without_them() {
        use BinarySupport::{Base64, Bytes as Raw};

        let binary: Vec<Bytes> = vec![vec![1, 2, 3].into()];
        for (protocol, support, expected) in [
            (Protocol::V4, Raw, Event::Binary(vec![1, 2, 3].into())),
            (Protocol::V3, Raw, Event::Binary(vec![4, 1, 2, 3].into())),
            (Protocol::V4, Base64, Event::Text("bAQID".into())),
            (Protocol::V3, Base64, Event::Text("b4AQID".into())),
        ] {
            let form = Form {
                protocol,
                binary: support,
                ..Form::DEFAULT
            };

            let item = item(packet(Parser::Default, &binary), form, 0);

            assert_eq!(received(item, None)[1], expected);
        }
    }

    #[test]
    fn frames_from_the_threshold_on_are_compressed_each_by_itself() {
        let large = Bytes::from(vec![b'x'; 5_000]);
        for parser in [Parser::Default, Parser::MessagePack] {
            let form = Form {
                parser,
                window: Some(WindowBits::MIN),
                ..Form::DEFAULT
            };
            let packet = packet(parser, std::slice::from_ref(&large));
            let deflate = DeflateParams {
                server_window: WindowBits::MIN,
                client_window: WindowBits::MAX,
            };

            let deflated = item(packet.clone(), form, 1_024);

            assert!(deflated.len() < 250, "{} bytes", deflated.len());
            let plain = item(
                packet,
                Form {
                    parser,
                    ..Form::DEFAULT
                },
                0,
            );
            assert_eq!(received(deflated, Some(deflate)), received(plain, None));
        }
    }

    fn packet(parser: Parser, binary: &[Bytes]) -> Encoded {
        let placeholders: Vec<_> = (0..binary.len())
            .map(|number| format!(r#"{{"_placeholder":true,"num":{number}}}"#))
            .collect();
        let args = placeholders.join(",");
        let namespace = Namespace::new("/a");
        nuncio_socketio::encode::event(parser, &namespace, None, "x", args.as_bytes(), binary)
    }

    fn received(item: Bytes, deflate: Option<DeflateParams>) -> Vec<Event<'static>> {
        let config = ConnectionConfig {
            message_bytes_max: 1_000_000,
            deflate,
        };
        let mut client = Connection::new(Role::Client, config);
        let mut inflater = nuncio_websocket::Inflater::new();
        let (mut bytes, mut events) = (item.to_vec(), Vec::new());
        let mut input = &mut bytes[..];
        while let Some(event) = client
            .receive(&mut input, &mut inflater)
            .expect("the frames are valid")
        {
            events.push(match event {
                Event::Text(text) => Event::Text(text.into_owned().into()),
                Event::Binary(bytes) => Event::Binary(bytes.into_owned().into()),
                other => panic!("{other:?}"),
            });
        }
        events
    }
}
