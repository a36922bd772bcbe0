//! Nothing is granted that is not written: `FORBIDDEN` names the room and the missing right.

use std::sync::Arc;

use nuncio_model::{Grants, Right};
use serde_json::json;

use crate::client::{Client, sent};

#[test]
fn each_command_needs_its_right_in_its_room() {
    for (text, right) in [
        (r#"{"type":"room:join","roomId":"staff","id":1}"#, "join"),
        (
            r#"{"type":"chat:message","roomId":"staff","content":1,"id":1}"#,
            "publish",
        ),
        (
            r#"{"type":"event","event":"e","roomId":"staff","id":1}"#,
            "publish",
        ),
        (
            r#"{"type":"typing:start","roomId":"staff","id":1}"#,
            "typing",
        ),
        (
            r#"{"type":"typing:stop","roomId":"staff","id":1}"#,
            "typing",
        ),
        (
            r#"{"type":"presence:get","roomId":"staff","id":1}"#,
            "presence",
        ),
        (
            r#"{"type":"history:get","roomId":"staff","id":1}"#,
            "history",
        ),
    ] {
        let seen = Client::authenticated().says(text);

        assert_eq!(seen, [forbidden("staff", right)], "{text}");
    }
}

#[test]
fn a_join_that_wants_messages_of_before_needs_the_right_to_history() {
    for wanted in [
        r#""history":5"#,
        r#""since":{"epoch":"AAAAAAAAAAE","seq":1}"#,
    ] {
        let text = format!(r#"{{"type":"room:join","roomId":"look:a",{wanted},"id":1}}"#);

        let seen = Client::authenticated().says(&text);

        assert_eq!(
            seen,
            [forbidden("look:a", Right::History.as_str())],
            "{wanted}"
        );
    }
}

#[test]
fn private_messages_need_a_grant_of_their_recipient() {
    let mut client = Client::authenticated();

    let seen = client.says(r#"{"type":"message:private","to":"eve","content":1,"id":1}"#);

    let message = r#"private messages to "eve" are not granted: the grant "private" is missing"#;
    let error = json!({"code": "FORBIDDEN", "message": message});
    assert_eq!(seen, [sent(json!({"ack": 1, "error": error}))]);
    client.asks(r#"{"type":"message:private","to":"bob","content":1,"id":1}"#);
}

#[test]
fn leaving_needs_no_right() {
    Client::authenticated().asks(r#"{"type":"room:leave","roomId":"staff"}"#);
}

#[test]
fn a_refusal_without_an_id_is_a_message_of_its_own() {
    let seen = Client::authenticated().says(r#"{"type":"typing:start","roomId":"staff"}"#);

    let message = r#"room "staff" is not granted: the right "typing" is missing"#;
    assert_eq!(
        seen,
        [sent(
            json!({"type": "error", "code": "FORBIDDEN", "message": message})
        )]
    );
}

#[test]
fn other_grants_hold_at_once_and_leave_the_end_of_the_token_as_it_was() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"typing:start","roomId":"chat:a"}"#);

    client.drive(|session, _| {
        let before = session.poll_timeout();
        session.handle_grants(Arc::new(Grants::default()));
        assert_eq!(session.poll_timeout(), before);
    });

    let seen = client.says(r#"{"type":"typing:start","roomId":"chat:a","id":1}"#);
    assert_eq!(seen, [forbidden("chat:a", "typing")]);
}

fn forbidden(room: &str, right: &str) -> crate::client::Seen {
    let message = format!("room {room:?} is not granted: the right {right:?} is missing");
    let error = json!({"code": "FORBIDDEN", "message": message});
    sent(json!({"ack": 1, "error": error}))
}
