//! The client's side: what it sends is what the server reads, and what the server writes is what it reads.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;
use std::time::Duration;

use nuncio_model::{
    Body, CallId, Command, ConnectionLimits, Epoch, ErrorCode, EventName, HistoryQuery,
    IdempotencyKey, Identity, JoinRequest, Joined, Json, Member, MessageId, Namespace, Position,
    PositionReason, PresencePage, Publication, PublishRequest, Published, Push, RateLimits,
    Refusal, Reply, ResumeToken, RoomName, SocketId, Status, Typing, UserId,
};
use nuncio_protocol::client::{
    JoinAnswer, Page, PresenceAnswer, PublishAnswer, RoomAnswer, ServerMessage, decode,
};
use nuncio_protocol::encode::{self, Recovery, Welcome};
use nuncio_protocol::{Incoming, JoinForm, client};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_a_client_sends_is_what_the_server_reads(message in incoming()) {
        let text = client::encode(&message);

        prop_assert_eq!(nuncio_protocol::decode(utf8(&text)).unwrap(), message);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _message = decode(&text);
    }

    #[test]
    fn any_message_of_a_room_is_read_as_it_was_published(publication in publication()) {
        let text = encode::publication(&publication);

        let epoch = (publication.position.seq == 1).then_some(publication.position.epoch);
        match (decode(utf8(&text)).unwrap(), publication.body) {
            (ServerMessage::Message(message), Body::Chat { content }) => {
                prop_assert_eq!((message.id, message.seq, message.ts), (publication.id, publication.position.seq, publication.ts));
                prop_assert_eq!((message.room, message.user, message.epoch), (publication.room, publication.author, epoch));
                prop_assert_eq!(message.content, content);
            }
            (ServerMessage::Event(event), Body::Event { name, data, .. }) => {
                prop_assert_eq!((event.id, event.seq, event.ts), (Some(publication.id), Some(publication.position.seq), publication.ts));
                prop_assert_eq!((event.room, event.user, event.epoch), (Some(publication.room), publication.author, epoch));
                prop_assert_eq!((event.name, event.data, event.ack_id), (name, data, None));
            }
            (other, body) => panic!("{body:?} was read as {other:?}"),
        }
    }
}

#[test]
fn welcome() {
    let (connection, rate) = (ConnectionLimits::default(), RateLimits::default());
    let text = encode::welcome(&Welcome {
        id: SOCKET,
        connection: &connection,
        rate: &rate,
        history_max: 100,
        server: "nuncio/0.1.0",
        resume: Some(&TOKEN),
    });

    let ServerMessage::Welcome(welcome) = decode(utf8(&text)).unwrap() else {
        panic!("not a welcome");
    };

    assert_eq!((welcome.id, welcome.protocol), (SOCKET, 1));
    assert_eq!(welcome.heartbeat.interval, Duration::from_secs(30));
    assert_eq!(welcome.heartbeat.timeout, Duration::from_secs(20));
    assert_eq!(
        (welcome.limits.message_bytes, welcome.limits.rooms),
        (65536, 100)
    );
    assert_eq!(
        (welcome.limits.rate_per_second, welcome.limits.burst),
        (10, 20)
    );
    assert_eq!(
        (welcome.limits.history_max, &*welcome.server),
        (100, "nuncio/0.1.0")
    );
    assert_eq!(welcome.resume.unwrap().reveal(), TOKEN.reveal());
}

#[test]
fn auth_ok() {
    let identity = Identity {
        user: user("u1"),
        profile: Some(json("{ \"a\":1}")),
        exp: Some(9),
        iat: None,
        token_id: None,
        grants: Arc::default(),
        join: Vec::new(),
    };

    let ServerMessage::AuthOk(ok) = decode(utf8(&encode::auth_ok(&identity, &TOKEN))).unwrap()
    else {
        panic!("not an auth_ok");
    };

    assert_eq!(
        (ok.user.sub, ok.user.info, ok.exp),
        (identity.user, identity.profile, Some(9))
    );
    assert_eq!(ok.resume.reveal(), TOKEN.reveal());
}

#[test]
fn resumed() {
    let rooms = [Recovery {
        room: room("a"),
        position: POSITION,
        recovered: false,
    }];

    let ServerMessage::Resumed { resume, rooms } =
        decode(utf8(&encode::resumed(&TOKEN, &rooms))).unwrap()
    else {
        panic!("not a resumed");
    };

    assert_eq!(resume.reveal(), TOKEN.reveal());
    assert_eq!(
        (&rooms[0].room, rooms[0].position(), rooms[0].recovered),
        (&room("a"), POSITION, false)
    );
}

#[test]
fn each_push() {
    let (a, u) = (room("a"), user("u"));
    let joined = Push::Joined {
        room: a.clone(),
        user: u.clone(),
    };
    assert_eq!(pushed(&joined), ServerMessage::Joined(a.clone(), u.clone()));

    let left = Push::Left {
        room: a.clone(),
        user: u.clone(),
    };
    assert_eq!(pushed(&left), ServerMessage::Left(a.clone(), u.clone()));

    for typing in [Typing::Started, Typing::Stopped] {
        let push = Push::Typing {
            room: a.clone(),
            user: u.clone(),
            typing,
        };
        assert_eq!(
            pushed(&push),
            ServerMessage::Typing(a.clone(), u.clone(), typing)
        );
    }
    for status in [Status::Online, Status::Offline] {
        let push = Push::Presence {
            user: u.clone(),
            status,
        };
        assert_eq!(pushed(&push), ServerMessage::Presence(u.clone(), status));
    }
    let count = Push::PresenceCount {
        room: a.clone(),
        count: 201,
    };
    assert_eq!(pushed(&count), ServerMessage::PresenceCount(a.clone(), 201));

    let removed = Push::Removed {
        room: a.clone(),
        code: ErrorCode::Forbidden,
    };
    assert_eq!(
        pushed(&removed),
        ServerMessage::Removed(a, "FORBIDDEN".into())
    );

    let reconnect = Push::Reconnect {
        after: Duration::from_millis(5),
        reason: "r",
    };
    assert_eq!(
        pushed(&reconnect),
        ServerMessage::Reconnect(Duration::from_millis(5), "r".into())
    );

    assert_eq!(
        pushed(&Push::Expiring { exp: 9 }),
        ServerMessage::Expiring(9)
    );
}

#[test]
fn room_position() {
    let push = Push::Position {
        room: room("a"),
        position: POSITION,
        recovered: true,
        reason: PositionReason::Gap,
    };

    let ServerMessage::Position { room: at, reason } = pushed(&push) else {
        panic!("not a position");
    };

    assert_eq!(
        (at.position(), at.recovered, &*reason),
        (POSITION, true, "gap")
    );
}

#[test]
fn private_message() {
    let push = Push::Private {
        from: Some(SOCKET),
        from_user: None,
        content: json("[1]"),
        ts: 5,
    };

    let ServerMessage::Private(private) = pushed(&push) else {
        panic!("not private");
    };

    assert_eq!(
        (private.from, private.from_user, private.ts),
        (Some(SOCKET), None, 5)
    );
    assert_eq!(private.content, json("[1]"));
}

#[test]
fn a_question_of_the_server() {
    let text = encode::ask(3, "sure", &json("null"), 5);

    let ServerMessage::Event(event) = decode(utf8(&text)).unwrap() else {
        panic!("not an event");
    };

    assert_eq!(
        (event.ack_id, event.data, event.seq),
        (Some(3), Json::null(), None)
    );
}

#[test]
fn pong_and_error() {
    assert_eq!(decode(utf8(&encode::pong())).unwrap(), ServerMessage::Pong);

    let mut refusal = Refusal::rate_limited(Duration::from_millis(250));
    refusal.data = Some(json("{}"));
    let ServerMessage::Error(failure) = decode(utf8(&encode::error(&refusal))).unwrap() else {
        panic!("not an error");
    };
    assert_eq!(failure.known_code(), Some(ErrorCode::RateLimited));
    assert_eq!(
        (failure.retry_after, &failure.data),
        (refusal.retry_after, &refusal.data)
    );
    assert_eq!(failure.to_string(), "RATE_LIMITED: Rate limit exceeded");
}

#[test]
fn a_newer_server_is_understood_as_far_as_it_goes() {
    let unknown = decode(r#"{"type":"room:renamed","roomId":"a"}"#).unwrap();
    assert_eq!(unknown, ServerMessage::Unknown("room:renamed".into()));

    let more = decode(r#"{"type":"auth:expiring","exp":9,"hint":[{}]}"#).unwrap();
    assert_eq!(more, ServerMessage::Expiring(9));

    let ServerMessage::Error(failure) = decode(r#"{"type":"error","code":"NEW"}"#).unwrap() else {
        panic!("not an error");
    };
    assert_eq!((failure.known_code(), &*failure.code), (None, "NEW"));
}

#[test]
fn what_is_no_message_is_unreadable() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"data":1}"#,
        r#"{"type":"welcome"}"#,
        r#"{"type":1}"#,
    ] {
        assert!(decode(text).is_err(), "{text}");
    }
}

#[test]
fn the_reply_to_a_publish() {
    let published = Published {
        id: MessageId::from_u128(9),
        position: POSITION,
        ts: 5,
    };

    let data = answered(&Reply::Published(published), JoinForm::One).unwrap();

    assert_eq!(PublishAnswer::parse(&data).unwrap().0, published);
}

#[test]
fn the_reply_to_a_join_of_either_form() {
    for form in [JoinForm::One, JoinForm::Many] {
        let reply = Reply::Joined(vec![Ok(joined("a"))]);

        let JoinAnswer(rooms) = JoinAnswer::parse(&answered(&reply, form).unwrap()).unwrap();

        let [RoomAnswer::Joined { room, members: 3 }] = rooms.as_slice() else {
            panic!("{rooms:?}");
        };
        assert_eq!((room.position(), room.recovered), (POSITION, true));
    }
}

#[test]
fn the_reply_to_a_join_with_a_refused_room() {
    let refusal = Refusal::new(ErrorCode::Forbidden, "no");
    let reply = Reply::Joined(vec![Err((room("a"), refusal)), Ok(joined("b"))]);

    let failure = answered(
        &Reply::Joined(vec![Err((room("a"), Refusal::invalid("no")))]),
        JoinForm::One,
    );
    let JoinAnswer(rooms) = JoinAnswer::parse(&answered(&reply, JoinForm::Many).unwrap()).unwrap();

    assert_eq!(
        failure.unwrap_err().known_code(),
        Some(ErrorCode::InvalidMessage)
    );
    let [RoomAnswer::Refused(a, failure), RoomAnswer::Joined { .. }] = rooms.as_slice() else {
        panic!("{rooms:?}");
    };
    assert_eq!(
        (a, failure.known_code()),
        (&room("a"), Some(ErrorCode::Forbidden))
    );
}

#[test]
fn the_reply_to_presence_get() {
    let member = Member {
        user: user("u1"),
        sessions: 2,
    };
    let page = PresencePage {
        count: 5,
        members: Some(vec![member]),
        next: Some(user("u1")),
    };

    let answer =
        PresenceAnswer::parse(&answered(&Reply::Presence(page), JoinForm::One).unwrap()).unwrap();

    assert_eq!((answer.count, answer.next), (5, Some(user("u1"))));
    assert_eq!(answer.users.unwrap()[0].sessions, 2);
}

#[test]
fn the_reply_to_history_get() {
    let reply = Reply::History {
        position: POSITION,
        publications: joined("a").replay,
    };

    let page = Page::parse(&answered(&reply, JoinForm::One).unwrap()).unwrap();

    assert_eq!(page.position, POSITION);
    let [ServerMessage::Message(message)] = page.messages.as_slice() else {
        panic!("{page:?}");
    };
    assert_eq!(message.seq, 7);
}

#[test]
fn a_reply_without_data_has_null() {
    let ServerMessage::Reply(reply) = decode(r#"{"ack":"x"}"#).unwrap() else {
        panic!("not a reply");
    };

    assert_eq!(reply.ack, CallId::Text("x".into()));
    assert_eq!(reply.outcome.unwrap(), Json::null());
}

#[test]
fn debug_output_shows_no_resume_token() {
    let shown = format!("{:?}", decode(utf8(&encode::resumed(&TOKEN, &[]))).unwrap());

    assert!(!shown.contains(&TOKEN.reveal()), "{shown}");
}

/// Each example of `docs/protocol.md` is JSON; what a client sends in it is accepted, and what it receives is read.
#[test]
fn the_examples_of_the_documentation_are_messages() {
    let mut seen = (0, 0);
    for block in include_str!("../../../docs/protocol.md")
        .split("```json\n")
        .skip(1)
    {
        let block = block.split("```").next().unwrap();
        for example in serde_json::Deserializer::from_str(block)
            .into_iter::<Box<serde_json::value::RawValue>>()
        {
            let example = example.unwrap();
            let sent = nuncio_protocol::decode(example.get());
            let received = decode(example.get());
            let known = !matches!(received, Err(_) | Ok(ServerMessage::Unknown(_)));
            assert!(sent.is_ok() || known, "{example}\n{sent:?}\n{received:?}");
            seen = (
                seen.0 + usize::from(sent.is_ok()),
                seen.1 + usize::from(known),
            );
        }
    }
    assert!(
        seen.0 >= 12 && seen.1 >= 15,
        "the examples were not found: {seen:?}"
    );
}

const SOCKET: SocketId = SocketId::from_random([3; 15]);
const TOKEN: ResumeToken = ResumeToken {
    socket: SOCKET,
    secret: [7; 16],
};
const POSITION: Position = Position {
    epoch: Epoch::from_random(1),
    seq: 7,
};

fn pushed(push: &Push) -> ServerMessage {
    decode(utf8(&encode::push(push))).unwrap()
}

fn answered(reply: &Reply, form: JoinForm) -> Result<Json, client::Failure> {
    let text = encode::reply(&CallId::Number(0), reply, form);
    match decode(utf8(&text)).unwrap() {
        ServerMessage::Reply(reply) => {
            assert_eq!(reply.ack, CallId::Number(0));
            reply.outcome
        }
        other => panic!("not a reply: {other:?}"),
    }
}

fn joined(name: &str) -> Joined {
    let content = Json::null();
    Joined {
        room: room(name),
        position: POSITION,
        recovered: true,
        members: 3,
        replay: vec![Arc::new(Publication {
            id: MessageId::from_u128(9),
            namespace: Namespace::default(),
            room: room(name),
            position: POSITION,
            ts: 5,
            author: None,
            body: Body::Chat { content },
        })],
        offset: None,
    }
}

fn incoming() -> impl Strategy<Value = Incoming> {
    let id = || prop::option::of(call_id());
    let seen = prop::collection::vec((a_room(), position()), 0..4);
    prop_oneof![
        (id(), command()).prop_map(|(id, command)| Incoming::Command {
            id,
            command,
            form: JoinForm::One
        }),
        (id(), prop::collection::vec(join(), 1..5)).prop_map(|(id, requests)| Incoming::Command {
            id,
            command: Command::Join(requests),
            form: JoinForm::Many,
        }),
        (id(), ".+").prop_map(|(id, token)| Incoming::Auth {
            id,
            token: token.into()
        }),
        (id(), ".+", seen).prop_map(|(id, resume, rooms)| Incoming::Resume {
            id,
            resume: resume.into(),
            rooms
        }),
        id().prop_map(|id| Incoming::Ping { id }),
        (safe_integer(), any_json()).prop_map(|(ack, data)| Incoming::Answer { ack, data }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let none = Box::default;
    prop_oneof![
        join().prop_map(|request| Command::Join(vec![request])),
        a_room().prop_map(Command::Leave),
        publish().prop_map(Command::Publish),
        (a_user(), any_json()).prop_map(|(to, content)| Command::Private {
            to: to.as_str().into(),
            content
        }),
        (
            a_room(),
            prop_oneof![Just(Typing::Started), Just(Typing::Stopped)]
        )
            .prop_map(|(room, typing)| Command::Typing { room, typing }),
        (a_room(), prop::option::of(a_user()), any::<u32>())
            .prop_map(|(room, after, limit)| Command::Presence { room, after, limit }),
        history().prop_map(Command::History),
        (an_event(), any_json()).prop_map(move |(event, data)| Command::Call {
            event,
            data,
            attachments: none()
        }),
        ".+".prop_map(|token| Command::Refresh {
            token: token.into()
        }),
    ]
}

fn join() -> impl Strategy<Value = JoinRequest> {
    let fields = (
        a_room(),
        prop::option::of(position()),
        prop::option::of(any::<u32>()),
    );
    fields.prop_map(|(room, since, history)| JoinRequest {
        room,
        since,
        history,
    })
}

fn publish() -> impl Strategy<Value = PublishRequest> {
    let key = "[^\\p{Cc}]{1,16}".prop_map(|key| IdempotencyKey::parse(&key).unwrap());
    (a_room(), body(), prop::option::of(key)).prop_map(|(room, body, idempotency_key)| {
        PublishRequest {
            room,
            body,
            idempotency_key,
        }
    })
}

fn history() -> impl Strategy<Value = HistoryQuery> {
    let edge = prop_oneof![
        Just((None, None)),
        safe_integer().prop_map(|seq| (Some(seq), None)),
        safe_integer().prop_map(|seq| (None, Some(seq))),
    ];
    (a_room(), edge, prop::option::of(any::<u32>())).prop_map(|(room, (before, after), limit)| {
        HistoryQuery {
            room,
            before,
            after,
            limit,
        }
    })
}

fn publication() -> impl Strategy<Value = Publication> {
    let seq = prop_oneof![Just(1), safe_integer()];
    let fields = (
        any::<u128>(),
        a_room(),
        position(),
        seq,
        any::<u64>(),
        prop::option::of(a_user()),
        body(),
    );
    fields.prop_map(|(id, room, at, seq, ts, author, body)| Publication {
        id: MessageId::from_u128(id),
        namespace: Namespace::default(),
        room,
        position: Position { seq, ..at },
        ts,
        author,
        body,
    })
}

fn body() -> impl Strategy<Value = Body> {
    let attachments = Box::default;
    prop_oneof![
        any_json().prop_map(|content| Body::Chat { content }),
        (an_event(), any_json()).prop_map(move |(name, data)| Body::Event {
            name,
            data,
            attachments: attachments()
        }),
    ]
}

fn call_id() -> impl Strategy<Value = CallId> {
    prop_oneof![
        safe_integer().prop_map(CallId::Number),
        ".{1,16}".prop_map(|text| CallId::Text(text.into())),
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    prop_oneof![
        any::<String>().prop_map(|text| Json::of(&text)),
        prop::collection::vec(any::<Option<i64>>(), 0..4).prop_map(|list| Json::of(&list)),
        Just(json(r#"{ "a" : [ {}, "\u00e9" ] , "a":1.50 }"#)),
    ]
}

fn position() -> impl Strategy<Value = Position> {
    (any::<u64>(), safe_integer()).prop_map(|(epoch, seq)| Position {
        epoch: Epoch::from_random(epoch),
        seq,
    })
}

fn safe_integer() -> impl Strategy<Value = u64> {
    0..1u64 << 53
}

fn a_room() -> impl Strategy<Value = RoomName> {
    NAME.prop_map(|name| room(&name))
}

fn a_user() -> impl Strategy<Value = UserId> {
    NAME.prop_map(|name| user(&name))
}

fn an_event() -> impl Strategy<Value = EventName> {
    NAME.prop_map(|name| EventName::parse(&name).unwrap())
}

/// Up to 60 characters, which are at most 240 bytes.
const NAME: &str = "[^\\p{Cc}]{1,60}";

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap()
}
