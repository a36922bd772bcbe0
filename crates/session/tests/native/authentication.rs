//! `docs/protocol.md`, "Connecting" and "Authentication".

use std::time::Duration;

use nuncio_model::{CloseCode, ErrorCode, Json, Outcome, Refusal, Request};
use nuncio_session::Settings;
use serde_json::json;

use crate::client::{
    Client, Seen, admitted, closed, ending_in, identity, joined, message, sent, socket, token,
};

#[test]
fn the_server_speaks_first() {
    let mut client = Client::of(Settings {
        server: "nuncio/9.9.9".into(),
        ..Settings::default()
    });

    let seen = client.drive(|session, out| session.open(socket(), out));

    let welcome = json!({
        "type": "welcome", "id": "BwcHBwcHBwcHBwcHBwcH", "protocol": 1,
        "heartbeat": { "interval": 30000, "timeout": 20000 },
        "limits": { "messageBytes": 65536, "rooms": 100, "ratePerSecond": 10, "burst": 20, "historyMax": 100 },
        "server": "nuncio/9.9.9"
    });
    assert_eq!(seen, [sent(welcome)]);
}

#[test]
fn a_valid_token_in_the_first_message_is_answered_with_auth_ok() {
    let mut client = Client::connected();

    let request = client.asks(r#"{"type":"auth","token":"a.b.c"}"#);
    assert_eq!(request, Request::Authenticate("a.b.c".into()));

    let mut ann = ending_in(3600);
    ann.profile = Some(Json::parse(r#"{"name":"Ada"}"#).unwrap());
    let auth_ok = json!({
        "type": "auth_ok", "user": { "sub": "ann", "info": { "name": "Ada" } },
        "exp": 1_003_600, "resume": token(1).reveal()
    });
    assert_eq!(
        client.answer(Ok(admitted(ann))),
        [sent(auth_ok), Seen::Released]
    );
    assert!(client.session.is_open());
}

#[test]
fn auth_with_an_id_also_gets_its_reply() {
    let mut client = Client::connected();
    client.asks(r#"{"type":"auth","token":"a.b.c","id":"x"}"#);

    let seen = client.answer(Ok(admitted(identity())));

    let auth_ok = json!({"type": "auth_ok", "user": {"sub": "ann"}, "resume": token(1).reveal()});
    let ack = json!({"ack": "x", "data": {"status": "ok"}});
    assert_eq!(seen, [sent(auth_ok), sent(ack), Seen::Released]);
}

#[test]
fn a_client_whose_request_said_who_it_is_gets_auth_ok_unasked() {
    let mut client = Client::connected();

    let seen = client.drive(|session, out| session.enter(identity(), out));

    assert_eq!(seen, [Seen::Asked]);
    assert_eq!(client.requests, [Request::Enter(Box::new(identity()))]);
    let auth_ok = json!({"type": "auth_ok", "user": {"sub": "ann"}, "resume": token(1).reveal()});
    assert_eq!(
        client.answer(Ok(admitted(identity()))),
        [sent(auth_ok), Seen::Released]
    );
}

#[test]
fn rooms_that_the_token_joins_are_announced_after_auth_ok() {
    let mut client = Client::connected();
    client.asks(r#"{"type":"auth","token":"a.b.c"}"#);
    let Outcome::Admitted(mut outcome) = admitted(identity()) else {
        unreachable!("admitted makes no other outcome")
    };
    outcome.joined = vec![joined("chat:a", 4, 0), joined("chat:b", 9, 1)];

    let seen = client.answer(Ok(Outcome::Admitted(outcome)));

    let position = |room, seq| {
        sent(
            json!({"type": "room:position", "roomId": room, "epoch": "AAAAAAAAAAE", "seq": seq,
            "recovered": true, "reason": "joined"}),
        )
    };
    assert_eq!(
        seen[1..],
        [
            position("chat:a", 4),
            position("chat:b", 9),
            message("chat:b", 9),
            Seen::Released
        ]
    );
}

#[test]
fn a_wrong_token_closes_with_1008_authentication_failed() {
    let mut client = Client::connected();
    client.asks(r#"{"type":"auth","token":"wrong","id":1}"#);

    let seen = client.answer(Err(Refusal::new(
        ErrorCode::NotAuthenticated,
        "Invalid token",
    )));

    assert_eq!(seen, [closed(CloseCode::POLICY, "Authentication failed")]);
}

#[test]
fn a_server_that_cannot_let_anyone_in_says_so_and_closes_with_1013() {
    for code in [
        ErrorCode::RoomLimit,
        ErrorCode::Unavailable,
        ErrorCode::Internal,
    ] {
        let mut client = Client::connected();
        client.asks(r#"{"type":"auth","token":"a.b.c","id":1}"#);

        let seen = client.answer(Err(Refusal::new(code, "not today")));

        let error = json!({"ack": 1, "error": {"code": code.as_str(), "message": "not today"}});
        assert_eq!(
            seen,
            [sent(error), closed(CloseCode::TRY_AGAIN, "Try again later")]
        );
    }
}

#[test]
fn who_does_not_authenticate_within_10_seconds_is_closed_with_1008() {
    let mut client = Client::connected();

    assert_eq!(client.wait(Duration::from_millis(9_999)), []);
    assert_eq!(
        client.wait(Duration::from_millis(1)),
        [closed(CloseCode::POLICY, "Not authenticated")]
    );
}

#[test]
fn the_deadline_runs_on_while_a_token_is_checked() {
    let mut client = Client::connected();
    client.asks(r#"{"type":"auth","token":"a.b.c"}"#);

    assert_eq!(
        client.wait(Duration::from_secs(10)),
        [closed(CloseCode::POLICY, "Not authenticated")]
    );
    assert_eq!(client.answer(Ok(admitted(identity()))), []);
}

#[test]
fn once_authenticated_the_deadline_is_over() {
    let mut client = Client::authenticated();

    assert_eq!(client.wait(Duration::from_secs(11)), []);
}

#[test]
fn any_command_before_authentication_closes_with_1008_not_authenticated() {
    for text in [
        r#"{"type":"room:join","roomId":"chat:a","id":1}"#,
        r#"{"type":"room:leave","roomId":"chat:a"}"#,
        r#"{"type":"chat:message","roomId":"chat:a","content":1,"id":1}"#,
        r#"{"type":"message:private","to":"bob","content":1}"#,
        r#"{"type":"typing:start","roomId":"chat:a"}"#,
        r#"{"type":"presence:get","roomId":"chat:a"}"#,
        r#"{"type":"history:get","roomId":"chat:a"}"#,
        r#"{"type":"event","event":"e"}"#,
        r#"{"type":"auth:refresh","token":"a.b.c"}"#,
    ] {
        let mut client = Client::connected();

        assert_eq!(
            client.says(text),
            [closed(CloseCode::POLICY, "Not authenticated")],
            "{text}"
        );
    }
}

#[test]
fn what_is_no_message_before_authentication_gets_its_error_and_may_be_followed_by_auth() {
    let mut client = Client::connected();

    let error = |code, message| sent(json!({"type": "error", "code": code, "message": message}));
    assert_eq!(client.says("hello"), [error("PARSE_ERROR", "Invalid JSON")]);
    assert_eq!(
        client.says("{}"),
        [error("INVALID_MESSAGE", "Message must have a type field")]
    );
    assert_eq!(
        client.says(r#"{"type":"dance"}"#),
        [error("UNKNOWN_TYPE", r#"Unknown message type "dance""#)]
    );
    client.asks(r#"{"type":"auth","token":"a.b.c"}"#);
}

#[test]
fn a_ping_before_authentication_is_answered_and_an_answer_ignored() {
    let mut client = Client::connected();

    assert_eq!(
        client.says(r#"{"type":"ping"}"#),
        [sent(json!({"type": "pong"}))]
    );
    assert_eq!(client.says(r#"{"ack":3,"data":true}"#), []);
}

#[test]
fn a_second_auth_is_refused_and_nothing_else_happens() {
    let mut client = Client::authenticated();

    let message = "already authenticated: a new token goes into auth:refresh";
    assert_eq!(
        client.says(r#"{"type":"auth","token":"other","id":4}"#),
        [sent(
            json!({"ack": 4, "error": {"code": "INVALID_MESSAGE", "message": message}})
        )]
    );
    assert!(client.session.is_open());
}

#[test]
fn a_new_token_for_the_same_user_takes_the_place_of_the_old_one() {
    let mut client = Client::connected().authenticate(ending_in(100));

    let request = client.asks(r#"{"type":"auth:refresh","token":"d.e.f","id":2}"#);
    assert_eq!(request, Request::Refresh("d.e.f".into()));
    let seen = client.answer(Ok(Outcome::Refreshed(Box::new(ending_in(3600)))));

    let reply = json!({"ack": 2, "data": {"status": "ok", "exp": 1_003_600}});
    assert_eq!(seen, [sent(reply)]);
    assert_eq!(client.wait(Duration::from_secs(39)), [Seen::Pinged]);
    client.drive(|session, _| session.handle_frame());
    assert_eq!(client.wait(Duration::from_secs(2)), [], "not expiring");
}

#[test]
fn a_new_token_may_grant_less() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"auth:refresh","token":"d.e.f"}"#);
    let mut less = identity();
    less.grants = Default::default();
    client.answer(Ok(Outcome::Refreshed(Box::new(less))));

    let seen = client.says(r#"{"type":"room:join","roomId":"chat:a"}"#);

    let message = r#"room "chat:a" is not granted: the right "join" is missing"#;
    assert_eq!(
        seen,
        [sent(
            json!({"type": "error", "code": "FORBIDDEN", "message": message})
        )]
    );
}

#[test]
fn a_refused_refresh_leaves_the_old_token_in_force() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"auth:refresh","token":"of bob","id":2}"#);

    let seen = client.answer(Err(Refusal::new(ErrorCode::Forbidden, "another user")));

    let error = json!({"code": "FORBIDDEN", "message": "another user"});
    assert_eq!(seen, [sent(json!({"ack": 2, "error": error}))]);
    client.asks(r#"{"type":"room:join","roomId":"chat:a"}"#);
}
