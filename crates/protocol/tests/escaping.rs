//! All user text is data: whatever it is, the message stays one line of valid JSON and the text comes out as it went in.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio_model::{ErrorCode, Push, Refusal, RoomName, UserId};
use nuncio_protocol::encode;
use proptest::prelude::*;

#[test]
fn every_control_character_is_escaped() {
    for byte in 0..0x20u8 {
        let message = format!("a{}b", char::from(byte));

        let text = encode::error(&Refusal::new(ErrorCode::Internal, message.clone()));

        assert!(text.iter().all(|&byte| byte >= 0x20), "{byte:#x}");
        assert_eq!(message_of(&text), message);
    }
}

#[test]
fn escapes_are_the_short_ones_where_json_has_them() {
    let refusal = Refusal::new(ErrorCode::Internal, "\u{8}\t\n\u{c}\r\"\\\0\u{1f}/");

    let expected = r#"{"type":"error","code":"INTERNAL","message":"\b\t\n\f\r\"\\\u0000\u001f/"}"#;
    assert_eq!(encode::error(&refusal), expected);
}

#[test]
fn quotes_and_backslashes_of_names_are_escaped() {
    let room = RoomName::parse(r#"a","type":"welcome"#).unwrap();
    let user = UserId::parse(r"u\").unwrap();

    let text = encode::push(&Push::Joined { room, user });

    let expected = r#"{"type":"user:joined","roomId":"a\",\"type\":\"welcome","userId":"u\\"}"#;
    assert_eq!(text, expected);
}

#[test]
fn markup_and_line_separators_are_text_like_any_other() {
    let name = "<img onerror=alert(1)>&'\u{2028}\u{2029}\u{7f}";
    let refusal = Refusal::new(ErrorCode::Internal, name);

    let text = encode::error(&refusal);

    assert_eq!(message_of(&text), name);
    assert!(std::str::from_utf8(&text).unwrap().contains(name));
}

proptest! {
    #[test]
    fn any_text_comes_out_as_it_went_in(message in any::<String>()) {
        let text = encode::error(&Refusal::new(ErrorCode::Internal, message.clone()));

        prop_assert_eq!(message_of(&text), message);
    }

    #[test]
    fn any_text_is_escaped_as_serde_json_does(message in any::<String>()) {
        let text = encode::error(&Refusal::new(ErrorCode::Internal, message.clone()));

        let quoted = serde_json::to_string(&message).unwrap();
        let expected = format!(r#"{{"type":"error","code":"INTERNAL","message":{quoted}}}"#);
        prop_assert_eq!(text, expected);
    }
}

fn message_of(text: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(text).unwrap();
    value["message"].as_str().unwrap().into()
}
