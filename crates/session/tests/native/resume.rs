//! `docs/protocol.md`, "Losing the connection, and resuming".

use std::time::Duration;

use nuncio_model::{CloseCode, ErrorCode, Refusal, Request};
use serde_json::json;

use crate::client::{
    Client, Seen, admitted, closed, identity, joined, message, position, resumed, room, sent, token,
};

const RESUME: &str = r#"{"type":"resume","resume":"secret-token","rooms":[{"roomId":"chat:a","epoch":"AAAAAAAAAAE","seq":42}],"id":1}"#;

#[test]
fn a_session_is_taken_over_by_the_first_message_and_the_missed_messages_follow() {
    let mut client = Client::connected();

    let request = client.asks(RESUME);
    let rooms = vec![(room("chat:a"), position(42))];
    let token_sent = "secret-token".into();
    assert_eq!(
        request,
        Request::Resume {
            token: token_sent,
            rooms
        }
    );
    let seen = client.answer(Ok(resumed(vec![Ok(joined("chat:a", 44, 2))])));

    let answer = json!({"type": "resumed", "id": token(2).socket, "resume": token(2).reveal(), "rooms": [
        {"roomId": "chat:a", "epoch": "AAAAAAAAAAE", "seq": 44, "recovered": true}
    ]});
    let ack = json!({"ack": 1, "data": {"status": "ok"}});
    assert_eq!(
        seen,
        [
            sent(answer),
            sent(ack),
            message("chat:a", 43),
            message("chat:a", 44),
            Seen::Released
        ]
    );
    assert!(client.session.is_open());
}

#[test]
fn a_resume_without_an_id_gets_no_reply_besides() {
    let mut client = Client::connected();
    client.asks(r#"{"type":"resume","resume":"secret-token"}"#);

    let seen = client.answer(Ok(resumed(vec![])));

    let answer =
        json!({"type": "resumed", "id": token(2).socket, "resume": token(2).reveal(), "rooms": []});
    assert_eq!(seen, [sent(answer), Seen::Released]);
}

#[test]
fn rooms_that_were_taken_away_meanwhile_are_told() {
    let mut client = Client::connected();
    client.asks(RESUME);
    let taken = (
        room("staff"),
        Refusal::new(ErrorCode::Forbidden, "not any more"),
    );

    let seen = client.answer(Ok(resumed(vec![Ok(joined("chat:a", 42, 0)), Err(taken)])));

    let removed = json!({"type": "room:removed", "roomId": "staff", "code": "FORBIDDEN"});
    assert_eq!(seen[2..], [sent(removed), Seen::Released]);
}

#[test]
fn a_session_that_is_gone_is_not_found_and_the_client_may_still_authenticate() {
    let mut client = Client::connected();
    client.asks(RESUME);

    let seen = client.answer(Err(Refusal::new(ErrorCode::NotFound, "gone")));

    let error = json!({"ack": 1, "error": {"code": "NOT_FOUND", "message": "gone"}});
    assert_eq!(seen, [sent(error)]);
    client.asks(r#"{"type":"auth","token":"a.b.c"}"#);
    client.answer(Ok(admitted(identity())));
    assert!(client.session.is_open());
}

#[test]
fn a_failed_resume_does_not_prolong_the_time_to_authenticate() {
    let mut client = Client::connected();
    client.asks(RESUME);
    client.wait(Duration::from_secs(9));
    client.answer(Err(Refusal::new(ErrorCode::NotFound, "gone")));

    assert_eq!(
        client.wait(Duration::from_secs(1)),
        [closed(CloseCode::POLICY, "Not authenticated")]
    );
}

#[test]
fn a_client_with_a_token_in_its_request_may_resume_first() {
    let mut client = Client::authenticated();

    client.asks(RESUME);
    client.answer(Ok(resumed(vec![])));

    assert!(client.session.is_open());
}

#[test]
fn a_failed_resume_of_an_authenticated_client_leaves_its_new_session_in_place() {
    let mut client = Client::authenticated();
    client.asks(RESUME);

    client.answer(Err(Refusal::new(ErrorCode::NotFound, "gone")));

    client.asks(r#"{"type":"room:join","roomId":"chat:a"}"#);
}

#[test]
fn a_resume_after_a_command_is_refused() {
    let mut client = Client::authenticated();
    client.says(r#"{"type":"room:leave","roomId":"chat:a"}"#);

    let message = "resume must be the first message of a connection";
    assert_eq!(
        client.says(RESUME),
        [sent(
            json!({"ack": 1, "error": {"code": "INVALID_MESSAGE", "message": message}})
        )]
    );
}

#[test]
fn a_resumed_session_is_not_resumed_again() {
    let mut client = Client::connected();
    client.asks(RESUME);
    client.answer(Ok(resumed(vec![])));

    let seen = client.says(RESUME);

    let message = "resume must be the first message of a connection";
    assert_eq!(
        seen,
        [sent(
            json!({"ack": 1, "error": {"code": "INVALID_MESSAGE", "message": message}})
        )]
    );
}

#[test]
fn a_token_in_the_request_resumes_without_a_message() {
    let mut client = Client::connected();

    let seen = client.drive(|session, out| session.resume("secret-token".into(), out));

    assert_eq!(seen, [Seen::Asked]);
    let rooms = Vec::new();
    let token = "secret-token".into();
    assert_eq!(client.requests, [Request::Resume { token, rooms }]);
}
