//! What a client may send (`docs/protocol.md`, "Messages of the client"): each message with its exact text.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio_model::{
    Body, CallId, Command, Epoch, EventName, HistoryQuery, IdempotencyKey, JoinRequest, Json,
    Position, PublishRequest, RoomName, Typing, UserId,
};
use nuncio_protocol::{Incoming, JoinForm, decode};

#[test]
fn auth_brings_a_token() {
    let incoming = decode(r#"{"type":"auth","token":"jwt-string"}"#).unwrap();

    let token = "jwt-string".into();
    assert_eq!(incoming, Incoming::Auth { id: None, token });
}

#[test]
fn auth_refresh_brings_a_new_token() {
    let command = command(r#"{"type":"auth:refresh","token":"a.b.c"}"#);

    let token = "a.b.c".into();
    assert_eq!(command, Command::Refresh { token });
}

#[test]
fn resume_names_what_was_seen_in_each_room() {
    let text = r#"{"type":"resume","resume":"secret","rooms":[{"roomId":"a","epoch":"AAAAAAAAAAE","seq":7}],"id":1}"#;

    let incoming = decode(text).unwrap();

    let expected = Incoming::Resume {
        id: Some(CallId::Number(1)),
        resume: "secret".into(),
        rooms: vec![(room("a"), position(1, 7))],
    };
    assert_eq!(incoming, expected);
}

#[test]
fn resume_without_rooms_knows_no_position() {
    let incoming = decode(r#"{"type":"resume","resume":"secret"}"#).unwrap();

    let (id, resume, rooms) = (None, "secret".into(), vec![]);
    assert_eq!(incoming, Incoming::Resume { id, resume, rooms });
}

#[test]
fn join_of_one_room() {
    let text = r#"{"type":"room:join","roomId":"lobby"}"#;

    let requests = vec![joined("lobby", None, None)];
    assert_eq!(join(text), (requests, JoinForm::One));
}

#[test]
fn join_since_a_position_and_with_history() {
    let text = r#"{"type":"room:join","roomId":"lobby","since":{"epoch":"AAAAAAAAAAI","seq":41},"history":20}"#;

    let requests = vec![joined("lobby", Some(position(2, 41)), Some(20))];
    assert_eq!(join(text), (requests, JoinForm::One));
}

#[test]
fn join_of_several_rooms_keeps_their_order() {
    let text = r#"{"type":"room:join","rooms":[{"roomId":"b","history":1},{"roomId":"a"},{"roomId":"b"}]}"#;

    let requests = ["b", "a", "b"].map(|name| joined(name, None, None));
    let mut requests = Vec::from(requests);
    requests[0].history = Some(1);
    assert_eq!(join(text), (requests, JoinForm::Many));
}

#[test]
fn join_of_a_list_of_one_is_still_a_list() {
    let (requests, form) = join(r#"{"type":"room:join","rooms":[{"roomId":"a"}]}"#);

    assert_eq!((requests.len(), form), (1, JoinForm::Many));
}

#[test]
fn join_takes_a_hundred_rooms() {
    let rooms = vec![r#"{"roomId":"a"}"#; 100].join(",");

    let (requests, _) = join(&format!(r#"{{"type":"room:join","rooms":[{rooms}]}}"#));

    assert_eq!(requests.len(), 100);
}

#[test]
fn an_epoch_of_another_server_is_a_position_that_fits_no_room() {
    let text = r#"{"type":"room:join","roomId":"a","since":{"epoch":"one of theirs","seq":3}}"#;

    let since = join(text).0[0].since.unwrap();

    assert_eq!(since.seq, 3);
}

#[test]
fn leave() {
    let text = r#"{"type":"room:leave","roomId":"lobby"}"#;

    assert_eq!(command(text), Command::Leave(room("lobby")));
}

#[test]
fn chat_message_as_the_guide_writes_it() {
    let text = r#"{ "type": "chat:message", "roomId": "abc", "content": "Hello" }"#;

    assert_eq!(command(text), chat("abc", r#""Hello""#, None));
}

#[test]
fn chat_message_with_an_idempotency_key() {
    let text = r#"{"type":"chat:message","roomId":"abc","content":"Hello","idempotencyKey":"k-1"}"#;

    assert_eq!(command(text), chat("abc", r#""Hello""#, Some("k-1")));
}

#[test]
fn content_is_any_json_and_stays_as_it_was_written() {
    for content in [
        "null",
        "false",
        "1.50e+1",
        "[ 1 , 2 ]",
        r#"{"b": 1, "a":{"b":  "\u00e9\/"}, "a": 2}"#,
        "\"<img onerror=alert(1)>\u{2028}\"",
        r#""\ud83d\ude00""#,
    ] {
        let text = format!(r#"{{"type":"chat:message","content":{content},"roomId":"abc"}}"#);

        assert_eq!(command(&text), chat("abc", content, None));
    }
}

#[test]
fn private_message_to_a_user_or_session() {
    let text = r#"{"type":"message:private","to":"u2","content":{"text":"psst"}}"#;

    let (to, content) = ("u2".into(), json(r#"{"text":"psst"}"#));
    assert_eq!(command(text), Command::Private { to, content });
}

#[test]
fn typing_starts_and_stops() {
    for (kind, typing) in [("start", Typing::Started), ("stop", Typing::Stopped)] {
        let text = format!(r#"{{ "type": "typing:{kind}", "roomId": "abc" }}"#);

        let room = room("abc");
        assert_eq!(command(&text), Command::Typing { room, typing });
    }
}

#[test]
fn presence_get_pages_by_user() {
    let text = r#"{"type":"presence:get","roomId":"a","after":"u7","limit":10}"#;

    let after = Some(UserId::parse("u7").unwrap());
    let (room, limit) = (room("a"), 10);
    assert_eq!(command(text), Command::Presence { room, after, limit });
}

#[test]
fn presence_get_asks_for_the_count_alone_with_limit_0() {
    let text = r#"{"type":"presence:get","roomId":"a","limit":0}"#;

    let (room, after, limit) = (room("a"), None, 0);
    assert_eq!(command(text), Command::Presence { room, after, limit });
}

#[test]
fn presence_get_has_100_users_a_page_by_default() {
    let text = r#"{"type":"presence:get","roomId":"a"}"#;

    let (room, after, limit) = (room("a"), None, 100);
    assert_eq!(command(text), Command::Presence { room, after, limit });
}

#[test]
fn history_get_before_after_or_newest() {
    for (fields, before, after, limit) in [
        ("", None, None, None),
        (r#","before":50,"limit":10"#, Some(50), None, Some(10)),
        (
            r#","after":9007199254740991"#,
            None,
            Some((1 << 53) - 1),
            None,
        ),
        (r#","before":null,"after":0"#, None, Some(0), None),
    ] {
        let text = format!(r#"{{"type":"history:get","roomId":"a"{fields}}}"#);

        let query = HistoryQuery {
            room: room("a"),
            before,
            after,
            limit,
        };
        assert_eq!(command(&text), Command::History(query));
    }
}

#[test]
fn event_with_a_room_is_a_publication() {
    let text = r#"{"type":"event","event":"draw","data":[1,{"x":2}],"roomId":"board","idempotencyKey":"k"}"#;

    let expected = PublishRequest {
        room: room("board"),
        body: Body::Event {
            name: event("draw"),
            data: json(r#"[1,{"x":2}]"#),
            attachments: Box::default(),
        },
        idempotency_key: Some(IdempotencyKey::parse("k").unwrap()),
    };
    assert_eq!(command(text), Command::Publish(expected));
}

#[test]
fn event_without_a_room_is_a_call() {
    let text = r#"{"type":"event","event":"order","data":{"n":1}}"#;

    assert_eq!(command(text), call("order", r#"{"n":1}"#));
}

#[test]
fn event_without_data_has_null() {
    let text = r#"{"type":"event","event":"order"}"#;

    assert_eq!(command(text), call("order", "null"));
}

#[test]
fn ping() {
    let incoming = decode(r#"{"type":"ping"}"#).unwrap();

    assert_eq!(incoming, Incoming::Ping { id: None });
}

#[test]
fn the_answer_to_a_question_of_the_server() {
    let incoming = decode(r#"{"ack":3,"data":{"yes":true}}"#).unwrap();

    let (ack, data) = (3, json(r#"{"yes":true}"#));
    assert_eq!(incoming, Incoming::Answer { ack, data });
}

#[test]
fn an_answer_without_data_is_null() {
    let incoming = decode(r#"{"ack":0}"#).unwrap();

    let (ack, data) = (0, Json::null());
    assert_eq!(incoming, Incoming::Answer { ack, data });
}

#[test]
fn call_ids_are_returned_as_they_were_written() {
    for (text, id) in [
        ("0", CallId::Number(0)),
        ("9007199254740991", CallId::Number((1 << 53) - 1)),
        (r#""7""#, CallId::Text("7".into())),
        (r#""\u0041\"""#, CallId::Text("A\"".into())),
    ] {
        let incoming = decode(&format!(r#"{{"type":"ping","id":{text}}}"#)).unwrap();

        assert_eq!(incoming, Incoming::Ping { id: Some(id) });
    }
}

#[test]
fn a_call_id_has_up_to_64_bytes() {
    let id = "x".repeat(64);

    let incoming = decode(&format!(r#"{{"type":"ping","id":"{id}"}}"#)).unwrap();

    let id = Some(CallId::Text(id.into()));
    assert_eq!(incoming, Incoming::Ping { id });
}

/// `sendWithAck(socket, "chat:message", { roomId, content })` of the guide.
#[test]
fn the_acknowledgement_form_is_the_message_with_its_id() {
    let short = r#"{"id":"8c0e","event":"chat:message","data":{"roomId":"abc","content":"Hello"}}"#;
    let long = r#"{"type":"chat:message","roomId":"abc","content":"Hello","id":"8c0e"}"#;

    assert_eq!(decode(short).unwrap(), decode(long).unwrap());
}

#[test]
fn in_the_acknowledgement_form_type_and_id_of_the_data_are_ignored() {
    let text = r#"{"id":1,"event":"room:leave","data":{"roomId":"a","type":"ping","id":2}}"#;

    let Incoming::Command { id, command, .. } = decode(text).unwrap() else {
        panic!("not a command");
    };
    assert_eq!(id, Some(CallId::Number(1)));
    assert_eq!(command, Command::Leave(room("a")));
}

#[test]
fn the_acknowledgement_form_carries_every_built_in_type() {
    let text = r#"{"id":1,"event":"event","data":{"event":"order","data":[1]}}"#;
    assert_eq!(command(text), call("order", "[1]"));

    let text = r#"{"id":1,"event":"ping"}"#;
    let id = Some(CallId::Number(1));
    assert_eq!(decode(text).unwrap(), Incoming::Ping { id });

    let text = r#"{"id":1,"event":"auth","data":{"token":"t"}}"#;
    let (id, token) = (Some(CallId::Number(1)), "t".into());
    assert_eq!(decode(text).unwrap(), Incoming::Auth { id, token });
}

#[test]
fn unknown_fields_are_ignored() {
    let text = r#"{"v":2,"type":"ping","roomId":7,"nested":{"type":[{}]},"":null}"#;

    assert_eq!(decode(text).unwrap(), Incoming::Ping { id: None });
}

#[test]
fn of_a_repeated_field_the_last_counts() {
    let text = r#"{"type":"ping","type":"room:leave","roomId":"a","roomId":"b"}"#;

    assert_eq!(command(text), Command::Leave(room("b")));
}

#[test]
fn keys_and_names_may_be_written_with_escapes() {
    let text = r#"{"\u0074ype":"room\u003aleave","roomId":"\ud83d\ude00\u00e9\\\""}"#;

    assert_eq!(command(text), Command::Leave(room("😀é\\\"")));
}

#[test]
fn white_space_around_and_inside_is_allowed() {
    let text = " \t\r\n{ \"type\" :\n\"ping\" }\n";

    assert_eq!(decode(text).unwrap(), Incoming::Ping { id: None });
}

#[test]
fn null_in_a_field_that_may_be_left_out_is_as_if_left_out() {
    let text =
        r#"{"type":"room:join","roomId":"a","rooms":null,"since":null,"history":null,"id":null}"#;

    let requests = vec![joined("a", None, None)];
    assert_eq!(join(text), (requests, JoinForm::One));
}

#[test]
fn the_depth_of_32_is_allowed() {
    let content = format!("{}{}", "[".repeat(31), "]".repeat(31));
    let text = format!(r#"{{"type":"chat:message","roomId":"a","content":{content}}}"#);

    assert_eq!(command(&text), chat("a", &content, None));
}

#[test]
fn debug_output_shows_no_token() {
    for text in [
        r#"{"type":"auth","token":"hunter2"}"#,
        r#"{"type":"auth:refresh","token":"hunter2"}"#,
        r#"{"type":"resume","resume":"hunter2"}"#,
        r#"{"type":"auth","token":["hunter2"]}"#,
        r#"{"type":"resume","resume":{"a":"hunter2"}}"#,
        r#"{"type":"auth","token":"hunter2\ud800"}"#,
    ] {
        let shown = format!("{:?}", decode(text));

        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

fn command(text: &str) -> Command {
    match decode(text).unwrap() {
        Incoming::Command {
            command,
            form: JoinForm::One,
            ..
        } => command,
        other => panic!("not a command: {other:?}"),
    }
}

fn join(text: &str) -> (Vec<JoinRequest>, JoinForm) {
    match decode(text).unwrap() {
        Incoming::Command {
            id: None,
            command: Command::Join(requests),
            form,
        } => (requests, form),
        other => panic!("not a join: {other:?}"),
    }
}

fn joined(name: &str, since: Option<Position>, history: Option<u32>) -> JoinRequest {
    let room = room(name);
    JoinRequest {
        room,
        since,
        history,
    }
}

fn chat(name: &str, content: &str, key: Option<&str>) -> Command {
    Command::Publish(PublishRequest {
        room: room(name),
        body: Body::Chat {
            content: json(content),
        },
        idempotency_key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
    })
}

fn call(name: &str, data: &str) -> Command {
    Command::Call {
        event: event(name),
        data: json(data),
        attachments: Box::default(),
    }
}

fn event(name: &str) -> EventName {
    EventName::parse(name).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn position(epoch: u64, seq: u64) -> Position {
    let epoch = Epoch::from_random(epoch);
    Position { epoch, seq }
}
