//! What a client is told when its message cannot be understood (`docs/protocol.md`, "Errors").

use nuncio_model::{CallId, ErrorCode, Refusal};
use nuncio_protocol::{Undecodable, decode};

#[test]
fn what_is_not_json_is_a_parse_error() {
    for text in [
        "Hello!",
        "",
        " ",
        "{",
        "{\"type\":\"ping\"",
        "{'type':'ping'}",
        "{\"type\":\"ping\"}}",
        "{\"type\":\"ping\",}",
        "{\"type\":\"ping\"} {}",
        "nul",
        "01",
        "[1,2",
        "\"a\nb\"",
        "\u{0}",
        r#"{"type":"chat:message","roomId":"a","content":[}"#,
        r#"{"type":"ping","x":"\u12"}"#,
    ] {
        assert_eq!(
            refused(text),
            (None, ErrorCode::ParseError, "Invalid JSON".into()),
            "{text:?}"
        );
    }
}

/// RFC 8259 §8.1 lets a receiver ignore it; `JSON.parse` does not either.
#[test]
fn a_byte_order_mark_is_not_json() {
    let (_, code, _) = refused("\u{feff}{\"type\":\"ping\"}");

    assert_eq!(code, ErrorCode::ParseError);
}

#[test]
fn json_without_a_type_is_told_so() {
    for text in [
        "{}",
        "[]",
        "5",
        "null",
        "true",
        "\"Hello\"",
        "[{\"type\":\"ping\"}]",
        r#"{"Type":"ping"}"#,
        r#"{"type":""}"#,
        r#"{"type":null}"#,
        r#"{"event":"ping","data":{}}"#,
        r#"{"data":{}}"#,
    ] {
        assert_invalid(text, "Message must have a type field");
    }
}

#[test]
fn json_without_a_type_but_with_an_id_is_a_refused_call() {
    let (id, _, message) = refused(r#"{"id":7}"#);

    assert_eq!(id, Some(CallId::Number(7)));
    assert_eq!(message, "Message must have a type field");
}

#[test]
fn an_unknown_type_is_named() {
    let text = r#"{"type":"hello","payload":"world"}"#;

    let expected = (
        None,
        ErrorCode::UnknownType,
        r#"Unknown message type "hello""#.into(),
    );
    assert_eq!(refused(text), expected);
}

#[test]
fn an_unknown_event_of_the_acknowledgement_form_is_an_unknown_type() {
    for data in ["{}", "\"text\"", "null", "[1]"] {
        let text = format!(r#"{{"id":"x","event":"hello","data":{data}}}"#);

        let (id, code, message) = refused(&text);

        assert_eq!(id, Some(CallId::Text("x".into())));
        assert_eq!(code, ErrorCode::UnknownType);
        assert_eq!(message, r#"Unknown message type "hello""#);
    }
}

#[test]
fn a_message_of_the_server_is_an_unknown_type_for_a_client() {
    for kind in [
        "welcome",
        "auth_ok",
        "resumed",
        "user:joined",
        "pong",
        "error",
    ] {
        let (_, code, _) = refused(&format!(r#"{{"type":"{kind}"}}"#));

        assert_eq!(code, ErrorCode::UnknownType, "{kind}");
    }
}

#[test]
fn an_offending_value_is_quoted_with_at_most_64_bytes_and_escaped() {
    let kind = format!("\\u001b[31m\\\"{}", "é".repeat(1000));

    let (_, _, message) = refused(&format!(r#"{{"type":"{kind}"}}"#));

    assert!(
        message.starts_with(r#"Unknown message type "\u{1b}[31m\"é"#),
        "{message}"
    );
    assert!(message.ends_with("\"…"), "{message}");
    assert!(message.len() < 110, "{message}");
}

#[test]
fn the_acknowledgement_form_of_a_known_type_needs_an_object() {
    let text = r#"{"id":1,"event":"room:leave","data":"lobby"}"#;
    assert_invalid(text, "data must be an object, not a string");

    let text = r#"{"id":1,"event":"ping","data":null}"#;
    assert_invalid(text, "data must be an object, not null");
}

#[test]
fn a_wrong_field_is_named_with_what_is_wanted() {
    for (fields, message) in [
        (r#""type":5"#, "type must be a string, not a number"),
        (
            r#""type":"room:leave""#,
            "roomId is missing: it must be a string",
        ),
        (
            r#""type":"room:leave","roomId":7"#,
            "roomId must be a string, not a number",
        ),
        (
            r#""type":"room:leave","roomId":null"#,
            "roomId must be a string, not null",
        ),
        (
            r#""type":"room:leave","roomId":["a"]"#,
            "roomId must be a string, not an array",
        ),
        (
            r#""type":"room:leave","roomId":{}"#,
            "roomId must be a string, not an object",
        ),
        (
            r#""type":"room:leave","roomId":true"#,
            "roomId must be a string, not a boolean",
        ),
        (
            r#""type":"room:leave","roomId":"""#,
            "roomId: room id is empty",
        ),
        (
            r#""type":"room:leave","roomId":"nuncio:x""#,
            r#"roomId: room id "nuncio:x" is reserved"#,
        ),
        (
            r#""type":"room:leave","roomId":"a\nb""#,
            r#"roomId: room id "a\nb" contains a control character"#,
        ),
        (
            r#""type":"chat:message","roomId":"a""#,
            "content is missing: it must be any JSON",
        ),
        (
            r#""type":"chat:message","content":1"#,
            "roomId is missing: it must be a string",
        ),
        (
            r#""type":"chat:message","roomId":"a","content":1,"idempotencyKey":1"#,
            "idempotencyKey must be a string, not a number",
        ),
        (
            r#""type":"chat:message","roomId":"a","content":1,"idempotencyKey":"""#,
            "idempotencyKey: idempotencyKey is empty",
        ),
        (
            r#""type":"message:private","content":1"#,
            "to is missing: it must be a string",
        ),
        (
            r#""type":"message:private","to":"u""#,
            "content is missing: it must be any JSON",
        ),
        (r#""type":"auth""#, "token is missing: it must be a string"),
        (r#""type":"auth","token":"""#, "token must not be empty"),
        (
            r#""type":"auth:refresh","token":7"#,
            "token must be a string, not a number",
        ),
        (
            r#""type":"resume""#,
            "resume is missing: it must be a string",
        ),
        (
            r#""type":"typing:start","roomId":1"#,
            "roomId must be a string, not a number",
        ),
        (
            r#""type":"presence:get","roomId":"a","limit":-1"#,
            r#"limit must be an integer from 0 to 4294967295, not "-1""#,
        ),
        (
            r#""type":"presence:get","roomId":"a","limit":1.0"#,
            r#"limit must be an integer from 0 to 4294967295, not "1.0""#,
        ),
        (
            r#""type":"presence:get","roomId":"a","limit":"5""#,
            r#"limit must be an integer from 0 to 4294967295, not "\"5\"""#,
        ),
        (
            r#""type":"presence:get","roomId":"a","after":5"#,
            "after must be a string, not a number",
        ),
        (
            r#""type":"history:get","roomId":"a","before":9007199254740992"#,
            r#"before must be an integer from 0 to 2^53-1, not "9007199254740992""#,
        ),
        (
            r#""type":"history:get","roomId":"a","before":1,"after":2"#,
            "history:get takes before or after, not both",
        ),
        (
            r#""type":"event","data":1"#,
            "event is missing: it must be a string",
        ),
        (
            r#""type":"event","event":1"#,
            "event must be a string, not a number",
        ),
        (r#""type":"event","event":"""#, "event: event name is empty"),
        (
            r#""type":"event","event":"e","roomId":1"#,
            "roomId must be a string, not a number",
        ),
        (
            r#""ack":-1"#,
            r#"ack must be an integer from 0 to 2^53-1, not "-1""#,
        ),
        (
            r#""ack":"x""#,
            r#"ack must be an integer from 0 to 2^53-1, not "\"x\"""#,
        ),
        (
            r#""id":1,"event":7"#,
            "event must be a string, not a number",
        ),
    ] {
        assert_invalid(&format!("{{{fields}}}"), message);
    }
}

#[test]
fn a_wrong_join_is_named_down_to_its_field() {
    for (fields, message) in [
        ("", "room:join needs roomId or rooms"),
        (
            r#","roomId":"a","rooms":[{"roomId":"b"}]"#,
            "room:join takes roomId or rooms, not both",
        ),
        (
            r#","rooms":[]"#,
            "rooms must be an array of 1 to 100 rooms, not 0",
        ),
        (
            r#","rooms":{}"#,
            "rooms must be an array of objects, not an object",
        ),
        (
            r#","rooms":["a"]"#,
            "rooms[0] must be an object, not a string",
        ),
        (
            r#","rooms":[{"roomId":"a"},{}]"#,
            "rooms[1].roomId is missing: it must be a string",
        ),
        (
            r#","rooms":[{"roomId":"a","since":{"epoch":"e"}}]"#,
            "rooms[0].since.seq is missing: it must be an integer from 0 to 2^53-1",
        ),
        (
            r#","roomId":"a","since":5"#,
            "since must be an object, not a number",
        ),
        (
            r#","roomId":"a","since":{"seq":5}"#,
            "since.epoch is missing: it must be a string",
        ),
        (
            r#","roomId":"a","since":{"seq":5,"epoch":5}"#,
            "since.epoch must be a string, not a number",
        ),
        (
            r#","roomId":"a","since":{"epoch":"e","seq":-5}"#,
            r#"since.seq must be an integer from 0 to 2^53-1, not "-5""#,
        ),
        (
            r#","roomId":"a","history":"all""#,
            r#"history must be an integer from 0 to 4294967295, not "\"all\"""#,
        ),
    ] {
        assert_invalid(&format!(r#"{{"type":"room:join"{fields}}}"#), message);
    }
}

#[test]
fn more_than_a_hundred_rooms_are_refused() {
    let rooms = vec![r#"{"roomId":"a"}"#; 101].join(",");

    let text = format!(r#"{{"type":"room:join","rooms":[{rooms}]}}"#);

    assert_invalid(&text, "rooms must be an array of 1 to 100 rooms, not 101");
}

#[test]
fn a_wrong_room_of_a_resume_is_named() {
    let text = r#"{"type":"resume","resume":"x","rooms":[{"roomId":"a"}]}"#;

    assert_invalid(text, "rooms[0].epoch is missing: it must be a string");
}

#[test]
fn a_room_id_of_more_than_255_bytes_is_refused() {
    let name = "é".repeat(128);

    let text = format!(r#"{{"type":"room:leave","roomId":"{name}"}}"#);

    assert_invalid(
        &text,
        "roomId: room id of 256 bytes, at most 255 are allowed",
    );
}

#[test]
fn an_idempotency_key_of_more_than_64_bytes_is_refused() {
    let key = "k".repeat(65);

    let text =
        format!(r#"{{"type":"chat:message","roomId":"a","content":1,"idempotencyKey":"{key}"}}"#);

    assert_invalid(
        &text,
        "idempotencyKey: idempotencyKey of 65 bytes, at most 64 are allowed",
    );
}

#[test]
fn a_wrong_id_is_an_error_and_no_reply() {
    let long = format!("\"{}\"", "x".repeat(65));
    for id in [
        "-1",
        "1.5",
        "1e3",
        "9007199254740992",
        "\"\"",
        "true",
        "[1]",
        "{}",
        &long,
    ] {
        let (call, code, message) = refused(&format!(r#"{{"type":"ping","id":{id}}}"#));

        assert_eq!((call, code), (None, ErrorCode::InvalidMessage), "{id}");
        let wanted = "id must be a string of 1 to 64 bytes or an integer from 0 to 2^53-1, not ";
        assert!(message.starts_with(wanted), "{message}");
    }
}

#[test]
fn a_refused_call_is_answered_under_its_id() {
    let (id, ..) = refused(r#"{"type":"room:leave","roomId":7,"id":"a"}"#);

    assert_eq!(id, Some(CallId::Text("a".into())));
}

#[test]
fn json_nested_deeper_than_32_is_refused() {
    let content = format!("{}{}", "[".repeat(32), "]".repeat(32));

    let text = format!(r#"{{"type":"chat:message","roomId":"a","content":{content}}}"#);

    assert_invalid(&text, "JSON nested 33 deep, at most 32 is allowed");
}

#[test]
fn a_million_brackets_are_refused_without_harm() {
    let (_, code, _) = refused(&"[".repeat(1_000_000));

    assert_eq!(code, ErrorCode::InvalidMessage);
}

/// RFC 7493 §2.1: strict parsers cannot read it, and it would be replayed to all of them.
#[test]
fn half_of_a_surrogate_pair_is_refused_wherever_it_stands() {
    for (text, escape) in [
        (
            r#"{"type":"chat:message","roomId":"a","content":"\ud83d"}"#,
            r"\ud83d",
        ),
        (
            r#"{"type":"chat:message","roomId":"a","content":{"\uDE00":1}}"#,
            r"\uDE00",
        ),
        (
            r#"{"type":"chat:message","roomId":"a","content":"\ud83d\n\ude00"}"#,
            r"\ud83d",
        ),
        (
            r#"{"type":"chat:message","roomId":"a","content":"\ud83d\ud83d\ude00"}"#,
            r"\ud83d",
        ),
        (r#"{"type":"ping","unknown":"\\\udfff"}"#, r"\udfff"),
        (r#"{"type":"ping","\ud800":1}"#, r"\ud800"),
    ] {
        let message = format!("Text must be Unicode: {escape} is half of a surrogate pair");
        assert_invalid(text, &message);
    }
    let text = r#"{"type":"room:leave","roomId":"\ud800"}"#;
    assert_invalid(
        text,
        "roomId must be a string of Unicode, and has a lone surrogate",
    );
}

#[test]
fn a_number_that_no_double_holds_is_refused_and_strings_are_not_looked_into() {
    let message =
        |content: &str| format!(r#"{{"type":"chat:message","roomId":"a","content":{content}}}"#);
    let digits = "9".repeat(310);

    for number in ["1e999", "-1E+400", &digits] {
        let refusal = decode(&message(&format!("[{number}]")))
            .unwrap_err()
            .refusal;
        assert_eq!(refusal.code, ErrorCode::InvalidMessage);
        assert!(
            refusal.message.starts_with("Numbers must fit a double: "),
            "{refusal}"
        );
    }
    for fine in ["1e308", "-0.0e-999", r#""1e999""#, r#""\"1e999""#, "1.5e3"] {
        assert!(decode(&message(fine)).is_ok(), "{fine}");
    }
}

#[test]
fn a_backslash_before_a_u_is_no_surrogate() {
    let text = r#"{"type":"chat:message","roomId":"a","content":"C:\\ud800"}"#;

    assert!(decode(text).is_ok());
}

#[track_caller]
fn assert_invalid(text: &str, message: &str) {
    let (_, code, said) = refused(text);
    assert_eq!(
        (code, &*said),
        (ErrorCode::InvalidMessage, message),
        "{text}"
    );
}

#[track_caller]
fn refused(text: &str) -> (Option<CallId>, ErrorCode, String) {
    let Err(Undecodable { id, refusal }) = decode(text) else {
        panic!("was accepted: {text}");
    };
    let Refusal { code, message, .. } = refusal;
    (id, code, message)
}

#[test]
fn json_that_comes_by_another_way_is_held_to_the_same_rules() {
    use nuncio_model::ErrorCode::{InvalidMessage, ParseError};

    assert_eq!(
        nuncio_protocol::check_json(r#"{"a":["\u00e9",1e9]}"#),
        Ok(())
    );
    for (text, code) in [
        ("{", ParseError),
        ("1 2", ParseError),
        (r#""\ud83d""#, InvalidMessage),
        ("1e999", InvalidMessage),
        (&"[".repeat(33), InvalidMessage),
    ] {
        let refusal = nuncio_protocol::check_json(text).unwrap_err();
        assert_eq!(refusal.code, code, "{text}");
    }
}
