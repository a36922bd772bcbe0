//! Protocol v5, "Packet encoding", from the receiving side; the reference's refusals, and limits of our own.

use std::time::Duration;

use bytes::Bytes;
use nuncio_socketio::{Body, DecodeError, Decoder, Event, Limits, Packet, Parser};

use crate::peer::start;

#[test]
fn an_event_is_taken_apart_without_a_copy() {
    let text = Bytes::from_static(br#"2/chat,12["say" , {"a":[1, 2]},null ]"#);

    let packet = decode_bytes(text.clone()).unwrap().unwrap();

    assert_eq!(packet.namespace.as_str(), "/chat");
    let Body::Event {
        id: Some(12),
        event,
    } = packet.body
    else {
        panic!("{packet:?}")
    };
    assert_eq!(event.name(), "say");
    assert_eq!(event.args_json(), r#" {"a":[1, 2]},null "#);
    let args: Vec<&str> = event.args().into_iter().map(|arg| arg.get()).collect();
    assert_eq!(args, [r#"{"a":[1, 2]}"#, "null"]);
    assert!(text.as_ptr_range().contains(&event.args_json().as_ptr()));
}

#[test]
fn an_event_may_have_no_arguments_and_a_number_for_a_name() {
    assert_eq!(event(r#"2["ping"]"#).args_json(), "");
    assert_eq!(event(r#"2["ping"]"#).args().len(), 0);
    assert_eq!(event("2[1,2]").name(), "1");
    assert_eq!(event(r#"2["a\u0062\"",2]"#).name(), "ab\"");
}

#[test]
fn a_namespace_may_lack_its_comma_when_nothing_follows() {
    for text in ["0/custom", "0/custom,"] {
        assert_eq!(decode(text).unwrap().unwrap().namespace.as_str(), "/custom");
    }
}

#[test]
fn data_must_fit_the_type() {
    for text in [
        "0[]", "0\"x\"", "0null", "1{}", "1[]", "2{}", "2", "21", "2[]", "2[null]", "2[[]]",
    ] {
        assert_eq!(decode(text), Err(DecodeError::Data), "{text}");
    }
    for text in ["3{}", "31{}", "3\"\"", "4[]", "4", "41"] {
        assert_eq!(decode(text), Err(DecodeError::Data), "{text}");
    }
}

#[test]
fn reserved_event_names_are_refused() {
    for name in nuncio_socketio::payload::RESERVED_EVENTS {
        assert_eq!(
            decode(&format!("2[\"{name}\"]")),
            Err(DecodeError::Data),
            "{name}"
        );
    }
    assert_eq!(
        decode(r#"2["\u0063onnect"]"#),
        Err(DecodeError::Data),
        "escaped"
    );
}

#[test]
fn unknown_types_are_refused() {
    for text in ["", "7", "abc", "-1", " 2[\"a\"]"] {
        assert_eq!(decode(text), Err(DecodeError::Type), "{text:?}");
    }
}

#[test]
fn malformed_json_is_refused() {
    for text in [
        "2[",
        "2[\"a\"",
        "2[\"a\"]]",
        "2abc[\"a\",1]",
        "2[\"a\",]",
        "2[\"a\"]x",
        "0{\"a\"}",
    ] {
        assert_eq!(decode(text), Err(DecodeError::Json), "{text}");
    }
}

#[test]
fn an_id_beyond_what_javascript_holds_is_refused() {
    assert!(decode("29007199254740991[\"a\"]").is_ok());
    assert_eq!(decode("29007199254740992[\"a\"]"), Err(DecodeError::Id));
    assert_eq!(
        decode(&format!("2{}[\"a\"]", "9".repeat(400))),
        Err(DecodeError::Id)
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("2[\"a\",{}{}]", "[".repeat(levels), "]".repeat(levels));

    assert!(decode(&nested(99)).is_ok());
    assert_eq!(decode(&nested(100)), Err(DecodeError::TooDeep { max: 100 }));
    assert_eq!(decode(&"[".repeat(1_000_000)), Err(DecodeError::Type));
    assert_eq!(
        decode(&format!("2{}", "[".repeat(900_000))),
        Err(DecodeError::TooDeep { max: 100 })
    );
}

#[test]
fn a_namespaces_length_is_bounded() {
    let name = format!("/{}", "a".repeat(4_095));

    assert!(decode(&format!("0{name},")).is_ok());
    assert_eq!(
        decode(&format!("0{name}a,")),
        Err(DecodeError::NamespaceTooLong {
            len: 4_097,
            max: 4_096
        })
    );
}

#[test]
fn the_data_of_a_binary_packet_is_judged_before_its_attachments_come() {
    for text in [
        "51-{}",
        "51-[]",
        "51-[\"connect\"]",
        "51-",
        "61-{}",
        "61-1null",
        "61-",
    ] {
        assert_eq!(decode(text), Err(DecodeError::Data), "{text}");
    }
}

#[test]
fn attachments_complete_a_binary_event() {
    let mut decoder = Decoder::default();
    let text = r#"52-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;

    assert_eq!(text_into(&mut decoder, text), Ok(None));
    assert_eq!(binary_into(&mut decoder, &[1, 2, 3]), Ok(None));
    let packet = binary_into(&mut decoder, &[4, 5, 6]).unwrap().unwrap();

    let Body::Event { id: None, event } = packet.body else {
        panic!("{packet:?}")
    };
    let args = event.args();
    let bytes: Vec<_> = args
        .iter()
        .map(|arg| event.payload().attachment(arg))
        .collect();
    let expected = [
        Bytes::from_static(&[1, 2, 3]),
        Bytes::from_static(&[4, 5, 6]),
    ];
    assert_eq!(bytes, expected.iter().map(Some).collect::<Vec<_>>());
}

#[test]
fn attachments_complete_a_binary_ack() {
    let mut decoder = Decoder::default();

    text_into(&mut decoder, r#"61-/a,7[{"_placeholder":true,"num":0}]"#).unwrap();
    let packet = binary_into(&mut decoder, &[9]).unwrap().unwrap();

    let Body::Ack { id: Some(7), args } = packet.body else {
        panic!("{packet:?}")
    };
    assert_eq!(args.attachments(), [&[9][..]]);
}

#[test]
fn the_number_of_attachments_must_be_there_and_in_bounds() {
    for text in [
        "5[\"a\"]",
        "5-[\"a\"]",
        "50-[\"a\"]",
        "51[\"a\"]",
        "5x-[\"a\"]",
        "6",
    ] {
        assert_eq!(decode(text), Err(DecodeError::Attachments), "{text}");
    }
    assert_eq!(
        decode("511-[\"a\"]"),
        Err(DecodeError::TooManyAttachments { count: 11, max: 10 })
    );
}

#[test]
fn placeholders_must_name_an_attachment() {
    for number in ["1", "-1", "0.5", "\"0\"", "null", "[0]"] {
        let text = format!(r#"51-["a",{{"x":[{{"_placeholder":true,"num":{number}}}]}}]"#);
        assert_eq!(decode(&text), Err(DecodeError::Placeholder), "{number}");
    }
    assert_eq!(
        decode(r#"51-["a",{"_placeholder":true}]"#),
        Err(DecodeError::Placeholder)
    );
    let escaped = r#"51-["a",{"\u005fplaceholder":true,"num":1}]"#;
    assert_eq!(decode(escaped), Err(DecodeError::Placeholder));
}

#[test]
fn what_only_looks_like_a_placeholder_is_data() {
    for value in [
        r#"{"_placeholder":false,"num":9}"#,
        r#"{"_placeholder":1,"num":9}"#,
        r#""_placeholder""#,
    ] {
        assert_eq!(decode(&format!(r#"51-["a",{value}]"#)), Ok(None), "{value}");
    }
    assert!(
        decode(r#"2["a",{"_placeholder":true,"num":9}]"#).is_ok(),
        "not a binary event"
    );
}

#[test]
fn text_between_attachments_is_refused() {
    let mut decoder = Decoder::default();
    text_into(&mut decoder, r#"51-["a",{"_placeholder":true,"num":0}]"#).unwrap();

    assert_eq!(
        text_into(&mut decoder, r#"2["b"]"#),
        Err(DecodeError::TextWhileWaiting)
    );
}

#[test]
fn binary_that_nobody_announced_is_refused() {
    assert_eq!(
        binary_into(&mut Decoder::default(), &[1]),
        Err(DecodeError::Unexpected)
    );
}

#[test]
fn attachments_are_waited_for_so_long_only() {
    let (mut decoder, now, limits) = (Decoder::default(), start(), Limits::default());
    let text = Bytes::from_static(br#"51-["a",{"_placeholder":true,"num":0}]"#);
    decoder
        .decode_text(now, text, Parser::Default, &limits)
        .unwrap();

    let overdue_at = now + Duration::from_secs(30);
    assert_eq!(decoder.poll_timeout(), Some(overdue_at));
    assert_eq!(
        decoder.handle_timeout(overdue_at - Duration::from_millis(1)),
        Ok(())
    );
    assert_eq!(
        decoder.handle_timeout(overdue_at),
        Err(DecodeError::Overdue)
    );
}

#[test]
fn text_has_no_place_in_the_messagepack_parser() {
    let text = Bytes::from_static(b"2[\"a\"]");
    let decoded =
        Decoder::default().decode_text(start(), text, Parser::MessagePack, &Limits::default());

    assert_eq!(decoded, Err(DecodeError::Unexpected));
}

fn event(text: &str) -> Event {
    match decode(text) {
        Ok(Some(Packet {
            body: Body::Event { event, .. },
            ..
        })) => event,
        other => panic!("{other:?}"),
    }
}

fn decode(text: &str) -> Result<Option<Packet>, DecodeError> {
    decode_bytes(Bytes::copy_from_slice(text.as_bytes()))
}

fn decode_bytes(text: Bytes) -> Result<Option<Packet>, DecodeError> {
    Decoder::default().decode_text(start(), text, Parser::Default, &Limits::default())
}

fn text_into(decoder: &mut Decoder, text: &str) -> Result<Option<Packet>, DecodeError> {
    let text = Bytes::copy_from_slice(text.as_bytes());
    decoder.decode_text(start(), text, Parser::Default, &Limits::default())
}

fn binary_into(decoder: &mut Decoder, bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    decoder.decode_binary(
        Bytes::copy_from_slice(bytes),
        Parser::Default,
        &Limits::default(),
    )
}
