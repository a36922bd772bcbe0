//! Protocol v5 and v4, "Packet encoding": the documents' examples.

use bytes::Bytes;
use nuncio_socketio::encode::{self, Encoded};
use nuncio_socketio::payload::ArrayBuilder;
use nuncio_socketio::{Body, Frame, Namespace, Packet, Parser};

use crate::peer::wire;

#[test]
fn connect() {
    assert_eq!(encoded("/", Body::Connect(Bytes::new())), "0");
    assert_eq!(encoded("/admin", Body::Connect(Bytes::new())), "0/admin,");
    let sid = Bytes::from_static(br#"{"sid":"oSO0OpakMV_3jnilAAAA"}"#);
    assert_eq!(
        encoded("/admin", Body::Connect(sid)),
        r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#
    );
}

#[test]
fn connect_error() {
    let v5 = Bytes::from_static(br#"{"message":"Not authorized"}"#);
    assert_eq!(
        encoded("/", Body::ConnectError(v5)),
        r#"4{"message":"Not authorized"}"#
    );
    let v4 = Bytes::from_static(br#""Not authorized""#);
    assert_eq!(
        encoded("/admin", Body::ConnectError(v4)),
        r#"4/admin,"Not authorized""#
    );
}

#[test]
fn disconnect() {
    assert_eq!(encoded("/", Body::Disconnect), "1");
    assert_eq!(encoded("/admin", Body::Disconnect), "1/admin,");
}

#[test]
fn event() {
    assert_eq!(
        wire(&event_of("/", None, "hello", "1", &[])),
        r#"2["hello",1]"#
    );
    assert_eq!(wire(&event_of("/", None, "ping", "", &[])), r#"2["ping"]"#);
    assert_eq!(
        wire(&event_of("/admin", Some(456), "project:delete", "123", &[])),
        r#"2/admin,456["project:delete",123]"#
    );
}

#[test]
fn an_events_name_is_escaped() {
    assert_eq!(
        wire(&event_of("/", None, "a\"\n", "", &[])),
        r#"2["a\"\n"]"#
    );
}

#[test]
fn ack() {
    let args = ArrayBuilder::new().build();
    let namespace = Namespace::new("/admin");

    assert_eq!(
        wire(&encode::ack(Parser::Default, &namespace, 456, &args)),
        "3/admin,456[]"
    );
}

#[test]
fn binary_event() {
    let args = r#"{"_placeholder":true,"num":0}"#;

    let plain = event_of("/", None, "hello", args, &[&[1, 2, 3]]);
    let with_id = event_of("/admin", Some(456), "project:delete", args, &[&[1, 2, 3]]);

    assert_eq!(
        wire(&plain),
        r#"51-["hello",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(
        wire(&with_id),
        r#"51-/admin,456["project:delete",{"_placeholder":true,"num":0}]"#
    );
    let frames: Vec<Frame> = plain.into_frames().collect();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1], Frame::Binary(Bytes::from_static(&[1, 2, 3])));
}

#[test]
fn binary_ack() {
    let args = ArrayBuilder::new().binary(vec![3, 2, 1]).build();

    let encoded = encode::ack(Parser::Default, &Namespace::new("/admin"), 456, &args);

    assert_eq!(
        wire(&encoded),
        r#"61-/admin,456[{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(encoded.attachments(), [&[3, 2, 1][..]]);
}

#[test]
fn the_text_is_ready_for_engine_io() {
    let encoded = event_of("/chat", None, "hi", "", &[]);

    assert_eq!(
        encoded.head(),
        &Frame::Text(Bytes::from_static(br#"42/chat,["hi"]"#))
    );
}

#[test]
fn a_clone_shares_its_bytes() {
    let encoded = event_of("/", None, "hi", "", &[]);

    let clone = encoded.clone();

    let (Frame::Text(one), Frame::Text(other)) = (encoded.head(), clone.head()) else {
        panic!()
    };
    assert_eq!(one.as_ptr(), other.as_ptr());
}

#[test]
fn values_of_any_kind_make_an_array() {
    let payload = ArrayBuilder::event("file")
        .value(&1)
        .and_then(|builder| builder.value("text"))
        .map(|builder| builder.binary(vec![1]).binary(vec![2]).build())
        .unwrap();

    assert_eq!(
        payload.json(),
        r#"["file",1,"text",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
    let elements = payload.elements();
    assert_eq!(
        payload.attachment(elements[4]),
        Some(&Bytes::from_static(&[2]))
    );
    assert_eq!(payload.attachment(elements[1]), None);
}

fn encoded(namespace: &str, body: Body) -> String {
    let namespace = Namespace::new(namespace);
    wire(&Packet { namespace, body }.encode(Parser::Default))
}

fn event_of(
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &str,
    attachments: &[&'static [u8]],
) -> Encoded {
    let attachments: Vec<Bytes> = attachments
        .iter()
        .map(|bytes| Bytes::from_static(bytes))
        .collect();
    encode::event(
        Parser::Default,
        &Namespace::new(namespace),
        id,
        name,
        args.as_bytes(),
        &attachments,
    )
}
