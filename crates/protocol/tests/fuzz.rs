//! Whatever a client sends, it is answered: no text makes the decoder panic, and what it accepts is valid.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio_model::{Body, Command, ErrorCode, Json};
use nuncio_protocol::{Incoming, decode};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const VALID: &[&str] = &[
    r#"{"type":"auth","token":"jwt-string","id":1}"#,
    r#"{"type":"resume","resume":"s","rooms":[{"roomId":"a","epoch":"AAAAAAAAAAE","seq":7}],"id":"x"}"#,
    r#"{"type":"room:join","roomId":"lobby","since":{"epoch":"AAAAAAAAAAI","seq":41},"history":20}"#,
    r#"{"type":"room:join","rooms":[{"roomId":"a","history":1},{"roomId":"b\u00e9\\"}],"id":3}"#,
    r#"{"id":"8c0e","event":"chat:message","data":{"roomId":"abc","content":{"a":[1,"\ud83d\ude00"]}}}"#,
    r#"{"type":"chat:message","roomId":"abc","content":"Hello 😀","idempotencyKey":"k","id":9}"#,
    r#"{"type":"event","event":"draw","data":[1.5e3,{"x":null}],"roomId":"board"}"#,
    r#"{"type":"presence:get","roomId":"a","after":"u7","limit":10}"#,
    r#"{"type":"history:get","roomId":"a","before":50,"limit":10,"id":2}"#,
    r#"{"type":"message:private","to":"u2","content":false}"#,
    r#"{"ack":3,"data":{"yes":true}}"#,
];

#[test]
fn every_prefix_of_a_message_is_a_parse_error() {
    for text in VALID {
        for (end, _) in text.char_indices() {
            let refusal = decode(&text[..end]).unwrap_err().refusal;

            assert_eq!(refusal.code, ErrorCode::ParseError, "{}", &text[..end]);
        }
        assert!(decode(text).is_ok(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_decoded_or_refused(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_text_of_json_characters_is_decoded_or_refused(text in "[\\[\\]{}\",:\\\\utype0-9a-f.eE+ -]{0,80}") {
        check(&text)?;
    }

    #[test]
    fn any_mutation_of_a_message_is_decoded_or_refused(
        text in select(VALID),
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), select(SNIPPETS)), 1..4),
    ) {
        check(&mutate(text, &edits))?;
    }

    #[test]
    fn any_fields_of_any_kind_are_decoded_or_refused(
        fields in prop::collection::vec((select(KEYS), select(VALUES)), 0..8),
    ) {
        let fields = fields.iter().map(|(key, value)| format!("\"{key}\":{value}"));
        let text = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));

        prop_assert!(decode(&text).err().is_none_or(|wrong| wrong.refusal.code != ErrorCode::ParseError));
        check(&text)?;
    }

    #[test]
    fn content_is_passed_on_byte_for_byte(content in json(), before in any::<bool>()) {
        let (first, last) = if before { ("", ",\"roomId\":\"a\"") } else { ("\"roomId\":\"a\",", "") };
        let text = format!("{{\"type\":\"chat:message\",{first}\"content\":{content}{last}}}");

        let Ok(Incoming::Command { command: Command::Publish(request), .. }) = decode(&text) else {
            panic!("refused: {text}");
        };

        prop_assert_eq!(request.body, Body::Chat { content: Json::parse(&content).unwrap() });
    }
}

/// What is accepted is JSON, its content is JSON, and it is shown without a panic; what is refused has a short reason.
fn check(text: &str) -> Result<(), TestCaseError> {
    match decode(text) {
        Ok(incoming) => {
            let _shown = format!("{incoming:?}");
            prop_assert!(
                serde_json::from_str::<serde_json::Value>(text).is_ok(),
                "{text}"
            );
            if let Incoming::Command {
                command: Command::Private { content, .. },
                ..
            } = incoming
            {
                prop_assert!(Json::parse(content.as_str()).is_ok());
            }
        }
        Err(undecodable) => {
            let message = undecodable.refusal.message;
            prop_assert!(message.len() < 600, "{message}");
            prop_assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
    Ok(())
}

/// Replaces a range of characters by a snippet, once for each edit.
fn mutate(text: &str, edits: &[(Index, Index, &str)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (start, len, snippet) in edits {
        let start = start.index(characters.len() + 1);
        let end = start + len.index(characters.len() - start + 1).min(4);
        characters.splice(start..end, snippet.chars());
    }
    characters.into_iter().collect()
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        select(
            &[
                "null",
                "true",
                " 1.0e-2 ",
                r#""\u00e9\/""#,
                r#""\ud83d\ude00""#
            ][..]
        )
        .prop_map(String::from),
    ];
    leaf.prop_recursive(5, 32, 4, |inner| {
        let entries = prop::collection::vec(inner, 0..4);
        entries.prop_map(|entries| match entries.len() % 2 {
            0 => format!("[{}]", entries.join(" ,")),
            _ => format!("{{\"a\" :{}}}", entries.join(",\"b\":\n")),
        })
    })
}

const SNIPPETS: &[&str] = &[
    "",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-1",
    "1e999",
    "\\ud800",
    "\\udc00",
    "\u{feff}",
    "\0",
    "é",
    "\"type\":",
    "\"id\":{},",
    "\"rooms\":[{}],",
    "\u{2028}",
    "99999999999999999999",
];
const KEYS: &[&str] = &[
    "type",
    "id",
    "event",
    "data",
    "ack",
    "roomId",
    "rooms",
    "since",
    "epoch",
    "seq",
    "history",
    "content",
    "idempotencyKey",
    "to",
    "token",
    "resume",
    "before",
    "after",
    "limit",
    "other",
];
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "9007199254740992",
    "\"\"",
    "\"a\"",
    "\"room:join\"",
    "\"chat:message\"",
    "\"event\"",
    "\"history:get\"",
    "\"presence:get\"",
    "\"resume\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[{}]",
    "[{\"roomId\":\"a\"}]",
    "[{\"roomId\":\"a\",\"epoch\":\"e\",\"seq\":1}]",
    "{\"epoch\":\"e\",\"seq\":1}",
    "[[[]]]",
];
