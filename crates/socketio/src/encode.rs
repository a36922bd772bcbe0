//! Encoding of packets (protocol v5, "Packet encoding").

use bytes::{BufMut, Bytes, BytesMut};

use crate::msgpack;
use crate::namespace::Namespace;
use crate::packet::{Body, Packet, Parser};
use crate::payload::{Payload, put_string};

/// A packet ready for Engine.IO: one message and its attachments, to be sent in this order without others between.
///
/// It is made once and shared by all receivers: a clone copies no bytes. A text begins with the Engine.IO type digit
/// `4`, so that it goes into a WebSocket frame or a polling payload as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    head: Frame,
    attachments: Vec<Bytes>,
}

/// One Engine.IO message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// `4` and the packet's text.
    Text(Bytes),
    /// A binary message without any prefix.
    Binary(Bytes),
}

impl Encoded {
    /// The first message: the text, or all of it with the MessagePack parser.
    pub fn head(&self) -> &Frame {
        &self.head
    }

    /// The binary messages after the first one.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// All messages in order.
    pub fn into_frames(self) -> impl Iterator<Item = Frame> {
        std::iter::once(self.head).chain(self.attachments.into_iter().map(Frame::Binary))
    }

    /// The text without the Engine.IO digit, as the documents of the protocol show it; `None` with MessagePack.
    pub fn text(&self) -> Option<&str> {
        match &self.head {
            Frame::Text(text) => std::str::from_utf8(&text[1..]).ok(),
            Frame::Binary(_) => None,
        }
    }
}

/// Encodes an event without taking its arguments apart: `args` are JSON values with commas between them, as
/// [`Event::args_json`](crate::payload::Event::args_json) gives them.
///
/// ```
/// use nuncio_socketio::encode;
/// use nuncio_socketio::{Namespace, Parser};
///
/// let chat = Namespace::new("/chat");
/// let encoded = encode::event(Parser::Default, &chat, Some(7), "say", br#""hi",{"a":1}"#, &[]);
/// assert_eq!(encoded.text(), Some(r#"2/chat,7["say","hi",{"a":1}]"#));
/// ```
pub fn event(
    parser: Parser,
    namespace: &Namespace,
    id: Option<u64>,
    name: &str,
    args: &[u8],
    attachments: &[Bytes],
) -> Encoded {
    match parser {
        Parser::Default => {
            let mut text = head(
                Type::Event,
                attachments.len(),
                namespace,
                id,
                name.len() + args.len() + 8,
            );
            put_array(&mut text, name, args);
            finish(text, attachments.to_vec())
        }
        Parser::MessagePack => {
            let mut json = BytesMut::with_capacity(name.len() + args.len() + 8);
            put_array(&mut json, name, args);
            let payload = Payload::new(json, attachments.to_vec());
            message_pack(Type::Event, namespace, id, &payload)
        }
    }
}

/// Encodes an acknowledgement; `args` is a JSON array.
pub fn ack(parser: Parser, namespace: &Namespace, id: u64, args: &Payload) -> Encoded {
    encode(parser, Type::Ack, namespace, Some(id), args)
}

/// Encodes a DISCONNECT.
pub fn disconnect(parser: Parser, namespace: &Namespace) -> Encoded {
    encode(
        parser,
        Type::Disconnect,
        namespace,
        None,
        &Payload::default(),
    )
}

impl Packet {
    /// Encodes the packet. Events and acks with attachments become BINARY_EVENT and BINARY_ACK in the default parser.
    pub fn encode(&self, parser: Parser) -> Encoded {
        let namespace = &self.namespace;
        match &self.body {
            Body::Connect(json) => encode(
                parser,
                Type::Connect,
                namespace,
                None,
                &Payload::new(json.clone(), Vec::new()),
            ),
            Body::Disconnect => disconnect(parser, namespace),
            Body::Event { id, event } => {
                encode(parser, Type::Event, namespace, *id, event.payload())
            }
            Body::Ack { id, args } => encode(parser, Type::Ack, namespace, *id, args),
            Body::ConnectError(json) => encode(
                parser,
                Type::ConnectError,
                namespace,
                None,
                &Payload::new(json.clone(), Vec::new()),
            ),
        }
    }
}

/// The numbers of the default parser; MessagePack has no binary types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

impl Type {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Connect => 0,
            Self::Disconnect => 1,
            Self::Event => 2,
            Self::Ack => 3,
            Self::ConnectError => 4,
        }
    }

    const fn binary_number(self) -> u8 {
        match self {
            Self::Event => 5,
            Self::Ack => 6,
            Self::Connect | Self::Disconnect | Self::ConnectError => self.number(),
        }
    }
}

fn encode(
    parser: Parser,
    kind: Type,
    namespace: &Namespace,
    id: Option<u64>,
    payload: &Payload,
) -> Encoded {
    match parser {
        Parser::Default => {
            let mut text = head(
                kind,
                payload.attachments().len(),
                namespace,
                id,
                payload.json().len(),
            );
            text.put_slice(payload.json());
            finish(text, payload.attachments().to_vec())
        }
        Parser::MessagePack => message_pack(kind, namespace, id, payload),
    }
}

fn message_pack(kind: Type, namespace: &Namespace, id: Option<u64>, payload: &Payload) -> Encoded {
    let bytes = msgpack::write_packet(kind, namespace, id, payload);
    Encoded {
        head: Frame::Binary(bytes),
        attachments: Vec::new(),
    }
}

/// `4<type>[<attachments>-][<namespace>,][<id>]`
fn head(
    kind: Type,
    attachments: usize,
    namespace: &Namespace,
    id: Option<u64>,
    data_len: usize,
) -> BytesMut {
    let mut text = BytesMut::with_capacity(32 + namespace.as_str().len() + data_len);
    text.put_u8(b'4');
    if attachments == 0 {
        text.put_u8(b'0' + kind.number());
    } else {
        text.put_u8(b'0' + kind.binary_number());
        text.put_slice(attachments.to_string().as_bytes());
        text.put_u8(b'-');
    }
    if !namespace.is_main() {
        text.put_slice(namespace.as_str().as_bytes());
        text.put_u8(b',');
    }
    if let Some(id) = id {
        text.put_slice(id.to_string().as_bytes());
    }
    text
}

fn put_array(json: &mut BytesMut, name: &str, args: &[u8]) {
    json.put_u8(b'[');
    put_string(json, name);
    if !args.is_empty() {
        json.put_u8(b',');
        json.put_slice(args);
    }
    json.put_u8(b']');
}

fn finish(text: BytesMut, attachments: Vec<Bytes>) -> Encoded {
    Encoded {
        head: Frame::Text(text.freeze()),
        attachments,
    }
}
