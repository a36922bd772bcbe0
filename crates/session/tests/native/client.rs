//! A client, and the server behind its session, both played by the test.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nuncio_model::{
    Admitted, Body, CloseCode, Epoch, Grants, Identity, Joined, Json, MessageId, Namespace, Now,
    Outcome, Pattern, Position, Publication, Refusal, Reply, Request, ResumeToken, Resumed, Right,
    RoomGrant, RoomName, SocketId, UserId, Vocabulary,
};
use nuncio_session::{Call, Output, Session, Settings};
use serde_json::Value;

/// A session with everything that it wants done noted down.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) now: Now,
    /// Calls without an outcome, the oldest first.
    pub(crate) calls: Vec<Call>,
    /// What they ask for.
    pub(crate) requests: Vec<Request>,
}

/// What is seen of an [`Output`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Sent(Value),
    Pinged,
    /// A call; see [`Client::requests`].
    Asked,
    Released,
    Closed {
        last: Option<Value>,
        code: u16,
        reason: String,
    },
    Terminated,
}

impl Client {
    /// A client that has just connected and was greeted.
    pub(crate) fn connected() -> Self {
        Self::of(Settings::default())
    }

    pub(crate) fn of(settings: Settings) -> Self {
        let now = start();
        Self {
            session: Session::new(Arc::new(settings), now, 255),
            now,
            calls: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// A client that may do everything in rooms that begin with `chat:`, and join `look:` ones.
    pub(crate) fn authenticated() -> Self {
        Self::connected().authenticate(identity())
    }

    pub(crate) fn authenticate(mut self, identity: Identity) -> Self {
        self.says(r#"{"type":"auth","token":"secret-jwt"}"#);
        let seen = self.answer(Ok(admitted(identity)));
        assert!(self.session.is_open(), "{seen:?}");
        self
    }

    pub(crate) fn says(&mut self, text: &str) -> Vec<Seen> {
        let now = self.now;
        self.drive(|session, out| session.handle_message(text, now, out))
    }

    /// Says something that asks the server for something, and gives the request.
    pub(crate) fn asks(&mut self, text: &str) -> Request {
        assert_eq!(self.says(text), [Seen::Asked]);
        self.requests.last().unwrap().clone()
    }

    /// Gives the outcome of the oldest call.
    pub(crate) fn answer(&mut self, result: Result<Outcome, Refusal>) -> Vec<Seen> {
        let (call, now) = (self.calls.remove(0), self.now);
        self.requests.remove(0);
        self.drive(|session, out| session.complete(call, result, now, out))
    }

    pub(crate) fn reply(&mut self, reply: Reply) -> Vec<Seen> {
        self.answer(Ok(Outcome::Reply(reply)))
    }

    /// Time passes, and the session is told once.
    pub(crate) fn wait(&mut self, pause: Duration) -> Vec<Seen> {
        self.now = self.now.after(pause);
        let now = self.now;
        self.drive(|session, out| session.handle_timeout(now, out))
    }

    pub(crate) fn drive(
        &mut self,
        input: impl FnOnce(&mut Session, &mut Vec<Output>),
    ) -> Vec<Seen> {
        let mut out = Vec::new();
        input(&mut self.session, &mut out);
        out.into_iter().map(|output| self.see(output)).collect()
    }

    fn see(&mut self, output: Output) -> Seen {
        match output {
            Output::Send(text) => Seen::Sent(serde_json::from_slice(&text).unwrap()),
            Output::Refuse(code, text) => {
                let value: Value = serde_json::from_slice(&text).unwrap();
                let error = value.get("error").unwrap_or(&value);
                assert_eq!(error["code"], code.as_str());
                Seen::Sent(value)
            }
            Output::Ping => Seen::Pinged,
            Output::Call(call, request) => {
                self.calls.push(call);
                self.requests.push(request);
                Seen::Asked
            }
            Output::Release => Seen::Released,
            Output::Close { last, code, reason } => Seen::Closed {
                last: last.map(|text| serde_json::from_slice(&text).unwrap()),
                code: code.0,
                reason: reason.into_owned(),
            },
            Output::Terminate => Seen::Terminated,
        }
    }
}

pub(crate) fn sent(value: Value) -> Seen {
    Seen::Sent(value)
}

pub(crate) fn closed(code: CloseCode, reason: &str) -> Seen {
    Seen::Closed {
        last: None,
        code: code.0,
        reason: reason.into(),
    }
}

pub(crate) fn identity() -> Identity {
    let grant = |rooms, rights: &[Right]| RoomGrant {
        rooms: Pattern::new(rooms),
        allow: rights.to_vec().into(),
    };
    let all = [
        Right::Join,
        Right::Publish,
        Right::Presence,
        Right::History,
        Right::Typing,
    ];
    Identity {
        user: UserId::parse("ann").unwrap(),
        profile: None,
        exp: None,
        iat: None,
        token_id: None,
        grants: Arc::new(Grants {
            namespaces: vec![Namespace::default()],
            rooms: vec![grant("chat:*", &all), grant("look:*", &[Right::Join])],
            private: vec![Pattern::new("bob")],
        }),
        join: Vec::new(),
    }
}

/// Its token ends so many seconds after [`start`].
pub(crate) fn ending_in(seconds: u64) -> Identity {
    Identity {
        exp: Some(start().unix_s() + seconds),
        ..identity()
    }
}

pub(crate) fn admitted(identity: Identity) -> Outcome {
    Outcome::Admitted(Box::new(Admitted {
        identity,
        resume: token(1),
        joined: Vec::new(),
        recovery: None,
        vocabulary: Vocabulary::BuiltIn,
    }))
}

pub(crate) fn resumed(rooms: Vec<Result<Joined, (RoomName, Refusal)>>) -> Outcome {
    Outcome::Resumed(Box::new(Resumed {
        id: socket(),
        identity: identity(),
        resume: token(2),
        rooms,
    }))
}

pub(crate) fn socket() -> SocketId {
    SocketId::from_random([7; 15])
}

pub(crate) fn token(secret: u8) -> ResumeToken {
    ResumeToken {
        socket: socket(),
        secret: [secret; 16],
    }
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub(crate) fn position(seq: u64) -> Position {
    Position {
        epoch: Epoch::from_random(1),
        seq,
    }
}

/// A room at `seq`, after the replay of the publications before it.
pub(crate) fn joined(name: &str, seq: u64, replayed: u64) -> Joined {
    let replay = (seq - replayed + 1..=seq).map(|seq| Arc::new(publication(name, seq)));
    Joined {
        room: room(name),
        position: position(seq),
        recovered: true,
        members: 3,
        replay: replay.collect(),
        offset: None,
    }
}

pub(crate) fn publication(name: &str, seq: u64) -> Publication {
    Publication {
        id: MessageId::from_u128(u128::from(seq)),
        namespace: Namespace::default(),
        room: room(name),
        position: position(seq),
        ts: 5,
        author: None,
        body: Body::Chat {
            content: Json::of(&seq),
        },
    }
}

/// [`publication`] as it is delivered.
pub(crate) fn message(name: &str, seq: u64) -> Seen {
    assert!(seq > 1, "the first names its epoch too");
    sent(serde_json::json!({
        "type": "chat:message", "id": MessageId::from_u128(u128::from(seq)).to_string(),
        "seq": seq, "roomId": name, "content": seq, "ts": 5
    }))
}

/// The same instant for the whole run.
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]
pub(crate) fn start() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    Now {
        instant: *START.get_or_init(Instant::now),
        unix_ms: 1_000_000_000,
    }
}
