//! A Socket.IO conversation: packets in, packets and calls out.

#![expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_model::{
    Admitted, Body, CloseCode, Command, Compression, Content, Epoch, ErrorCode, EventName, Grants,
    Identity, Json, Missed, Namespace, Now, Offset, Opening, Outcome, Pattern, PublishRequest,
    Published, Push, RateLimits, Recovery, Refusal, Reply, Request, ResumeToken, Rights, RoomGrant,
    SocketId, TurnedAway, UserId, Vocabulary,
};
use nuncio_session::socketio::{Output, Session, push};
use nuncio_session::{Call, Settings};
use nuncio_socketio::server::{Config, DisconnectReason, UnexpectedAcks};
use nuncio_socketio::{Parser, Protocol};

#[test]
fn a_client_joins_by_the_token_of_its_auth() {
    let mut peer = Peer::new(RateLimits::default());

    peer.say(r#"0{"token":"a.b.c"}"#);

    let (call, request) = peer.call();
    let Request::Connect { auth, opening } = request else {
        panic!("{request:?}");
    };
    assert_eq!(auth.reveal(), r#"{"token":"a.b.c"}"#);
    assert_eq!(opening.token(), None);
    peer.complete(call, Ok(admitted()));
    assert_eq!(peer.sent(), [format!(r#"0{{"sid":"{}"}}"#, socket())]);
    assert!(peer.was_released());
}

#[test]
fn a_refused_client_is_told_why_and_leaves() {
    let mut peer = Peer::new(RateLimits::default());
    peer.say("0");
    let (call, _) = peer.call();

    peer.complete(
        call,
        Err(Refusal::new(ErrorCode::NotAuthenticated, "Invalid token")),
    );

    let data = r#"{"code":"NOT_AUTHENTICATED","message":"Invalid token"}"#;
    assert_eq!(
        peer.sent(),
        [format!(
            r#"4{{"message":"Authentication failed","data":{data}}}"#
        )]
    );
    assert_eq!(
        peer.left(),
        Some(DisconnectReason::ServerNamespaceDisconnect)
    );
}

#[test]
fn a_message_is_published_and_acknowledged() {
    let mut peer = Peer::joined();

    peer.say(r#"27["message:send",{"roomId":"lobby","content":{"text": "Hi"}}]"#);

    let (call, request) = peer.call();
    let Request::Command(Command::Publish(PublishRequest { room, body, .. })) = request else {
        panic!("{request:?}");
    };
    let content = Json::parse(r#"{"text": "Hi"}"#).unwrap();
    assert_eq!((&*room, body), ("lobby", Body::Chat { content }));
    peer.complete(call, Ok(Outcome::Reply(Reply::Published(published()))));
    let sent = peer.sent();
    assert!(
        sent[0].starts_with(r#"37[{"status":"ok","id":""#) && sent[0].contains(r#""seq":3"#),
        "{sent:?}"
    );
}

#[test]
fn a_room_id_alone_stands_for_its_object() {
    for text in [
        r#"2["room:leave","lobby"]"#,
        r#"2["room:leave",{"roomId":"lobby"}]"#,
    ] {
        let mut peer = Peer::joined();
        peer.say(text);
        let (_, request) = peer.call();
        assert!(
            matches!(&request, Request::Command(Command::Leave(room)) if &**room == "lobby"),
            "{request:?}"
        );
    }
}

#[test]
fn any_other_event_is_a_call_with_its_arguments() {
    for (event, data) in [
        (r#"["order"]"#, "[]"),
        (r#"["order",{"n": 1}]"#, r#"{"n": 1}"#),
        (r#"["order",[1]]"#, "[[1]]"),
        (r#"["order",1,"two"]"#, r#"[1,"two"]"#),
    ] {
        let mut peer = Peer::joined();
        peer.say(&format!("2{event}"));
        let (_, request) = peer.call();
        let Request::Command(Command::Call {
            event, data: got, ..
        }) = request
        else {
            panic!("{request:?}");
        };
        assert_eq!((&*event, got.as_str()), ("order", data));
    }
}

#[test]
fn an_event_for_a_room_keeps_its_binary_parts() {
    let mut peer = Peer::joined();

    peer.say(
        r#"51-8["event",{"roomId":"board","event":"draw","data":{"_placeholder":true,"num":0}}]"#,
    );
    peer.session
        .handle_binary(Bytes::from_static(&[1, 2]), peer.now, &mut peer.out);

    let (_, request) = peer.call();
    let Request::Command(Command::Publish(PublishRequest {
        body: Body::Event { attachments, .. },
        ..
    })) = request
    else {
        panic!("{request:?}");
    };
    assert_eq!(attachments[..], [Bytes::from_static(&[1, 2])]);
}

#[test]
fn a_chat_message_with_binary_parts_is_refused() {
    let mut peer = Peer::joined();

    peer.say(r#"51-8["message:send",{"roomId":"board","content":{"_placeholder":true,"num":0}}]"#);
    peer.session
        .handle_binary(Bytes::from_static(&[1]), peer.now, &mut peer.out);

    let sent = peer.sent();
    assert!(
        sent[0].starts_with(r#"38[{"status":"error","code":"INVALID_MESSAGE""#),
        "{sent:?}"
    );
}

#[test]
fn what_is_not_granted_is_refused_without_asking_the_server() {
    let mut peer = Peer::joined();

    peer.say(r#"25["room:join","secret"]"#);
    peer.say(r#"2["room:join","secret"]"#);

    assert!(peer.calls().is_empty());
    let sent = peer.sent();
    assert!(
        sent[0].starts_with(r#"35[{"status":"error","code":"FORBIDDEN""#),
        "{sent:?}"
    );
    assert!(
        sent[1].starts_with(r#"2["error",{"code":"FORBIDDEN""#),
        "{sent:?}"
    );
}

#[test]
fn a_client_that_ignores_the_rate_is_told_to_leave() {
    let rate = RateLimits {
        per_second: 1,
        burst: 1,
        control_factor: 1,
        refusals_max: 2,
    };
    let mut peer = Peer::new(rate);
    peer.enter();

    for _ in 0..4 {
        peer.say(r#"21["typing:start","lobby"]"#);
    }

    let sent = peer.sent();
    let refused = sent
        .iter()
        .filter(|text| text.contains(r#""code":"RATE_LIMITED""#));
    assert_eq!(refused.count(), 3, "{sent:?}");
    assert_eq!(sent.last().map(String::as_str), Some("1"), "DISCONNECT");
    assert!(peer.left().is_some());
    assert!(peer.was_closed());
}

#[test]
fn the_reply_of_a_join_goes_to_nobody_when_the_client_has_left_meanwhile() {
    let mut peer = Peer::joined();
    peer.say(r#"25["room:join","lobby"]"#);
    let (call, _) = peer.call();
    peer.session.pend(call);
    peer.say("1");
    assert_eq!(
        peer.left(),
        Some(DisconnectReason::ClientNamespaceDisconnect)
    );

    let joined = Ok(Outcome::Reply(Reply::Joined(Vec::new())));
    peer.session
        .complete_pending(2, joined, peer.now, &mut peer.out);

    assert!(peer.sent().is_empty());
    assert!(peer.was_released(), "its fan-out must not be held for ever");
}

#[test]
fn where_a_program_handles_the_events_they_all_go_to_it_as_they_are() {
    let mut peer = Peer::in_application();

    for (packet, event, data) in [
        (
            r#"21["message:send",{"a":1}]"#,
            "message:send",
            r#"{"a":1}"#,
        ),
        (r#"22["room:join","lobby"]"#, "room:join", r#""lobby""#),
        (r#"23["list",[1,2]]"#, "list", "[[1,2]]"),
        (r#"24["two",1,[2]]"#, "two", "[1,[2]]"),
        (r#"25["none"]"#, "none", "[]"),
    ] {
        peer.say(packet);
        let (call, request) = peer.call();
        let Request::Command(Command::Call {
            event: name,
            data: found,
            ..
        }) = request
        else {
            panic!("{request:?}");
        };
        assert_eq!((name.as_str(), found.as_str()), (event, data));
        peer.complete(call, Ok(Outcome::Silent));
        assert!(peer.sent().is_empty(), "nobody answered {packet}");
    }
}

#[test]
fn the_answer_to_a_question_of_a_program_is_handed_on_and_others_are_ignored() {
    let mut peer = Peer::in_application();
    peer.say("37[true]");
    let (_, request) = peer.call();
    let Request::Answer { ack, data, .. } = request else {
        panic!("{request:?}");
    };
    assert_eq!((ack, data.as_str()), (7, "[true]"));

    let mut peer = Peer::joined();
    peer.say("37[true]");
    assert!(peer.calls().is_empty());
}

#[test]
fn where_a_program_handles_the_events_a_token_ends_without_words() {
    let mut peer = Peer::in_application();

    peer.pass(Duration::from_secs(3540));
    assert!(peer.sent().is_empty());
    peer.pass(Duration::from_secs(60));

    assert_eq!(peer.sent(), ["1"]);
}

#[test]
fn a_program_turns_a_client_away_in_its_own_words() {
    let mut peer = Peer::new(RateLimits::default());
    peer.say("0{}");
    let (call, _) = peer.call();

    let away = TurnedAway {
        code: ErrorCode::Forbidden,
        message: "not today".into(),
        data: Some(Json::parse(r#"{"try":"tomorrow"}"#).unwrap()),
    };
    peer.complete(call, Ok(Outcome::TurnedAway(Box::new(away))));

    let refused = r#"4{"message":"not today","data":{"try":"tomorrow"}}"#;
    assert_eq!(peer.sent(), [refused]);
    assert!(!peer.was_released(), "nothing was held");
}

#[test]
fn a_program_emits_under_any_name_but_those_of_the_life_cycle() {
    for (name, sent) in [
        ("message:new", "message:new"),
        ("disconnect", "event:disconnect"),
    ] {
        let event = Push::Event {
            name: EventName::parse(name).unwrap(),
            data: Json::null(),
            attachments: Box::default(),
            room: None,
            author: None,
            ts: 0,
            compression: Compression::AsAgreed,
        };
        let text = push(Parser::Default, "/", &event, None)
            .text()
            .unwrap()
            .to_owned();
        assert_eq!(text, format!(r#"2["{sent}",null]"#));
    }
}

#[test]
fn an_event_cannot_pass_for_a_message_of_the_server() {
    for name in ["message:new", "error", "disconnect", "user:joined"] {
        let event = Push::Event {
            name: EventName::parse(name).unwrap(),
            data: Json::parse(r#"{"userId":"admin"}"#).unwrap(),
            attachments: Box::default(),
            room: None,
            author: Some(UserId::parse("mallory").unwrap()),
            ts: 0,
            compression: Compression::AsAgreed,
        };
        let text = push(Parser::Default, "/", &event, None)
            .text()
            .unwrap()
            .to_owned();
        assert_eq!(text, format!(r#"2["event:{name}",{{"userId":"admin"}}]"#));
    }
}

#[test]
fn a_client_that_has_its_session_back_gets_what_it_missed_with_the_place_of_each() {
    let mut peer = Peer::new(RateLimits::default());
    peer.say(r#"0{"pid":"p","offset":"o"}"#);
    let (call, _) = peer.call();
    let offset = |ordinal| Offset {
        epoch: Epoch::from_random(1),
        ordinal,
    };
    let event = |data: &str, ordinal| Missed {
        offset: offset(ordinal),
        content: Content::Push(Arc::new(Push::Event {
            name: EventName::parse("news").unwrap(),
            data: Json::parse(data).unwrap(),
            attachments: Box::default(),
            room: None,
            author: None,
            ts: 0,
            compression: Compression::AsAgreed,
        })),
    };
    let Outcome::Admitted(mut admitted) = admitted() else {
        panic!("a client that is let in");
    };
    let pid = admitted.resume.reveal();
    admitted.recovery = Some(Box::new(Recovery::Recovered {
        data: None,
        missed: vec![event(r#""text""#, 4), event("[]", 5), event("[1,[2]]", 7)],
    }));

    peer.complete(call, Ok(Outcome::Admitted(admitted)));

    let [four, five, seven] = [4, 5, 7].map(offset);
    assert_eq!(
        peer.sent(),
        [
            format!(r#"0{{"sid":"{}","pid":"{pid}"}}"#, socket()),
            format!(r#"2["news","text","{four}"]"#),
            format!(r#"2["news","{five}"]"#),
            format!(r#"2["news",1,[2],"{seven}"]"#),
        ]
    );
    assert!(peer.was_released());
}

#[test]
fn a_shutdown_tells_nobody_to_leave() {
    let mut peer = Peer::joined();

    peer.session.handle_drain(peer.now, &mut peer.out);

    assert!(peer.sent().is_empty());
    assert_eq!(peer.left(), Some(DisconnectReason::ServerShuttingDown));
    assert!(peer.was_closed());
}

#[test]
fn a_token_that_ends_is_announced_and_then_the_client_leaves() {
    let mut peer = Peer::joined();

    peer.pass(Duration::from_secs(3540));
    assert_eq!(peer.sent(), [r#"2["auth:expiring",{"exp":1003600}]"#]);
    peer.pass(Duration::from_secs(60));

    let sent = peer.sent();
    assert!(sent[0].contains("Token expired"), "{sent:?}");
    assert_eq!(sent[1], "1");
}

/// A session, and what it has said since it was last asked.
#[test]
fn a_namespace_that_the_server_ends_is_left_and_others_stay() {
    let mut peer = Peer::joined();
    peer.say("0/chat,");
    let (call, _) = peer.call();
    peer.complete(call, Ok(admitted()));
    peer.out.clear();

    peer.disconnect("/chat", 4100);

    assert_eq!(peer.sent(), ["1/chat,"]);
    assert_eq!(
        peer.left(),
        Some(DisconnectReason::ServerNamespaceDisconnect)
    );
    assert!(!peer.was_closed());
    peer.say(r#"2["room:leave","lobby"]"#);
    peer.call();
}

#[test]
fn a_code_after_which_clients_come_back_ends_the_connection_without_a_word() {
    let mut peer = Peer::joined();

    peer.disconnect("/", 1012);

    assert_eq!(peer.sent(), [""; 0]);
    assert!(peer.was_closed());
}

#[test]
fn grants_of_one_namespace_change_for_it_alone() {
    let mut peer = Peer::joined();
    let none = Arc::new(Grants::default());

    let elsewhere = Namespace::parse("/chat").unwrap();
    peer.session.handle_grants(&elsewhere, &none);
    peer.say(r#"21["typing:start","lobby"]"#);
    peer.call();
    peer.session.handle_grants(&Namespace::default(), &none);
    peer.say(r#"22["typing:start","lobby"]"#);

    assert!(peer.calls().is_empty());
    assert!(peer.sent()[0].contains("FORBIDDEN"));
}

struct Peer {
    session: Session,
    out: Vec<Output>,
    now: Now,
}

impl Peer {
    fn new(rate: RateLimits) -> Self {
        let settings = Settings {
            rate,
            ..Settings::default()
        };
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_000_000_000,
        };
        let opening = Opening::token_only(None);
        let mut config = Config::default();
        config.unexpected_acks = UnexpectedAcks::Told;
        let session = Session::new(
            Arc::new(settings),
            Arc::new(config),
            Protocol::V5,
            opening,
            now,
        );
        Self {
            session,
            out: Vec::new(),
            now,
        }
    }

    fn joined() -> Self {
        let mut peer = Self::new(RateLimits::default());
        peer.enter();
        peer
    }

    /// In a namespace whose events a program handles.
    fn in_application() -> Self {
        let mut peer = Self::new(RateLimits::default());
        peer.say("0");
        let (call, _) = peer.call();
        let Outcome::Admitted(mut admitted) = admitted() else {
            unreachable!("it admits");
        };
        admitted.vocabulary = Vocabulary::Application;
        peer.complete(call, Ok(Outcome::Admitted(admitted)));
        peer.out.clear();
        peer
    }

    fn enter(&mut self) {
        self.say("0");
        let (call, _) = self.call();
        self.complete(call, Ok(admitted()));
        self.out.clear();
    }

    fn say(&mut self, text: &str) {
        let text = Bytes::copy_from_slice(text.as_bytes());
        self.session.handle_text(text, self.now, &mut self.out);
    }

    fn disconnect(&mut self, namespace: &str, code: u16) {
        let namespace = Namespace::parse(namespace).expect("a namespace");
        let reason = "for a test".into();
        self.session.handle_disconnect(
            &namespace,
            CloseCode(code),
            reason,
            self.now,
            &mut self.out,
        );
    }

    fn pass(&mut self, pause: Duration) {
        self.now = self.now.after(pause);
        self.session.handle_timeout(self.now, &mut self.out);
    }

    fn complete(&mut self, call: Call, result: Result<Outcome, Refusal>) {
        self.session.complete(call, result, self.now, &mut self.out);
    }

    fn calls(&mut self) -> Vec<(Call, Request)> {
        let calls = self
            .out
            .extract_if(.., |output| matches!(output, Output::Call { .. }));
        calls
            .map(|output| match output {
                Output::Call { call, request, .. } => (call, request),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn call(&mut self) -> (Call, Request) {
        self.calls().pop().expect("the session asks something")
    }

    fn sent(&mut self) -> Vec<String> {
        let sent = self
            .out
            .extract_if(.., |output| matches!(output, Output::Send(_)));
        sent.filter_map(|output| match output {
            Output::Send(encoded) => encoded.text().map(str::to_owned),
            _ => None,
        })
        .collect()
    }

    fn left(&self) -> Option<DisconnectReason> {
        self.out.iter().find_map(|output| match output {
            Output::Leave { reason, .. } => Some(*reason),
            _ => None,
        })
    }

    fn was_released(&self) -> bool {
        self.out
            .iter()
            .any(|output| matches!(output, Output::Release))
    }

    fn was_closed(&self) -> bool {
        self.out
            .iter()
            .any(|output| matches!(output, Output::Close { .. }))
    }
}

fn socket() -> SocketId {
    SocketId::from_random([7; 15])
}

fn admitted() -> Outcome {
    let grants = Grants {
        namespaces: Vec::new(),
        rooms: ["lobby", "board"]
            .map(|room| RoomGrant {
                rooms: Pattern::new(room),
                allow: Rights::ALL,
            })
            .into(),
        private: Vec::new(),
    };
    Outcome::Admitted(Box::new(Admitted {
        identity: Identity {
            user: UserId::parse("ann").expect("a user id"),
            profile: None,
            exp: Some(1_000_000 + 3600),
            iat: None,
            token_id: None,
            grants: Arc::new(grants),
            join: Vec::new(),
        },
        resume: ResumeToken {
            socket: socket(),
            secret: [0; 16],
        },
        joined: Vec::new(),
        recovery: None,
        vocabulary: Vocabulary::BuiltIn,
    }))
}

fn published() -> Published {
    Published {
        id: nuncio_model::MessageId::new(1, 2),
        position: nuncio_model::Position {
            epoch: Epoch::from_random(1),
            seq: 3,
        },
        ts: 5,
    }
}
