//! `docs/protocol.md`, "Rooms": what a join is answered, and in which order.

use nuncio_model::{Command, ErrorCode, JoinRequest, Outcome, Refusal, Reply, Request};
use serde_json::{Value, json};

use crate::client::{Client, Seen, joined, message, position, room, sent};

#[test]
fn the_replay_follows_the_reply_and_then_what_waited_is_released() {
    let mut client = Client::authenticated();
    let since =
        r#"{"type":"room:join","roomId":"chat:a","since":{"epoch":"AAAAAAAAAAE","seq":7},"id":1}"#;

    let request = client.asks(since);
    let wanted = JoinRequest {
        room: room("chat:a"),
        since: Some(position(7)),
        history: None,
    };
    assert_eq!(request, Request::Command(Command::Join(vec![wanted])));
    let seen = client.reply(Reply::Joined(vec![Ok(joined("chat:a", 9, 2))]));

    assert_eq!(
        seen,
        [
            sent(json!({"ack": 1, "data": place("chat:a", 9)})),
            message("chat:a", 8),
            message("chat:a", 9),
            Seen::Released
        ]
    );
}

#[test]
fn a_join_without_an_id_is_silent_but_for_its_replay() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"room:join","roomId":"chat:a","history":1}"#);

    let seen = client.reply(Reply::Joined(vec![Ok(joined("chat:a", 9, 1))]));

    assert_eq!(seen, [message("chat:a", 9), Seen::Released]);
}

#[test]
fn rooms_of_a_list_are_answered_in_its_order_also_those_that_are_forbidden() {
    let mut client = Client::authenticated();
    let rooms = ["no:1", "chat:a", "no:2", "no:3", "chat:b", "no:4"];

    let request = client.asks(&join(&rooms));
    let Request::Command(Command::Join(granted)) = request else {
        panic!("{request:?}")
    };
    let granted: Vec<_> = granted.iter().map(|request| &*request.room).collect();
    assert_eq!(granted, ["chat:a", "chat:b"]);
    let full = Refusal::new(ErrorCode::RoomLimit, "full");
    let seen = client.reply(Reply::Joined(vec![
        Ok(joined("chat:a", 5, 1)),
        Err((room("chat:b"), full)),
    ]));

    let data = json!({"rooms": [
        forbidden("no:1"), place("chat:a", 5), forbidden("no:2"), forbidden("no:3"),
        {"roomId": "chat:b", "error": {"code": "ROOM_LIMIT", "message": "full"}}, forbidden("no:4")
    ]});
    assert_eq!(
        seen,
        [
            sent(json!({"ack": 1, "data": data})),
            message("chat:a", 5),
            Seen::Released
        ]
    );
}

#[test]
fn a_list_of_one_is_answered_with_a_list() {
    let mut client = Client::authenticated();
    client.asks(&join(&["chat:a"]));

    let seen = client.reply(Reply::Joined(vec![Ok(joined("chat:a", 5, 0))]));

    let data = json!({"rooms": [place("chat:a", 5)]});
    assert_eq!(
        seen,
        [sent(json!({"ack": 1, "data": data})), Seen::Released]
    );
}

#[test]
fn a_list_without_an_id_tells_each_refusal() {
    let mut client = Client::authenticated();
    client.says(r#"{"type":"room:join","rooms":[{"roomId":"no:1"},{"roomId":"chat:a"}]}"#);

    let seen = client.reply(Reply::Joined(vec![Ok(joined("chat:a", 5, 0))]));

    let Value::Object(error) = &forbidden("no:1")["error"] else {
        unreachable!("an object")
    };
    let mut error = error.clone();
    error.insert("type".into(), "error".into());
    assert_eq!(seen, [sent(Value::Object(error)), Seen::Released]);
}

#[test]
fn one_room_that_the_server_refuses_is_a_refused_call() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"room:join","roomId":"chat:a","id":1}"#);
    let full = Refusal::new(ErrorCode::RoomLimit, "full");

    let seen = client.reply(Reply::Joined(vec![Err((room("chat:a"), full))]));

    let error = json!({"ack": 1, "error": {"code": "ROOM_LIMIT", "message": "full"}});
    assert_eq!(seen, [sent(error), Seen::Released]);
}

#[test]
fn a_join_that_is_refused_as_a_whole_releases_nothing_that_another_join_holds_back() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"room:join","roomId":"chat:a","id":1}"#);

    let seen = client.answer(Err(Refusal::unavailable("later")));

    let error = json!({"ack": 1, "error": {"code": "UNAVAILABLE", "message": "later"}});
    assert_eq!(seen, [sent(error)]);
}

#[test]
fn no_join_asks_for_more_history_than_the_welcome_promised() {
    let mut client = Client::authenticated();

    let request =
        client.asks(r#"{"type":"room:join","roomId":"chat:a","history":4000000000,"id":1}"#);

    let Request::Command(Command::Join(rooms)) = request else {
        panic!("{request:?}")
    };
    assert_eq!(rooms[0].history, Some(100));
}

#[test]
fn a_join_that_completes_after_the_end_says_nothing() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"room:join","roomId":"chat:a","id":1}"#);
    client.drive(|session, out| session.handle_overflow(out));

    let late = Reply::Joined(vec![Ok(joined("chat:a", 5, 0))]);
    assert_eq!(client.answer(Ok(Outcome::Reply(late))), []);
}

fn join(rooms: &[&str]) -> String {
    let rooms: Vec<_> = rooms.iter().map(|room| json!({"roomId": room})).collect();
    json!({"type": "room:join", "rooms": rooms, "id": 1}).to_string()
}

fn place(room: &str, seq: u64) -> Value {
    json!({"roomId": room, "epoch": "AAAAAAAAAAE", "seq": seq, "recovered": true, "members": 3})
}

fn forbidden(room: &str) -> Value {
    let message = format!("room {room:?} is not granted: the right \"join\" is missing");
    json!({"roomId": room, "error": {"code": "FORBIDDEN", "message": message}})
}
