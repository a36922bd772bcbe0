//! Properties over random packets and random input.

use bytes::Bytes;
use nuncio_socketio::payload::ArrayBuilder;
use nuncio_socketio::server::{Config, Connection, Output};
use nuncio_socketio::{
    Body, Decoder, Encoded, Frame, Limits, Namespace, Packet, Parser, Payload, Protocol, encode,
};
use proptest::prelude::*;

use crate::peer::start;

proptest! {
    #[test]
    fn packets_round_trip_in_both_parsers(packet in packet(), parser in parser()) {
        prop_assert_eq!(decode(packet.encode(parser), parser), Some(packet));
    }

    #[test]
    fn arguments_are_passed_on_as_they_came(packet in packet(), parser in parser()) {
        let Some(Packet { namespace, body: Body::Event { id, event } }) =
            decode(packet.encode(parser), parser)
        else {
            return Ok(());
        };
        let attachments = event.payload().attachments();
        let again =
            encode::event(parser, &namespace, id, &event.name(), &event.args_json(), attachments);
        prop_assert_eq!(again, packet.encode(parser));
    }

    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), parser in parser()) {
        let (mut decoder, limits) = (Decoder::default(), Limits::default());
        let bytes = Bytes::from(bytes);
        drop(decoder.decode_text(start(), bytes.clone(), parser, &limits));
        drop(decoder.decode_binary(bytes, parser, &limits));
    }

    #[test]
    fn what_is_decoded_from_odd_text_is_encoded_again(text in r#"[0-6][0-2]?-?(/[a-z]{0,2},?)?[0-9]{0,2}[\[\]{}",:a0 \\]{0,12}"#) {
        let decoded = Decoder::default().decode_text(
            start(), Bytes::from(text), Parser::Default, &Limits::default(),
        );
        if let Ok(Some(packet)) = decoded {
            prop_assert_eq!(decode(packet.encode(Parser::Default), Parser::Default), Some(packet));
        }
    }

    #[test]
    fn a_connection_survives_any_messages_and_tells_each_leave_once(
        messages in prop::collection::vec(message(), 0..30),
    ) {
        let config = std::sync::Arc::new(Config::default());
        let mut connection = Connection::new(start(), config, Protocol::V5);
        let (mut joins, mut leaves) = (0, 0);
        for message in messages {
            match message {
                Frame::Text(text) => connection.handle_text(start(), text),
                Frame::Binary(bytes) => connection.handle_binary(bytes),
            }
            while let Some(output) = connection.poll_output() {
                match output {
                    Output::Connect { namespace, .. } => {
                        joins += usize::from(connection.accept(&namespace, "id", None).is_ok());
                    }
                    Output::Disconnected { .. } => leaves += 1,
                    Output::Event { namespace, .. } => connection.disconnect(&namespace),
                    Output::Ack { .. } | Output::AckTimeout { .. } | Output::Send(_) | Output::Close => {}
                }
            }
        }
        connection.disconnect_all();
        leaves += std::iter::from_fn(|| connection.poll_output())
            .filter(|output| matches!(output, Output::Disconnected { .. }))
            .count();
        prop_assert_eq!(joins, leaves);
    }
}

fn decode(encoded: Encoded, parser: Parser) -> Option<Packet> {
    let (mut decoder, limits) = (Decoder::default(), Limits::default());
    let mut packet = None;
    for frame in encoded.into_frames() {
        assert_eq!(packet, None, "a packet came before its last attachment");
        packet = match frame {
            Frame::Text(text) => decoder.decode_text(start(), text.slice(1..), parser, &limits),
            Frame::Binary(bytes) => decoder.decode_binary(bytes, parser, &limits),
        }
        .expect("what was encoded is a packet");
    }
    packet
}

fn message() -> impl Strategy<Value = Frame> {
    let text = prop_oneof![
        Just("0"),
        Just("0/a"),
        Just("1"),
        Just("1/a"),
        Just(r#"2["x"]"#),
        Just(r#"2/a,1["x"]"#),
        Just("31[]"),
        Just(r#"51-["x",{"_placeholder":true,"num":0}]"#),
    ];
    prop_oneof![
        9 => text.prop_map(|text| Frame::Text(Bytes::from_static(text.as_bytes()))),
        1 => Just(Frame::Binary(Bytes::from_static(&[1]))),
    ]
}

fn parser() -> impl Strategy<Value = Parser> {
    prop_oneof![Just(Parser::Default), Just(Parser::MessagePack)]
}

fn packet() -> impl Strategy<Value = Packet> {
    let id = prop::option::of(0_u64..(1 << 53));
    let namespace = prop_oneof![Just("/".to_owned()), "/[a-z]{1,5}"];
    let body = prop_oneof![
        prop_oneof![Just(""), Just("{}"), Just(r#"{"token":"a\"b"}"#)]
            .prop_map(|json| Body::Connect(Bytes::from_static(json.as_bytes()))),
        Just(Body::Disconnect),
        Just(Body::ConnectError(Bytes::from_static(
            br#"{"message":"no"}"#
        ))),
        (id.clone(), array(ArrayBuilder::new())).prop_map(|(id, args)| Body::Ack { id, args }),
        (
            id,
            "[a-z\"\n€]{1,8}".prop_filter("reserved", |name| name != "connect")
        )
            .prop_flat_map(|(id, name)| {
                array(ArrayBuilder::event(&name)).prop_map(move |payload| event(id, &payload))
            }),
    ];
    (namespace, body).prop_map(|(namespace, body)| Packet {
        namespace: Namespace::new(&namespace),
        body,
    })
}

/// The only public way to an event is through the wire.
fn event(id: Option<u64>, payload: &Payload) -> Body {
    let text = [&b"2"[..], payload.json()].concat();
    let text = match payload.attachments().len() {
        0 => text,
        count => [format!("5{count}-").as_bytes(), payload.json()].concat(),
    };
    let (mut decoder, limits) = (Decoder::default(), Limits::default());
    let mut packet = decoder.decode_text(start(), text.into(), Parser::Default, &limits);
    for bytes in payload.attachments() {
        packet = decoder.decode_binary(bytes.clone(), Parser::Default, &limits);
    }
    match packet {
        Ok(Some(Packet {
            body: Body::Event { event, .. },
            ..
        })) => Body::Event { id, event },
        other => panic!("{other:?}"),
    }
}

fn array(builder: ArrayBuilder) -> impl Strategy<Value = Payload> {
    let element = prop_oneof![
        3 => json().prop_map(Ok),
        1 => prop::collection::vec(any::<u8>(), 0..8).prop_map(Err),
    ];
    prop::collection::vec(element, 0..5).prop_map(move |elements| {
        let builder =
            elements
                .into_iter()
                .fold(builder.clone(), |builder, element| match element {
                    Ok(value) => builder.value(&value).expect("a value is JSON"),
                    Err(bytes) => builder.binary(bytes),
                });
        builder.build()
    })
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        (-1e9_f64..1e9).prop_map(serde_json::Value::from),
        "[ -~€💙\n]{0,40}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(serde_json::Value::from),
            prop::collection::vec(("[a-z\"]{0,4}", inner), 0..20)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}
