//! How a session ends, and that nothing comes after it.

use std::time::Duration;

use nuncio_model::{CloseCode, ErrorCode, Outcome, Reply};
use serde_json::json;

use crate::client::{Client, Seen, closed, room, sent};

#[test]
fn a_server_that_shuts_down_says_when_to_come_back_and_closes_with_1012() {
    let mut client = Client::authenticated();

    let seen = client.drive(|session, out| session.handle_drain(Duration::from_millis(1500), out));

    let last = json!({"type": "reconnect", "after": 1500, "reason": "Server shutting down"});
    assert_eq!(
        seen,
        [Seen::Closed {
            last: Some(last),
            code: 1012,
            reason: "Server shutting down".into()
        }]
    );
}

#[test]
fn a_slow_reader_is_told_to_come_back_and_closed_with_1013() {
    let mut client = Client::authenticated();

    let seen = client.drive(|session, out| session.handle_overflow(out));

    let last = json!({"type": "reconnect", "after": 1000, "reason": "Slow consumer"});
    assert_eq!(
        seen,
        [Seen::Closed {
            last: Some(last),
            code: 1013,
            reason: "Slow consumer".into()
        }]
    );
}

#[test]
fn a_session_that_was_taken_over_is_closed_with_4001() {
    let mut client = Client::authenticated();

    let seen = client.drive(|session, out| {
        session.handle_close(CloseCode::RESUMED_ELSEWHERE, "Resumed elsewhere", out);
    });

    assert_eq!(
        seen,
        [closed(CloseCode::RESUMED_ELSEWHERE, "Resumed elsewhere")]
    );
}

#[test]
fn an_application_may_close_with_a_code_of_its_own() {
    let mut client = Client::authenticated();

    let seen = client.drive(|session, out| {
        session.handle_close(CloseCode(4100), "banned".to_owned(), out);
    });

    assert_eq!(seen, [closed(CloseCode(4100), "banned")]);
}

#[test]
fn a_client_that_was_taken_out_of_a_room_is_told() {
    let mut client = Client::authenticated();

    let seen = client.drive(|session, out| {
        session.handle_removed(room("chat:a"), ErrorCode::Forbidden, out);
    });

    let removed = json!({"type": "room:removed", "roomId": "chat:a", "code": "FORBIDDEN"});
    assert_eq!(seen, [sent(removed)]);
}

#[test]
fn nothing_comes_after_the_close() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"chat:message","roomId":"chat:a","content":1,"id":1}"#);
    client.drive(|session, out| session.handle_drain(Duration::ZERO, out));
    let now = client.now;

    assert_eq!(client.says(r#"{"type":"ping"}"#), []);
    assert_eq!(client.says("no JSON"), []);
    assert_eq!(client.reply(Reply::Done), []);
    assert_eq!(client.wait(Duration::from_secs(1000)), []);
    let seen = client.drive(|session, out| {
        session.handle_binary(1, now, out);
        session.handle_frame();
        session.handle_removed(room("chat:a"), ErrorCode::Forbidden, out);
        session.handle_drain(Duration::ZERO, out);
        session.handle_overflow(out);
        session.handle_close(CloseCode::NORMAL, "", out);
        session.complete_pending(1, Ok(Outcome::Reply(Reply::Done)), now, out);
    });
    assert_eq!(seen, []);
    assert_eq!(client.session.poll_timeout(), None);
    assert!(!client.session.is_open());
}
