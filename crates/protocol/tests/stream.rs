//! `docs/protocol.md`, "SSE and long polling": events, ids, batches and bodies.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use bytes::Bytes;
use nuncio_model::{CloseCode, Epoch, ErrorCode, Position, Refusal, RoomName};
use nuncio_protocol::stream::{
    Places, batch, close, error_body, error_body_of, event, id, item, items, parse_places, posting,
    retry,
};
use proptest::prelude::*;

#[test]
fn an_event_is_one_data_line_whatever_breaks_the_json_has() {
    assert_eq!(event(br#"{"a":1}"#), "data: {\"a\":1}\n\n");
    assert_eq!(event(b"{\r\n\"a\":\n1}"), "data: {  \"a\": 1}\n\n");
}

#[test]
fn items_that_were_joined_are_taken_apart_again() {
    let place = Position {
        epoch: Epoch::from_random(7),
        seq: 42,
    };
    let joined = [
        item(Some((&room("news:a b"), place)), b"{1}"),
        item(None, b"{2}"),
    ]
    .concat();

    let found: Vec<_> = items(Bytes::from(joined)).collect();

    assert_eq!(found.len(), 2);
    assert_eq!(found[0].place(), Some(("news:a b", place)));
    assert_eq!(found[0].event(), "data: {1}\n\n");
    assert_eq!((found[1].place(), found[1].text()), (None, "{2}".into()));
}

#[test]
fn the_id_of_a_feed_has_a_position_for_each_room_in_order() {
    let mut places = Places::new([room("a"), room("b")]);
    assert_eq!(places.id(), "id: -,-\n");

    let position = Position {
        epoch: Epoch::from_random(0),
        seq: 3,
    };
    assert!(places.set("b", position));
    assert!(!places.set("c", position), "none of the feed's");

    assert_eq!(places.id(), "id: -,AAAAAAAAAAA.3\n");
    assert_eq!(
        parse_places("-,AAAAAAAAAAA.3", 2),
        Some(vec![None, Some(position)])
    );
}

#[test]
fn an_id_of_another_feed_says_nothing() {
    for text in [
        "",
        "7",
        "AAAAAAAAAAA.3",
        "AAAAAAAAAAA.3,-,-",
        "AAAAAAAAAAA.x,-",
        "AAAAAAAAAAA.+3,-",
        "AAAAAAAAAAA.99999999999999999999,-",
        "short.1,-",
    ] {
        assert_eq!(parse_places(text, 2), None, "{text}");
    }
}

#[test]
fn a_batch_has_its_messages_as_they_are() {
    let texts = [Bytes::from_static(b"{\"a\":1}"), Bytes::from_static(b"{}")];

    assert_eq!(batch(7, &texts), r#"{"cursor":7,"messages":[{"a":1},{}]}"#);
    assert_eq!(batch(0, &[]), r#"{"cursor":0,"messages":[]}"#);
}

#[test]
fn the_end_and_the_pause_before_the_return_are_said() {
    assert_eq!(
        close(CloseCode::RESTART, "Server \"shutting\" down"),
        r#"{"type":"close","code":1012,"reason":"Server \"shutting\" down"}"#
    );
    assert_eq!(
        retry(std::time::Duration::from_millis(1500)),
        "retry: 1500\n\n"
    );
    assert_eq!(id(12), "id: 12\n");
}

#[test]
fn what_is_sent_is_read_message_by_message() {
    let read =
        posting(r#"{"n":2,"messages":[{"type":"ping"}, {"a":[1]}],"close":1000,"x":0}"#).unwrap();

    assert_eq!((read.number, read.close), (2, Some(CloseCode::NORMAL)));
    assert_eq!(
        read.messages,
        [r#"{"type":"ping"}"#.into(), r#"{"a":[1]}"#.into()]
    );
    assert_eq!(posting(r#"{"n":1}"#).unwrap().messages, []);
}

#[test]
fn a_body_that_is_something_else_is_refused() {
    for (text, code) in [
        ("", ErrorCode::ParseError),
        ("{", ErrorCode::ParseError),
        ("[]", ErrorCode::InvalidMessage),
        (r#"{"messages":[]}"#, ErrorCode::InvalidMessage),
        (r#"{"n":-1,"messages":[]}"#, ErrorCode::InvalidMessage),
        (r#"{"n":1,"messages":{}}"#, ErrorCode::InvalidMessage),
        (r#"{"n":1,"close":1006}"#, ErrorCode::InvalidMessage),
    ] {
        assert_eq!(posting(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn a_refusal_is_the_same_body_however_it_was_written() {
    let refusal = Refusal::new(ErrorCode::NotFound, "no \"error\": here");
    let body = r#"{"error":{"code":"NOT_FOUND","message":"no \"error\": here"}}"#;

    assert_eq!(error_body(&refusal), body);
    let named = nuncio_model::CallId::Text("\"error\":".into());
    for id in [None, Some(&named)] {
        let text = nuncio_protocol::encode::refuse(id, &refusal);
        assert_eq!(error_body_of(&text).unwrap(), body, "{text:?}");
    }
    assert_eq!(error_body_of(br#"{"type":"pong"}"#), None);
    assert_eq!(error_body_of(b"pong"), None);
}

proptest! {
    #[test]
    fn any_items_come_apart_as_they_were_put_together(
        messages in prop::collection::vec((any::<Option<(u64, u64)>>(), "[ -~\n\r]{1,40}"), 0..20)
    ) {
        let name = room("any room");
        let joined: Vec<u8> = messages
            .iter()
            .flat_map(|(place, text)| {
                let place = place.map(|(bits, seq)| (&name, Position { epoch: Epoch::from_random(bits), seq }));
                item(place, text.as_bytes())
            })
            .collect();

        let found: Vec<_> = items(joined.into()).collect();

        prop_assert_eq!(found.len(), messages.len());
        for (item, (place, text)) in found.iter().zip(&messages) {
            let expected = place.map(|(bits, seq)| ("any room", Position { epoch: Epoch::from_random(bits), seq }));
            prop_assert_eq!(item.place(), expected);
            prop_assert_eq!(item.text(), text.replace(['\n', '\r'], " "));
        }
    }

    #[test]
    fn nothing_that_claims_to_be_an_id_a_body_or_an_item_panics(text in ".{0,80}", rooms in 0usize..5) {
        let _ = parse_places(&text, rooms);
        let _ = posting(&text);
        let _ = error_body_of(text.as_bytes());
        for item in items(text.into_bytes().into()) {
            item.place();
        }
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}
