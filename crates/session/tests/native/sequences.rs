//! Whatever comes in whatever order: no panic, one reply to each call, nothing after the end, and time that goes on.

use std::collections::HashMap;
use std::time::Duration;

use nuncio_model::{CloseCode, ErrorCode, MessageId, Outcome, Published, Refusal, Reply, Request};
use nuncio_session::Session;
use proptest::prelude::*;

use crate::client::{Client, Seen, admitted, ending_in, identity, joined, position, resumed, room};

/// One thing that happens to a session. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Input {
    Says(usize),
    Frame,
    Binary,
    Wait(u64),
    /// Time passes until the session wants it.
    WaitForTimeout,
    Answer(Answer, usize),
    /// The oldest call waits.
    Pend,
    Regrant,
    Removed,
    End(usize),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Done,
    Refused,
    RateLimited,
}

/// Messages with `id: #`, which becomes another number each time.
const MESSAGES: [&str; 16] = [
    r#"{"type":"auth","token":"t","id":#}"#,
    r#"{"type":"auth","token":"t"}"#,
    r#"{"type":"resume","resume":"t","id":#}"#,
    r#"{"type":"auth:refresh","token":"t","id":#}"#,
    r#"{"type":"room:join","roomId":"chat:a","history":2,"id":#}"#,
    r#"{"type":"room:join","rooms":[{"roomId":"no"},{"roomId":"chat:a"}],"id":#}"#,
    r#"{"type":"room:join","roomId":"no","id":#}"#,
    r#"{"type":"room:leave","roomId":"chat:a","id":#}"#,
    r#"{"type":"chat:message","roomId":"chat:a","content":1,"id":#}"#,
    r#"{"type":"chat:message","roomId":"no","content":1,"id":#}"#,
    r#"{"type":"chat:message","roomId":"chat:a","content":1}"#,
    r#"{"type":"dance","id":#}"#,
    r#"{"type":"ping","id":#}"#,
    r#"{"ack":1}"#,
    "{}",
    "no JSON",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_session_keeps_its_promises(inputs in prop::collection::vec(input(), 1..150)) {
        let mut peer = Peer { client: Client::connected(), replies: HashMap::new(), pending: Vec::new(), ended: false };
        for input in inputs {
            peer.handle(input);
        }
        peer.answer_all();
    }
}

fn input() -> impl Strategy<Value = Input> {
    let answer = prop_oneof![
        4 => Just(Answer::Done),
        1 => Just(Answer::Refused),
        1 => Just(Answer::RateLimited)
    ];
    prop_oneof![
        40 => (0..MESSAGES.len()).prop_map(Input::Says),
        3 => Just(Input::Frame),
        2 => Just(Input::Binary),
        6 => (0..5_000_u64).prop_map(Input::Wait),
        2 => Just(Input::WaitForTimeout),
        30 => (answer, any::<prop::sample::Index>()).prop_map(|(answer, index)| Input::Answer(answer, index.index(1000))),
        15 => Just(Input::Pend),
        1 => Just(Input::Regrant),
        1 => Just(Input::Removed),
        1 => (0..40_usize).prop_map(Input::End),
    ]
}

/// A client and its server, with what was promised to the client.
struct Peer {
    client: Client,
    /// Replies that came, by the id of the call.
    replies: HashMap<u64, usize>,
    /// Calls that wait, by their number.
    pending: Vec<(u32, Request)>,
    ended: bool,
}

impl Peer {
    fn handle(&mut self, input: Input) {
        let now = self.client.now;
        let seen = match input {
            Input::Says(_) if self.client.session.is_saturated() => Vec::new(),
            Input::Says(index) => self.says(MESSAGES[index]),
            Input::Frame => self.client.drive(|session, _| session.handle_frame()),
            Input::Binary => self
                .client
                .drive(|session, out| session.handle_binary(3, now, out)),
            Input::Wait(ms) => self.client.wait(Duration::from_millis(ms)),
            Input::WaitForTimeout => return self.wait_for_timeout(),
            Input::Answer(answer, index) => self.answer(answer, index),
            Input::Pend => self.pend(),
            Input::Regrant => self
                .client
                .drive(|session, _| session.regrant(ending_in(90), now)),
            Input::Removed => self.client.drive(|session, out| {
                session.handle_removed(room("chat:a"), ErrorCode::Forbidden, out);
            }),
            Input::End(how) => self.client.drive(|session, out| match how {
                0 => session.handle_drain(Duration::ZERO, out),
                1 => session.handle_overflow(out),
                2 => session.handle_close(CloseCode::RESUMED_ELSEWHERE, "", out),
                _ => {}
            }),
        };
        self.check(seen);
    }

    fn says(&mut self, message: &str) -> Vec<Seen> {
        let id = self.replies.len() as u64;
        if message.contains('#') && !self.ended {
            self.replies.insert(id, 0);
        }
        self.client.says(&message.replace('#', &id.to_string()))
    }

    /// Each timeout that the session asks for must come to something: another time, or the end.
    fn wait_for_timeout(&mut self) {
        for _ in 0..4 {
            let Some(at) = self.client.session.poll_timeout() else {
                return;
            };
            let pause = at.saturating_duration_since(self.client.now.instant);
            let seen = self.client.wait(pause);
            let silent = seen.is_empty();
            self.check(seen);
            let next = self.client.session.poll_timeout();
            assert!(!silent || next != Some(at), "time stands still at {at:?}");
        }
    }

    fn pend(&mut self) -> Vec<Seen> {
        if !self.client.calls.is_empty() {
            let call = self.client.calls.remove(0);
            let request = self.client.requests.remove(0);
            // The session owns the call; the server knows its number.
            let number = call.number;
            self.client.session.pend(call);
            self.pending.push((number, request));
        }
        Vec::new()
    }

    fn answer(&mut self, answer: Answer, index: usize) -> Vec<Seen> {
        if !self.client.calls.is_empty() {
            let index = index % self.client.calls.len();
            let (call, request) = (
                self.client.calls.remove(index),
                self.client.requests.remove(index),
            );
            let (result, now) = (outcome(answer, &request), self.client.now);
            return self
                .client
                .drive(|session, out| session.complete(call, result, now, out));
        }
        if self.pending.is_empty() {
            return Vec::new();
        }
        let (number, request) = self.pending.remove(index % self.pending.len());
        let (result, now) = (outcome(answer, &request), self.client.now);
        self.client
            .drive(|session: &mut Session, out| session.complete_pending(number, result, now, out))
    }

    /// At the end every call has its reply, unless the connection is closed.
    fn answer_all(&mut self) {
        while !self.client.calls.is_empty() || !self.pending.is_empty() {
            let seen = self.answer(Answer::Done, 0);
            self.check(seen);
        }
        for (id, replies) in &self.replies {
            assert!(self.ended || *replies == 1, "{replies} replies to {id}");
        }
    }

    fn check(&mut self, seen: Vec<Seen>) {
        for seen in seen {
            assert!(!self.ended, "{seen:?} after the end");
            match seen {
                Seen::Sent(value) => {
                    if let Some(id) = value["ack"].as_u64() {
                        let replies = self.replies.get_mut(&id).unwrap();
                        *replies += 1;
                        assert_eq!(*replies, 1, "{value}");
                    }
                }
                Seen::Closed { .. } | Seen::Terminated => {
                    self.ended = true;
                    assert_eq!(self.client.session.poll_timeout(), None);
                }
                Seen::Asked | Seen::Released | Seen::Pinged => {}
            }
        }
    }
}

/// What the server says to a request.
fn outcome(answer: Answer, request: &Request) -> Result<Outcome, Refusal> {
    use nuncio_model::Command;
    match answer {
        Answer::Refused => return Err(Refusal::new(ErrorCode::NotFound, "no")),
        Answer::RateLimited => return Err(Refusal::rate_limited(Duration::from_millis(10))),
        Answer::Done => {}
    }
    Ok(match request {
        Request::Authenticate(_)
        | Request::Connect { .. }
        | Request::Enter(_)
        | Request::Return { .. } => admitted(identity()),
        Request::Watch(_) => unreachable!("feeds have no session"),
        Request::Resume { .. } => resumed(vec![Ok(joined("chat:a", 9, 1))]),
        Request::Refresh(_) | Request::Renew(_) => Outcome::Refreshed(Box::new(ending_in(70))),
        Request::Command(Command::Join(rooms)) => {
            let rooms = rooms.iter().map(|request| Ok(joined(&request.room, 9, 1)));
            Outcome::Reply(Reply::Joined(rooms.collect()))
        }
        Request::Command(Command::Publish(_)) => Outcome::Reply(Reply::Published(Published {
            id: MessageId::from_u128(1),
            position: position(10),
            ts: 1,
        })),
        Request::Command(_) => Outcome::Reply(Reply::Done),
        Request::Answer { .. } | Request::Proceed => Outcome::Silent,
    })
}
