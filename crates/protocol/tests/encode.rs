//! What a client receives (`docs/protocol.md`, "Messages of the server"): each message with its exact text.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;
use std::time::Duration;

use nuncio_model::{
    Body, CallId, Compression, ConnectionLimits, Epoch, ErrorCode, EventName, Identity, Json,
    MessageId, Position, PositionReason, Publication, Push, RateLimits, Refusal, ResumeToken,
    RoomName, SocketId, Status, Typing, UserId,
};
use nuncio_protocol::encode::{self, Recovery, Welcome};

#[test]
fn welcome_tells_the_id_the_heartbeat_and_the_limits() {
    let (connection, rate) = (ConnectionLimits::default(), RateLimits::default());
    let welcome = Welcome {
        id: SOCKET,
        connection: &connection,
        rate: &rate,
        history_max: 100,
        server: "nuncio/0.1.0",
        resume: None,
    };

    let expected = concat!(
        r#"{"type":"welcome","id":"AAAAAAAAAAAAAAAAAAAA","protocol":1,"#,
        r#""heartbeat":{"interval":30000,"timeout":20000},"#,
        r#""limits":{"messageBytes":65536,"rooms":100,"ratePerSecond":10,"burst":20,"historyMax":100},"#,
        r#""server":"nuncio/0.1.0"}"#
    );
    assert_eq!(encode::welcome(&welcome), expected);
}

#[test]
fn welcome_of_an_authenticated_connection_has_the_resume_token() {
    let (connection, rate) = (ConnectionLimits::default(), RateLimits::default());
    let welcome = Welcome {
        id: SOCKET,
        connection: &connection,
        rate: &rate,
        history_max: 0,
        server: "s",
        resume: Some(&TOKEN),
    };

    let text = encode::welcome(&welcome);

    let expected = format!(r#","server":"s","resume":"{}"}}"#, TOKEN.reveal());
    assert!(text.ends_with(expected.as_bytes()), "{text:?}");
}

#[test]
fn auth_ok_tells_the_user() {
    let identity = identity(Some(r#"{"name":"Ada"}"#), Some(1_700_000_000));

    let expected = format!(
        r#"{{"type":"auth_ok","user":{{"sub":"u1","info":{{"name":"Ada"}}}},"exp":1700000000,"resume":"{}"}}"#,
        TOKEN.reveal()
    );
    assert_eq!(encode::auth_ok(&identity, &TOKEN), expected);
}

#[test]
fn auth_ok_leaves_out_what_the_token_does_not_say() {
    let expected = format!(
        r#"{{"type":"auth_ok","user":{{"sub":"u1"}},"resume":"{}"}}"#,
        TOKEN.reveal()
    );
    assert_eq!(encode::auth_ok(&identity(None, None), &TOKEN), expected);
}

#[test]
fn auth_expiring() {
    let text = encode::push(&Push::Expiring { exp: 1_700_000_000 });

    assert_eq!(text, r#"{"type":"auth:expiring","exp":1700000000}"#);
}

#[test]
fn resumed_tells_where_each_room_stands() {
    let rooms = [("a", 7, true), ("b", 0, false)].map(|(name, seq, recovered)| Recovery {
        room: room(name),
        position: position(seq),
        recovered,
    });

    let expected = format!(
        concat!(
            r#"{{"type":"resumed","id":"{}","resume":"{}","rooms":["#,
            r#"{{"roomId":"a","epoch":"AAAAAAAAAAE","seq":7,"recovered":true}},"#,
            r#"{{"roomId":"b","epoch":"AAAAAAAAAAE","seq":0,"recovered":false}}]}}"#
        ),
        TOKEN.socket,
        TOKEN.reveal()
    );
    assert_eq!(encode::resumed(&TOKEN, &rooms), expected);
}

#[test]
fn resumed_without_rooms() {
    let expected = format!(
        r#"{{"type":"resumed","id":"{}","resume":"{}","rooms":[]}}"#,
        TOKEN.socket,
        TOKEN.reveal()
    );
    assert_eq!(encode::resumed(&TOKEN, &[]), expected);
}

#[test]
fn chat_message() {
    let message = chat(42, Some("u1"), "\"Hello\"");

    let expected = concat!(
        r#"{"type":"chat:message","id":"00000000000000000000000009","seq":42,"roomId":"abc","#,
        r#""userId":"u1","content":"Hello","ts":1700000000123}"#
    );
    assert_eq!(encode::publication(&message), expected);
}

#[test]
fn chat_message_that_begins_an_epoch_tells_it() {
    let message = chat(1, Some("u1"), "null");

    let expected = concat!(
        r#"{"type":"chat:message","id":"00000000000000000000000009","seq":1,"epoch":"AAAAAAAAAAE","#,
        r#""roomId":"abc","userId":"u1","content":null,"ts":1700000000123}"#
    );
    assert_eq!(encode::publication(&message), expected);
}

#[test]
fn chat_message_of_the_backend_has_no_user() {
    let message = chat(2, None, r#"{"a": 1}"#);

    let expected = concat!(
        r#"{"type":"chat:message","id":"00000000000000000000000009","seq":2,"roomId":"abc","#,
        r#""content":{"a": 1},"ts":1700000000123}"#
    );
    assert_eq!(encode::publication(&message), expected);
}

#[test]
fn event_of_a_room() {
    let message = event(42, Some("u1"));

    let expected = concat!(
        r#"{"type":"event","event":"draw","data":[1,2],"roomId":"abc","seq":42,"#,
        r#""id":"00000000000000000000000009","ts":1700000000123,"userId":"u1"}"#
    );
    assert_eq!(encode::publication(&message), expected);
}

#[test]
fn event_of_the_backend_that_begins_an_epoch() {
    let message = event(1, None);

    let expected = concat!(
        r#"{"type":"event","event":"draw","data":[1,2],"roomId":"abc","seq":1,"#,
        r#""epoch":"AAAAAAAAAAE","id":"00000000000000000000000009","ts":1700000000123}"#
    );
    assert_eq!(encode::publication(&message), expected);
}

#[test]
fn emitted_event() {
    let mut push = Push::Event {
        name: EventName::parse("news").unwrap(),
        data: json("true"),
        attachments: Box::default(),
        room: None,
        author: None,
        ts: 5,
        compression: Compression::AsAgreed,
    };
    assert_eq!(
        encode::push(&push),
        r#"{"type":"event","event":"news","data":true,"ts":5}"#
    );

    if let Push::Event {
        room: to, author, ..
    } = &mut push
    {
        (*to, *author) = (Some(room("abc")), Some(user("u1")));
    }
    assert_eq!(
        encode::push(&push),
        r#"{"type":"event","event":"news","data":true,"roomId":"abc","ts":5,"userId":"u1"}"#
    );
}

#[test]
fn private_message() {
    let push = Push::Private {
        from: Some(SOCKET),
        from_user: Some(user("u1")),
        content: json("\"psst\""),
        ts: 5,
    };

    let expected = r#"{"type":"message:private","from":"AAAAAAAAAAAAAAAAAAAA","fromUser":"u1","content":"psst","ts":5}"#;
    assert_eq!(encode::push(&push), expected);
}

#[test]
fn private_message_of_the_backend_has_no_sender() {
    let push = Push::Private {
        from: None,
        from_user: None,
        content: json("1"),
        ts: 5,
    };

    let expected = r#"{"type":"message:private","content":1,"ts":5}"#;
    assert_eq!(encode::push(&push), expected);
}

#[test]
fn user_joined_and_left() {
    let (room, user) = (room("abc"), user("u2"));

    let joined = encode::push(&Push::Joined {
        room: room.clone(),
        user: user.clone(),
    });
    let left = encode::push(&Push::Left { room, user });

    assert_eq!(
        joined,
        r#"{"type":"user:joined","roomId":"abc","userId":"u2"}"#
    );
    assert_eq!(left, r#"{"type":"user:left","roomId":"abc","userId":"u2"}"#);
}

#[test]
fn user_typing() {
    for (typing, word) in [(Typing::Started, "true"), (Typing::Stopped, "false")] {
        let (room, user) = (room("abc"), user("u2"));

        let text = encode::push(&Push::Typing { room, user, typing });

        let expected =
            format!(r#"{{"type":"user:typing","roomId":"abc","userId":"u2","typing":{word}}}"#);
        assert_eq!(text, expected);
    }
}

#[test]
fn presence_update() {
    for (status, word) in [(Status::Online, "online"), (Status::Offline, "offline")] {
        let user = user("u1");

        let text = encode::push(&Push::Presence { user, status });

        let expected = format!(r#"{{"type":"presence:update","userId":"u1","status":"{word}"}}"#);
        assert_eq!(text, expected);
    }
}

#[test]
fn presence_count() {
    let text = encode::push(&Push::PresenceCount {
        room: room("abc"),
        count: 201,
    });

    assert_eq!(
        text,
        r#"{"type":"presence:count","roomId":"abc","count":201}"#
    );
}

#[test]
fn room_position() {
    for (reason, word) in [
        (PositionReason::Gap, "gap"),
        (PositionReason::NewEpoch, "new epoch"),
        (PositionReason::Cleared, "cleared"),
        (PositionReason::Joined, "joined"),
    ] {
        let text = encode::push(&Push::Position {
            room: room("abc"),
            position: position(9),
            recovered: false,
            reason,
        });

        let expected = format!(
            r#"{{"type":"room:position","roomId":"abc","epoch":"AAAAAAAAAAE","seq":9,"recovered":false,"reason":"{word}"}}"#
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn room_removed() {
    let (room, code) = (room("abc"), ErrorCode::Forbidden);

    let text = encode::push(&Push::Removed { room, code });

    assert_eq!(
        text,
        r#"{"type":"room:removed","roomId":"abc","code":"FORBIDDEN"}"#
    );
}

#[test]
fn reconnect() {
    let text = encode::push(&Push::Reconnect {
        after: Duration::from_millis(1500),
        reason: "Server shutting down",
    });

    let expected = r#"{"type":"reconnect","after":1500,"reason":"Server shutting down"}"#;
    assert_eq!(text, expected);
}

#[test]
fn a_question_of_the_server() {
    let text = encode::ask(3, "confirm", &json(r#"{"sure":null}"#), 5);

    let expected = r#"{"type":"event","event":"confirm","data":{"sure":null},"ts":5,"ackId":3}"#;
    assert_eq!(text, expected);
}

#[test]
fn pong() {
    assert_eq!(encode::pong(), r#"{"type":"pong"}"#);
}

#[test]
fn error() {
    let refusal = Refusal::new(ErrorCode::ParseError, "Invalid JSON");

    let expected = r#"{"type":"error","code":"PARSE_ERROR","message":"Invalid JSON"}"#;
    assert_eq!(encode::error(&refusal), expected);
    assert_eq!(encode::refuse(None, &refusal), expected);
}

#[test]
fn error_of_the_rate_limit_tells_when_to_try_again() {
    let refusal = Refusal::rate_limited(Duration::from_millis(250));

    let expected = r#"{"type":"error","code":"RATE_LIMITED","message":"Rate limit exceeded","retryAfter":250}"#;
    assert_eq!(encode::error(&refusal), expected);
}

#[test]
fn error_with_data_of_a_hook() {
    let mut refusal = Refusal::new(ErrorCode::Forbidden, "no");
    refusal.data = Some(json(r#"{"because":[1]}"#));

    let expected = r#"{"type":"error","code":"FORBIDDEN","message":"no","data":{"because":[1]}}"#;
    assert_eq!(encode::error(&refusal), expected);
}

#[test]
fn every_error_code_stands_on_the_wire_as_it_is_documented() {
    let documented = [
        "PARSE_ERROR",
        "INVALID_MESSAGE",
        "UNKNOWN_TYPE",
        "NOT_AUTHENTICATED",
        "FORBIDDEN",
        "RATE_LIMITED",
        "ROOM_LIMIT",
        "TOO_LARGE",
        "NOT_FOUND",
        "UNAVAILABLE",
        "INTERNAL",
    ];
    for (code, word) in ErrorCode::ALL.into_iter().zip(documented) {
        let text = encode::error(&Refusal::new(code, "m"));

        let expected = format!(r#"{{"type":"error","code":"{word}","message":"m"}}"#);
        assert_eq!(text, expected);
    }
}

#[test]
fn refused_call() {
    let id = CallId::Number(7);
    let refusal = Refusal::rate_limited(Duration::from_secs(1));

    let expected = r#"{"ack":7,"error":{"code":"RATE_LIMITED","message":"Rate limit exceeded","retryAfter":1000}}"#;
    assert_eq!(encode::reply_error(&id, &refusal), expected);
    assert_eq!(encode::refuse(Some(&id), &refusal), expected);
}

/// A history's messages, and every text that is shared, are written into a buffer of exactly their size: what is larger would be moved.
#[test]
fn the_length_of_a_publication_is_known_before_it_is_written() {
    for seq in [1, 2, 9, 10, 99, 100, (1 << 53) - 1] {
        for ts in [0, 9, 10, u64::MAX] {
            for author in [None, Some("u\"1\\é")] {
                for mut message in [chat(seq, author, "[1]"), event(seq, author)] {
                    message.ts = ts;
                    message.room = room("a\"b\\\\c");

                    let text = Vec::from(encode::publication(&message));

                    assert_eq!(text.capacity(), text.len());
                    Json::parse(std::str::from_utf8(&text).unwrap()).unwrap();
                }
            }
        }
    }
}

const SOCKET: SocketId = SocketId::from_random([0; 15]);
const TOKEN: ResumeToken = ResumeToken {
    socket: SOCKET,
    secret: [7; 16],
};

fn chat(seq: u64, author: Option<&str>, content: &str) -> Publication {
    let content = json(content);
    publication(seq, author, Body::Chat { content })
}

fn event(seq: u64, author: Option<&str>) -> Publication {
    let body = Body::Event {
        name: EventName::parse("draw").unwrap(),
        data: json("[1,2]"),
        attachments: Box::default(),
    };
    publication(seq, author, body)
}

fn publication(seq: u64, author: Option<&str>, body: Body) -> Publication {
    Publication {
        id: MessageId::from_u128(9),
        namespace: nuncio_model::Namespace::default(),
        room: room("abc"),
        position: position(seq),
        ts: 1_700_000_000_123,
        author: author.map(user),
        body,
    }
}

fn identity(profile: Option<&str>, exp: Option<u64>) -> Identity {
    Identity {
        user: user("u1"),
        profile: profile.map(json),
        exp,
        iat: None,
        token_id: None,
        grants: Arc::default(),
        join: Vec::new(),
    }
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

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}
