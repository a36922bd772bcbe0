//! The reply to each call (`docs/protocol.md`, "Calls and replies"), with its exact text.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;

use nuncio_model::{
    Body, CallId, Epoch, ErrorCode, Joined, Json, Member, MessageId, Namespace, Position,
    PresencePage, Publication, Published, Refusal, Reply, RoomName, UserId,
};
use nuncio_protocol::{JoinForm, encode};

#[test]
fn a_call_with_nothing_to_tell() {
    assert_eq!(data(&Reply::Done), r#"{"status":"ok"}"#);
}

#[test]
fn the_id_comes_back_as_it_was_written() {
    for (id, written) in [
        (CallId::Number(0), "0"),
        (CallId::Number((1 << 53) - 1), "9007199254740991"),
        (CallId::Text("7".into()), r#""7""#),
        (CallId::Text("a\"\n\u{1}".into()), r#""a\"\n\u0001""#),
    ] {
        let text = encode::reply(&id, &Reply::Done, JoinForm::One);

        assert_eq!(
            text,
            format!(r#"{{"ack":{written},"data":{{"status":"ok"}}}}"#)
        );
    }
}

#[test]
fn a_joined_room() {
    let reply = Reply::Joined(vec![Ok(joined("abc"))]);

    let room = r#"{"roomId":"abc","epoch":"AAAAAAAAAAE","seq":41,"recovered":true,"members":3}"#;
    assert_eq!(data(&reply), room);
}

#[test]
fn a_joined_list_of_one_is_a_list() {
    let reply = Reply::Joined(vec![Ok(joined("abc"))]);

    let text = encode::reply(&CallId::Number(1), &reply, JoinForm::Many);

    let expected = r#"{"ack":1,"data":{"rooms":[{"roomId":"abc","epoch":"AAAAAAAAAAE","seq":41,"recovered":true,"members":3}]}}"#;
    assert_eq!(text, expected);
}

#[test]
fn of_several_rooms_each_is_joined_or_refused() {
    let reply = Reply::Joined(vec![Err((room("a"), forbidden())), Ok(joined("b"))]);

    let text = encode::reply(&CallId::Number(1), &reply, JoinForm::Many);

    let expected = concat!(
        r#"{"ack":1,"data":{"rooms":["#,
        r#"{"roomId":"a","error":{"code":"FORBIDDEN","message":"no"}},"#,
        r#"{"roomId":"b","epoch":"AAAAAAAAAAE","seq":41,"recovered":true,"members":3}]}}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn a_single_refused_room_is_a_refused_call() {
    let reply = Reply::Joined(vec![Err((room("a"), forbidden()))]);

    let text = encode::reply(&CallId::Number(1), &reply, JoinForm::One);

    assert_eq!(
        text,
        r#"{"ack":1,"error":{"code":"FORBIDDEN","message":"no"}}"#
    );
}

#[test]
fn a_stored_message() {
    let reply = Reply::Published(Published {
        id: MessageId::from_u128(9),
        position: position(42),
        ts: 1_700_000_000_123,
    });

    let expected = r#"{"status":"ok","id":"00000000000000000000000009","epoch":"AAAAAAAAAAE","seq":42,"ts":1700000000123}"#;
    assert_eq!(data(&reply), expected);
}

#[test]
fn a_private_message_counts_the_sessions_it_reached() {
    assert_eq!(
        data(&Reply::Sent { sessions: 2 }),
        r#"{"status":"ok","sessions":2}"#
    );
}

#[test]
fn a_page_of_presence() {
    let members = [("u1", 1), ("u2", 3)].map(|(name, sessions)| Member {
        user: user(name),
        sessions,
    });
    let reply = Reply::Presence(PresencePage {
        count: 5,
        members: Some(members.into()),
        next: Some(user("u2")),
    });

    let expected = r#"{"count":5,"users":[{"userId":"u1","sessions":1},{"userId":"u2","sessions":3}],"next":"u2"}"#;
    assert_eq!(data(&reply), expected);
}

#[test]
fn the_count_of_presence_alone() {
    let reply = Reply::Presence(PresencePage {
        count: 5,
        members: None,
        next: None,
    });

    assert_eq!(data(&reply), r#"{"count":5}"#);
}

#[test]
fn history_has_the_messages_as_they_were_delivered_and_the_position() {
    let reply = Reply::History {
        position: position(2),
        publications: vec![chat(1), chat(2)],
    };

    let expected = format!(
        r#"{{"epoch":"AAAAAAAAAAE","seq":2,"messages":[{},{}]}}"#,
        text(&encode::publication(&chat(1))),
        text(&encode::publication(&chat(2)))
    );
    assert_eq!(data(&reply), expected);
}

#[test]
fn an_empty_history() {
    let reply = Reply::History {
        position: position(0),
        publications: vec![],
    };

    assert_eq!(
        data(&reply),
        r#"{"epoch":"AAAAAAAAAAE","seq":0,"messages":[]}"#
    );
}

#[test]
fn the_answer_of_a_handler_is_the_data() {
    let reply = Reply::Answer {
        data: Json::parse("[ null ]").unwrap(),
        attachments: Box::default(),
    };

    assert_eq!(data(&reply), "[ null ]");
}

#[test]
fn a_refreshed_token() {
    assert_eq!(
        data(&Reply::Refreshed { exp: Some(9) }),
        r#"{"status":"ok","exp":9}"#
    );
    assert_eq!(data(&Reply::Refreshed { exp: None }), r#"{"status":"ok"}"#);
}

fn data(reply: &Reply) -> String {
    let bytes = encode::reply(&CallId::Number(1), reply, JoinForm::One);
    let data = text(&bytes).strip_prefix(r#"{"ack":1,"data":"#);
    data.and_then(|data| data.strip_suffix('}')).unwrap().into()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn chat(seq: u64) -> Arc<Publication> {
    Arc::new(Publication {
        id: MessageId::from_u128(9),
        namespace: Namespace::default(),
        room: room("abc"),
        position: position(seq),
        ts: 5,
        author: None,
        body: Body::Chat {
            content: Json::null(),
        },
    })
}

fn joined(name: &str) -> Joined {
    Joined {
        room: room(name),
        position: position(41),
        recovered: true,
        members: 3,
        replay: vec![chat(41)],
        offset: None,
    }
}

fn forbidden() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "no")
}

fn position(seq: u64) -> Position {
    let epoch = Epoch::from_random(1);
    Position { epoch, seq }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}
