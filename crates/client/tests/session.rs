//! The conversation, with virtual time and a server that is written out.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::time::{Duration, Instant};

use nuncio_client::{
    Action, Answer, BackoffConfig, CallError, EndReason, Event, Jitter, JoinFrom, Repeat, Session,
    SessionConfig, Ticket,
};
use nuncio_model::{Body, CloseCode, Command, Epoch, Json, Position, PublishRequest, RoomName};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_first_connection_asks_for_the_token_and_is_online_after_auth_ok() {
    let mut peer = Peer::new();

    peer.session.start();
    assert_eq!(peer.actions(), [Action::Connect]);
    peer.session.handle_opened(peer.now);
    assert_eq!(peer.actions(), [Action::AskToken]);
    peer.token("t1");
    assert_eq!(peer.sent(), [json!({"type": "auth", "token": "t1"})]);
    peer.welcome();
    peer.says(json!({"type": "auth_ok", "user": {"sub": "ann"}, "resume": "r1"}));

    assert!(peer.session.is_online());
    assert!(matches!(
        peer.told()[..],
        [Event::Online { resumed: false, .. }]
    ));
}

#[test]
fn a_lost_connection_is_resumed_with_the_last_position_of_each_room() {
    let mut peer = Peer::online();
    peer.join("lobby", 3);
    peer.message("lobby", 4);
    peer.told();

    peer.lose();
    peer.reconnect();

    let sent = peer.sent();
    assert_eq!(sent[0]["type"], "resume");
    assert_eq!(sent[0]["resume"], "r1");
    assert_eq!(
        sent[0]["rooms"],
        json!([{"roomId": "lobby", "epoch": epoch(), "seq": 4}])
    );
    peer.resumed("r2", &[("lobby", 6, true)]);
    peer.message("lobby", 5);
    peer.message("lobby", 6);
    assert_eq!(
        peer.sent(),
        [] as [Value; 0],
        "a resumed room is not joined again"
    );
    assert_eq!(seqs(&peer.told()), [5, 6]);
}

#[test]
fn a_gap_that_cannot_be_filled_is_told_and_the_room_goes_on_after_it() {
    let mut peer = Peer::online();
    peer.join("lobby", 3);
    peer.lose();
    peer.reconnect();
    peer.told();

    peer.resumed("r2", &[("lobby", 90, false)]);
    peer.message("lobby", 91);

    let told = peer.told();
    let seen = Some(Position {
        epoch: Epoch::from_random(7),
        seq: 3,
    });
    assert!(
        told.contains(&Event::Gap {
            room: room("lobby"),
            seen
        }),
        "{told:?}"
    );
    assert_eq!(seqs(&told), [91]);
}

#[test]
fn a_session_that_is_gone_is_begun_anew_and_its_rooms_are_joined_since_their_position() {
    let mut peer = Peer::online();
    peer.join("lobby", 3);
    peer.lose();
    peer.reconnect();
    let id = peer.sent()[0]["id"].clone();

    peer.says(json!({"ack": id, "error": {"code": "NOT_FOUND", "message": ""}}));
    assert!(peer.actions().contains(&Action::AskToken));
    peer.token("t2");
    assert_eq!(peer.sent()[0]["token"], "t2");
    peer.says(json!({"type": "auth_ok", "user": {"sub": "ann"}, "resume": "r2"}));

    let join = &peer.sent()[0];
    assert_eq!(
        join["rooms"],
        json!([{"roomId": "lobby", "since": {"epoch": epoch(), "seq": 3}}])
    );
}

#[test]
fn a_clean_close_of_the_server_s_session_is_not_resumed() {
    let mut peer = Peer::online();

    peer.closed(1001);
    peer.reconnect();

    assert!(peer.actions().contains(&Action::AskToken));
}

#[test]
fn each_message_is_told_once_though_it_comes_twice() {
    let mut peer = Peer::online();
    peer.join("lobby", 0);
    peer.told();

    for seq in [1, 2, 2, 1, 3] {
        peer.message("lobby", seq);
    }

    assert_eq!(seqs(&peer.told()), [1, 2, 3]);
}

#[test]
fn a_publication_without_a_reply_is_sent_again_with_the_same_key_and_answered_once() {
    let mut peer = Peer::online();
    let ticket = peer.publish("k1");
    let first = peer.sent().remove(0);

    peer.wait(Duration::from_secs(5));
    let second = peer.sent().remove(0);

    assert_eq!(first["idempotencyKey"], "k1");
    assert_eq!(second["idempotencyKey"], "k1");
    assert_ne!(first["id"], second["id"]);
    peer.says(json!({"ack": first["id"], "data": {"status": "ok"}}));
    assert!(matches!(peer.settled()[..], [(of, Ok(_))] if of == ticket));
    peer.says(json!({"ack": second["id"], "data": {"status": "ok"}}));
    assert!(peer.settled().is_empty());
}

#[test]
fn after_all_attempts_a_publication_is_given_up() {
    let mut peer = Peer::online();
    let ticket = peer.publish("k1");

    for _ in 0..3 {
        assert!(peer.settled().is_empty());
        peer.wait(Duration::from_secs(5));
    }

    assert_eq!(
        peer.settled(),
        [(ticket, Err(CallError::Timeout { attempts: 3 }))]
    );
}

#[test]
fn what_had_no_reply_when_the_connection_was_lost_is_sent_again_in_its_order() {
    let mut peer = Peer::online();
    for key in ["k1", "k2", "k3"] {
        peer.publish(key);
    }
    let second = peer.sent()[1]["id"].clone();
    peer.says(json!({"ack": second, "data": {"status": "ok"}}));

    peer.lose();
    peer.publish("k4");
    peer.reconnect();
    peer.sent();
    peer.resumed("r2", &[]);

    let keys: Vec<_> = peer
        .sent()
        .iter()
        .map(|m| m["idempotencyKey"].clone())
        .collect();
    assert_eq!(keys, ["k1", "k3", "k4"]);
}

#[test]
fn what_must_not_be_repeated_is_lost_with_the_connection() {
    let mut peer = Peer::online();
    let to = "bob".into();
    let private = Command::Private {
        to,
        content: Json::null(),
    };
    let ticket = peer.session.call(private, Repeat::Never, peer.now);

    peer.lose();

    assert_eq!(peer.settled(), [(ticket, Err(CallError::Lost))]);
}

#[test]
fn a_publication_is_not_repeated_when_the_server_may_have_forgotten_its_key() {
    let mut peer = Peer::online();
    let sent = peer.publish("k1");
    peer.sent();
    peer.lose();
    peer.publish("k2");

    peer.now += Duration::from_secs(240);
    peer.reconnect();
    peer.sent();
    peer.resumed("r2", &[]);

    assert_eq!(peer.settled(), [(sent, Err(CallError::Lost))]);
    let again = peer.sent();
    assert_eq!(again.len(), 1);
    assert_eq!(
        again[0]["idempotencyKey"], "k2",
        "what was never sent has time"
    );
}

#[test]
fn the_queue_is_bounded_and_its_overflow_is_an_error() {
    let config = SessionConfig::default();
    let mut peer = Peer::new();
    for n in 0..config.queue_max {
        peer.publish(&n.to_string());
    }
    assert!(peer.settled().is_empty());

    let ticket = peer.publish("one more");

    assert_eq!(
        peer.settled(),
        [(
            ticket,
            Err(CallError::QueueFull {
                max: config.queue_max
            })
        )]
    );
}

#[test]
fn a_rate_limit_pauses_the_queue_and_nothing_is_lost_or_reordered() {
    let mut peer = Peer::online();
    peer.publish("k1");
    peer.publish("k2");
    for message in peer.sent() {
        let error = json!({"code": "RATE_LIMITED", "message": "", "retryAfter": 700});
        peer.says(json!({"ack": message["id"], "error": error}));
    }
    peer.publish("k3");
    assert!(peer.sent().is_empty());

    assert_eq!(
        peer.session.poll_timeout(),
        Some(peer.now + Duration::from_millis(700))
    );
    peer.wait(Duration::from_millis(700));

    let keys: Vec<_> = peer
        .sent()
        .iter()
        .map(|m| m["idempotencyKey"].clone())
        .collect();
    assert_eq!(keys, ["k1", "k2", "k3"]);
}

#[test]
fn a_burst_waits_for_replies_before_more_of_it_is_sent() {
    let mut peer = Peer::online();
    for n in 0..40 {
        peer.publish(&n.to_string());
    }

    let sent = peer.sent();
    assert_eq!(sent.len(), 16);
    peer.says(json!({"ack": sent[0]["id"], "data": null}));
    assert_eq!(peer.sent().len(), 1);
}

#[test]
fn each_close_code_has_its_rule() {
    for code in [1000, 4001, 4004, 4050, 4100] {
        let mut peer = Peer::online();
        peer.closed(code);
        let told = peer.told();
        assert!(
            matches!(told.last(), Some(Event::Ended(EndReason::Code { .. }))),
            "{code}"
        );
    }
    for code in [1001, 1002, 1005, 1006, 1009, 1011, 1012, 1013] {
        let mut peer = Peer::online();
        peer.closed(code);
        assert!(
            matches!(peer.told().last(), Some(Event::Waiting { .. })),
            "{code}"
        );
    }
}

#[test]
fn an_ended_token_is_replaced_before_the_next_attempt_and_a_refused_one_is_not_offered_again() {
    let mut peer = Peer::online();
    peer.closed(4003);
    assert_eq!(peer.actions().last(), Some(&Action::AskToken));
    peer.token("t2");
    peer.reconnect();
    assert_eq!(peer.sent()[0]["token"], "t2");

    peer.closed(1008);
    assert_eq!(peer.actions().last(), Some(&Action::AskToken));
    peer.token("t2");

    let ended = peer.told().pop();
    assert!(
        matches!(ended, Some(Event::Ended(EndReason::Token { .. }))),
        "{ended:?}"
    );
}

#[test]
fn a_token_that_ends_soon_is_refreshed_in_place() {
    let mut peer = Peer::online();

    peer.says(json!({"type": "auth:expiring", "exp": 1_900_000_000}));
    assert_eq!(peer.actions(), [Action::AskToken]);
    peer.token("t2");

    let sent = peer.sent();
    assert_eq!(
        (&sent[0]["type"], &sent[0]["token"]),
        (&json!("auth:refresh"), &json!("t2"))
    );
}

#[test]
fn an_announced_delay_is_kept_and_the_pause_added_whatever_ends_the_connection() {
    for code in [1012, 1013, 1006] {
        let mut peer = Peer::online();
        peer.says(json!({"type": "reconnect", "after": 1500, "reason": "restart"}));

        peer.closed(code);

        let due = peer.now + Duration::from_millis(2500);
        assert_eq!(peer.session.poll_timeout(), Some(due), "{code}");
    }
}

#[test]
fn a_short_connection_does_not_reset_the_backoff_and_a_stable_one_does() {
    let mut peer = Peer::online();
    let mut pauses = Vec::new();
    for lasted in [0, 0, 0, 10] {
        peer.now += Duration::from_secs(lasted);
        peer.lose();
        pauses.push((peer.session.poll_timeout().unwrap() - peer.now).as_secs());
        peer.reconnect();
        peer.resumed("r", &[]);
    }

    assert_eq!(pauses, [1, 2, 4, 1]);
}

#[test]
fn attempts_are_limited_and_what_waits_ends_with_the_last() {
    let backoff = BackoffConfig {
        attempts_max: Some(2),
        ..BackoffConfig::default()
    };
    let mut peer = Peer::with(SessionConfig::default(), backoff);
    let ticket = peer.publish("k1");
    peer.session.start();
    for _ in 0..2 {
        peer.lose();
        peer.wait_due();
    }

    peer.lose();

    let actions = peer.actions();
    let attempts = Event::Ended(EndReason::Attempts { attempts: 2 });
    assert!(actions.contains(&Action::Tell(attempts)));
    assert!(actions.contains(&Action::Settle(ticket, Err(CallError::Ended))));
}

#[test]
fn a_server_that_does_not_even_ping_is_given_up_after_its_own_deadline() {
    let mut peer = Peer::online();
    peer.wait(Duration::from_secs(30));
    peer.session.handle_heard(peer.now);
    peer.wait(Duration::from_secs(49));
    assert!(peer.session.is_online());

    peer.wait(Duration::from_secs(1));

    assert!(peer.actions().contains(&Action::Abort));
    assert!(!peer.session.is_online());
}

#[test]
fn rooms_of_the_token_are_known_without_being_asked_for() {
    let mut peer = Peer::online();
    let mut joined = position("staff", 8, true);
    joined["type"] = "room:position".into();
    joined["reason"] = "joined".into();
    peer.says(joined);

    peer.message("staff", 9);

    assert_eq!(seqs(&peer.told()), [9]);
}

#[test]
fn a_refused_room_is_an_error_of_its_join_and_not_asked_for_again() {
    let mut peer = Peer::online();
    let ticket = peer.session.join(room("staff"), JoinFrom::Now, peer.now);
    let id = peer.sent()[0]["id"].clone();

    let error = json!({"code": "FORBIDDEN", "message": ""});
    peer.says(json!({"ack": id, "data": {"rooms": [{"roomId": "staff", "error": error}]}}));

    assert!(matches!(peer.settled()[..], [(of, Err(CallError::Refused(_)))] if of == ticket));
    peer.lose();
    peer.reconnect();
    peer.sent();
    peer.resumed("r2", &[]);
    assert!(peer.sent().is_empty());
}

#[test]
fn a_room_left_while_offline_is_left_when_the_session_is_resumed() {
    let mut peer = Peer::online();
    peer.join("lobby", 3);
    peer.lose();

    peer.session.leave(&room("lobby"));
    peer.reconnect();
    peer.sent();
    peer.resumed("r2", &[("lobby", 3, false)]);

    assert_eq!(
        peer.sent(),
        [json!({"type": "room:leave", "roomId": "lobby"})]
    );
}

proptest! {
    /// Whatever happens in whatever order: never a second attempt beside a first, and nothing is done after the end.
    #[test]
    fn one_attempt_is_in_flight_at_most(steps in proptest::collection::vec(0u8..9, 0..120)) {
        let mut peer = Peer::new();
        let mut connections = 0;
        let mut ended = false;
        for step in steps {
            match step {
                0 => peer.session.start(),
                1 => peer.session.handle_opened(peer.now),
                2 if connections > 0 => { connections -= 1; peer.lose(); }
                3 if connections > 0 => { connections -= 1; peer.closed(4003); }
                4 => peer.token("t"),
                5 => peer.wait_due(),
                6 => { peer.welcome(); peer.says(json!({"type": "auth_ok", "user": {"sub": "u"}, "resume": "r"})); }
                7 => { peer.publish("k"); }
                _ => { peer.session.join(room("lobby"), JoinFrom::Now, peer.now); }
            }
            for action in peer.actions() {
                prop_assert!(!ended || matches!(action, Action::Settle(_, Err(CallError::Ended))), "{:?}", action);
                match action {
                    Action::Connect => connections += 1,
                    Action::Abort => connections -= 1,
                    Action::Tell(Event::Ended(_)) => ended = true,
                    Action::AskToken | Action::Send(_) | Action::Close | Action::Tell(_) | Action::Settle(..) => {}
                }
                prop_assert!((0..=1).contains(&connections));
            }
        }
    }

    /// A room of the server, a client that is cut anywhere, replays as the protocol has them: each once, in order.
    #[test]
    fn over_any_cuts_each_message_is_told_once_and_in_order(
        steps in proptest::collection::vec((1u64..5, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut peer = Peer::online();
        peer.join("lobby", 0);
        let (mut published, mut told) = (0, Vec::new());
        for (count, is_cut_first, is_session_kept) in steps {
            if is_cut_first {
                peer.lose();
                published += count;
                peer.reconnect();
                let asked = peer.sent().remove(0);
                let since;
                if is_session_kept {
                    since = asked["rooms"][0]["seq"].as_u64().unwrap();
                    peer.resumed("r", &[("lobby", published, true)]);
                } else {
                    peer.says(json!({"ack": asked["id"], "error": {"code": "NOT_FOUND"}}));
                    peer.token("t");
                    peer.sent();
                    peer.says(json!({"type": "auth_ok", "user": {"sub": "u"}, "resume": "r"}));
                    let join = peer.sent().remove(0);
                    since = join["rooms"][0]["since"]["seq"].as_u64().unwrap();
                    let mut room = position("lobby", published, true);
                    room["members"] = 1.into();
                    peer.says(json!({"ack": join["id"], "data": {"rooms": [room]}}));
                }
                for seq in since + 1..=published {
                    peer.message("lobby", seq);
                }
            } else {
                for seq in published + 1..=published + count {
                    peer.message("lobby", seq);
                }
                published += count;
            }
            let events = peer.told();
            let has_gap = events.iter().any(|event| matches!(event, Event::Gap { .. }));
            prop_assert!(!has_gap);
            told.extend(seqs(&events));
        }
        prop_assert_eq!(told, (1..=published).collect::<Vec<_>>());
    }

    #[test]
    fn no_text_of_the_server_panics(text in "\\PC{0,60}", fields in "[a-z\":{}\\[\\],0-9]{0,60}") {
        let mut peer = Peer::online();
        peer.session.handle_message(&text, peer.now);
        peer.session.handle_message(&format!("{{\"type\":{fields}}}"), peer.now);
    }
}

/// A session and the server's side of it, played by the test.
struct Peer {
    session: Session,
    now: Instant,
    kept: Vec<Action>,
}

impl Peer {
    fn new() -> Self {
        Self::with(SessionConfig::default(), BackoffConfig::default())
    }

    /// Without jitter, so that pauses can be foretold.
    fn with(mut config: SessionConfig, backoff: BackoffConfig) -> Self {
        config.backoff = BackoffConfig {
            jitter: Jitter::None,
            ..backoff
        };
        let now = Instant::now();
        Self {
            session: Session::new(config),
            now,
            kept: Vec::new(),
        }
    }

    fn online() -> Self {
        let mut peer = Self::new();
        peer.session.start();
        peer.session.handle_opened(peer.now);
        peer.welcome();
        peer.token("t1");
        peer.says(json!({"type": "auth_ok", "user": {"sub": "ann"}, "resume": "r1"}));
        assert!(peer.session.is_online());
        peer.actions();
        peer
    }

    fn welcome(&mut self) {
        self.says(json!({
            "type": "welcome", "id": "wq0c9cXH0dJ5cqkeXWzM", "protocol": 1,
            "heartbeat": {"interval": 30000, "timeout": 20000},
            "limits": {"messageBytes": 65536, "rooms": 100, "ratePerSecond": 10, "burst": 20, "historyMax": 100},
            "server": "nuncio/0.1.0",
        }));
    }

    fn says(&mut self, message: Value) {
        self.session.handle_message(&message.to_string(), self.now);
    }

    fn token(&mut self, token: &str) {
        self.session.handle_token(Some(token.into()), self.now, 0);
    }

    fn message(&mut self, room: &str, seq: u64) {
        self.says(json!({
            "type": "chat:message", "id": "01K9ZC6Q5F7V2Q8E6J3D4M5N0P", "seq": seq,
            "roomId": room, "userId": "u", "content": seq, "ts": 1,
        }));
    }

    fn join(&mut self, name: &str, seq: u64) {
        let ticket = self.session.join(room(name), JoinFrom::Now, self.now);
        let id = self.sent().pop().unwrap()["id"].clone();
        let mut entry = position(name, seq, true);
        entry["members"] = 1.into();
        self.says(json!({"ack": id, "data": {"rooms": [entry]}}));
        let settled = self.settled();
        assert!(
            matches!(&settled[..], [(of, Ok(Answer::Joined { members: 1, .. }))] if *of == ticket),
            "{settled:?}"
        );
    }

    fn publish(&mut self, key: &str) -> Ticket {
        let request = PublishRequest {
            room: room("lobby"),
            body: Body::Chat {
                content: Json::null(),
            },
            idempotency_key: Some(nuncio_model::IdempotencyKey::parse(key).unwrap()),
        };
        let command = Command::Publish(request);
        self.session.call(command, Repeat::Safe, self.now)
    }

    fn closed(&mut self, code: u16) {
        self.session.handle_closed(CloseCode(code), "", self.now, 0);
    }

    fn lose(&mut self) {
        self.closed(1006);
    }

    fn wait(&mut self, pause: Duration) {
        self.now += pause;
        self.session.handle_timeout(self.now, 0);
    }

    fn wait_due(&mut self) {
        if let Some(due) = self.session.poll_timeout() {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now, 0);
        }
    }

    fn reconnect(&mut self) {
        self.wait_due();
        self.session.handle_opened(self.now);
        self.welcome();
    }

    fn resumed(&mut self, token: &str, rooms: &[(&str, u64, bool)]) {
        let rooms: Vec<_> = rooms
            .iter()
            .map(|(name, seq, recovered)| position(name, *seq, *recovered))
            .collect();
        self.says(json!({"type": "resumed", "id": "wq0c9cXH0dJ5cqkeXWzM", "resume": token, "rooms": rooms}));
    }

    fn actions(&mut self) -> Vec<Action> {
        self.collect();
        std::mem::take(&mut self.kept)
    }

    fn sent(&mut self) -> Vec<Value> {
        self.take(|action| match action {
            Action::Send(text) => Some(serde_json::from_slice(text).unwrap()),
            _ => None,
        })
    }

    fn told(&mut self) -> Vec<Event> {
        self.take(|action| match action {
            Action::Tell(event) => Some(event.clone()),
            _ => None,
        })
    }

    fn settled(&mut self) -> Vec<(Ticket, Result<Answer, CallError>)> {
        self.take(|action| match action {
            Action::Settle(ticket, outcome) => Some((*ticket, outcome.clone())),
            _ => None,
        })
    }

    /// The actions of one kind; the others are kept for later.
    fn take<T>(&mut self, wanted: impl Fn(&Action) -> Option<T>) -> Vec<T> {
        self.collect();
        let taken = self.kept.iter().filter_map(&wanted).collect();
        self.kept.retain(|action| wanted(action).is_none());
        taken
    }

    fn collect(&mut self) {
        while let Some(action) = self.session.poll_action() {
            self.kept.push(action);
        }
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn epoch() -> Value {
    json!(Epoch::from_random(7).to_string())
}

fn position(name: &str, seq: u64, recovered: bool) -> Value {
    json!({"roomId": name, "epoch": epoch(), "seq": seq, "recovered": recovered})
}

fn seqs(events: &[Event]) -> Vec<u64> {
    let seqs = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.seq),
        _ => None,
    });
    seqs.collect()
}
