//! The Socket.IO conversation without I/O: a scripted server, and a clock of the test.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_client::socketio::{
    AckError, Acknowledgement, Action, Args, Conversation, ConversationConfig, Delivery,
    DisconnectReason, EmitError, Event, Flags, Frame, Namespace, Reconnection, SocketRules, Ticket,
    Transport,
};
use serde_json::{Value, json};

const OPEN: &str = r#"0{"sid":"e1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

#[test]
fn the_first_socket_connects_and_is_told_its_id() {
    let mut pair = Pair::new(websocket());
    pair.open("/");
    assert_eq!(pair.sent(), ["open EIO=4&transport=websocket"]);

    pair.text(OPEN);
    assert_eq!(pair.sent(), ["ask auth /"]);
    pair.auth("/", json!({"token": 7}));
    assert_eq!(pair.sent(), [r#"40{"token":7}"#]);
    pair.text(r#"40{"sid":"s1"}"#);

    assert_eq!(pair.told("/"), [connect("s1", false)]);
}

#[test]
fn what_is_emitted_early_goes_out_in_order_once_connected() {
    let mut pair = Pair::new(websocket());
    pair.open("/");
    pair.emit("a", 1);
    let ticket = pair.ask("b", Flags::default());
    pair.enter("s1");

    assert_eq!(pair.sent(), [r#"42["a",1]"#, r#"420["b"]"#]);
    pair.text("430[5]");
    assert_eq!(pair.settled(), [(ticket, Ok(json!(5).into()))]);
}

#[test]
fn one_event_more_than_may_wait_is_an_error() {
    let mut config = websocket();
    config.buffer_max = 2;
    let mut pair = Pair::new(config);
    pair.open("/");
    pair.emit("a", 1);
    pair.emit("a", 2);

    let one_more = pair.try_emit("a", json!(3), Acknowledgement::Unwanted, Flags::default());

    assert_eq!(one_more, Err(EmitError::BufferFull { max: 2 }));
    pair.enter("s1");
    assert_eq!(pair.sent(), [r#"42["a",1]"#, r#"42["a",2]"#]);
}

#[test]
fn no_more_acknowledgements_are_waited_for_than_events_may_wait() {
    let mut config = websocket();
    config.buffer_max = 2;
    let mut pair = Pair::entered(config);
    let first = pair.ask("a", Flags::default());
    pair.ask("a", Flags::default());
    let ask =
        |pair: &mut Pair| pair.try_emit("a", json!(0), Acknowledgement::Wanted, Flags::default());
    assert_eq!(ask(&mut pair), Err(EmitError::BufferFull { max: 2 }));

    pair.conversation.forget(first);

    assert!(ask(&mut pair).is_ok());
}

#[test]
fn names_that_mean_something_to_the_other_side_are_refused() {
    let mut pair = Pair::entered(websocket());

    for name in ["connect", "disconnect", "connect_error"] {
        let emitted = pair.try_emit(name, json!(0), Acknowledgement::Unwanted, Flags::default());
        assert_eq!(emitted, Err(EmitError::Reserved));
    }
}

#[test]
fn an_acknowledgement_is_waited_for_as_long_as_said_also_while_offline() {
    let mut pair = Pair::new(websocket());
    pair.open("/");
    let flags = Flags {
        timeout: Some(Duration::from_secs(3)),
        ..Flags::default()
    };
    let ticket = pair.ask("a", flags);

    pair.pass(Duration::from_millis(2999));
    assert_eq!(pair.settled(), []);
    pair.pass(Duration::from_millis(1));

    assert_eq!(pair.settled(), [(ticket, Err(AckError::Timeout))]);
    pair.enter("s1");
    assert_eq!(pair.sent(), [] as [&str; 0], "it is not sent any more");
}

#[test]
fn with_the_connection_go_the_acks_of_what_was_sent_but_not_of_what_waits() {
    let mut pair = Pair::entered(websocket());
    let sent = pair.ask("a", Flags::default());
    pair.conversation.handle_socket_end(None, pair.now);
    let buffered = pair.ask("b", Flags::default());

    assert_eq!(pair.settled(), [(sent, Err(AckError::Disconnected))]);
    pair.pass(Duration::from_secs(2));
    pair.enter("s2");
    assert_eq!(pair.sent().last().unwrap(), r#"421["b"]"#);
    pair.text("431[]");
    assert_eq!(pair.settled(), [(buffered, Ok(().into()))]);
}

#[test]
fn volatile_events_are_dropped_while_the_connection_is_busy() {
    let mut pair = Pair::entered(websocket());
    let volatile = Flags {
        delivery: Delivery::Volatile,
        ..Flags::default()
    };
    let emit = |pair: &mut Pair, n| {
        let unwanted = Acknowledgement::Unwanted;
        pair.try_emit("tick", json!(n), unwanted, volatile).unwrap();
    };

    emit(&mut pair, 1);
    emit(&mut pair, 2);
    assert_eq!(pair.sent(), [r#"42["tick",1]"#]);
    emit(&mut pair, 3);
    assert_eq!(pair.sent(), [r#"42["tick",3]"#]);
}

#[test]
fn with_retries_one_event_at_a_time_is_sent_until_it_is_acknowledged() {
    let mut pair = Pair::new(websocket());
    pair.open_with("/", 2, Some(Duration::from_secs(1)));
    pair.enter("s1");
    let first = pair.ask("a", Flags::default());
    let second = pair.ask("b", Flags::default());
    assert_eq!(pair.sent(), [r#"420["a"]"#]);

    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.sent(), [r#"421["a"]"#]);
    pair.text("430[]");
    assert_eq!(pair.settled(), [], "that try is over");
    pair.text("431[]");
    assert_eq!(pair.settled(), [(first, Ok(().into()))]);

    for id in 2..5 {
        assert_eq!(pair.sent(), [format!(r#"42{id}["b"]"#)]);
        assert_eq!(pair.settled(), []);
        pair.pass(Duration::from_secs(1));
    }
    assert_eq!(pair.settled(), [(second, Err(AckError::Timeout))]);
}

#[test]
fn with_retries_a_lost_connection_is_a_try_that_failed() {
    let mut pair = Pair::new(websocket());
    pair.open_with("/", 1, None);
    pair.enter("s1");
    let ticket = pair.ask("a", Flags::default());
    assert_eq!(pair.sent(), [r#"420["a"]"#]);

    pair.conversation.handle_socket_end(None, pair.now);
    pair.pass(Duration::from_secs(2));
    pair.enter("s2");
    assert_eq!(pair.sent().last().unwrap(), r#"421["a"]"#);
    assert_eq!(pair.settled(), []);
    pair.conversation.handle_socket_end(None, pair.now);

    assert_eq!(pair.settled(), [(ticket, Err(AckError::Disconnected))]);
}

#[test]
fn what_the_server_recovers_by_is_offered_at_the_next_connect() {
    let mut pair = Pair::new(websocket());
    pair.open("/");
    pair.text(OPEN);
    pair.auth("/", json!({"token": 7}));
    pair.text(r#"40{"sid":"s1","pid":"p1"}"#);
    pair.text(r#"42["news",{"a":1},"offset-1"]"#);
    pair.text(r#"42["no offset",1]"#);
    pair.conversation.handle_socket_end(None, pair.now);
    pair.pass(Duration::from_secs(2));
    pair.text(OPEN);
    pair.sent();

    pair.auth("/", json!({"token": 8}));
    assert_eq!(
        pair.sent(),
        [r#"40{"offset":"offset-1","pid":"p1","token":8}"#]
    );
    pair.told("/");
    pair.text(r#"40{"sid":"s1","pid":"p1"}"#);
    assert_eq!(pair.told("/"), [connect("s1", true)]);
}

#[test]
fn another_pid_means_that_nothing_was_recovered() {
    let mut pair = Pair::new(websocket());
    pair.open("/");
    pair.text(OPEN);
    pair.auth("/", Value::Null);
    pair.text(r#"40{"sid":"s1","pid":"p1"}"#);
    pair.conversation.handle_socket_end(None, pair.now);
    pair.pass(Duration::from_secs(2));
    pair.told("/");
    pair.text(OPEN);
    pair.auth("/", Value::Null);
    pair.text(r#"40{"sid":"s2","pid":"p2"}"#);

    assert_eq!(pair.told("/").last().unwrap(), &connect("s2", false));
}

#[test]
fn attempts_begin_after_pauses_and_end_when_they_are_used_up() {
    let mut config = websocket();
    config.backoff.attempts_max = Some(2);
    let mut pair = Pair::new(config);
    pair.open("/");
    let failed = Event::ConnectError {
        message: "refused".to_owned(),
        data: Value::Null,
        active: true,
    };
    let fail = |pair: &mut Pair| {
        let why = Some("refused".to_owned());
        pair.conversation.handle_socket_end(why, pair.now);
    };

    fail(&mut pair);
    assert_eq!(pair.told("/"), std::slice::from_ref(&failed));
    pair.pass(Duration::from_millis(499));
    assert_eq!(pair.told("/"), []);
    for attempt in 1..=2 {
        pair.pass(Duration::from_secs(3));
        fail(&mut pair);
        let attempted = Event::ReconnectAttempt { attempt };
        let told = pair.told("/");
        assert_eq!(told[..2], [attempted, failed.clone()]);
        assert_eq!(
            told[2..],
            [Event::ReconnectFailed][..usize::from(attempt == 2)]
        );
    }
    assert!(pair.conversation.is_idle());
    assert_eq!(pair.conversation.poll_timeout(), None);

    pair.sent();
    pair.conversation.connect(&Namespace::MAIN, pair.now);
    assert_eq!(pair.sent(), ["open EIO=4&transport=websocket"]);
}

#[test]
fn a_handshake_takes_twenty_seconds_at_most() {
    let mut pair = Pair::new(ConversationConfig::default());
    pair.open("/");

    pair.pass(Duration::from_secs(20));

    let told = pair.told("/");
    assert!(
        matches!(&told[..], [Event::ConnectError { message, .. }] if message == "timeout"),
        "{told:?}"
    );
}

#[test]
fn a_silent_server_is_left_after_interval_and_timeout() {
    let mut pair = Pair::entered(websocket());

    pair.pass(Duration::from_secs(45));

    let reason = DisconnectReason::PingTimeout;
    let active = true;
    assert_eq!(pair.told("/"), [Event::Disconnect { reason, active }]);
    assert_eq!(pair.sent(), ["close", "abort"]);
}

#[test]
fn a_pause_ends_on_demand() {
    let mut pair = Pair::entered(websocket());
    pair.conversation.handle_socket_end(None, pair.now);
    pair.sent();

    pair.conversation.wake(pair.now);

    assert_eq!(pair.sent(), ["open EIO=4&transport=websocket"]);
}

#[test]
fn without_reconnection_a_lost_connection_stays_lost() {
    let mut config = websocket();
    config.reconnection = Reconnection::Off;
    let mut pair = Pair::entered(config);

    pair.conversation.handle_socket_end(None, pair.now);

    let reason = DisconnectReason::TransportClose;
    let active = false;
    assert_eq!(pair.told("/"), [Event::Disconnect { reason, active }]);
    assert!(pair.conversation.is_idle());
}

#[test]
fn a_refused_socket_leaves_the_connection_to_the_others() {
    let mut pair = Pair::entered(websocket());
    pair.open("/guarded");
    pair.auth("/guarded", Value::Null);
    pair.sent();

    pair.text(r#"44/guarded,{"message":"no","data":{"code":1}}"#);

    let refused = Event::ConnectError {
        message: "no".to_owned(),
        data: json!({"code": 1}),
        active: false,
    };
    assert_eq!(pair.told("/guarded"), [refused]);
    assert_eq!(pair.sent(), [] as [&str; 0]);
    pair.text("41");
    assert_eq!(pair.sent(), ["close", "abort"], "the last one is gone");
    assert!(pair.conversation.is_idle());
}

#[test]
fn an_answer_is_for_the_connection_on_which_the_event_came() {
    let mut pair = Pair::entered(websocket());
    pair.text(r#"427["question"]"#);
    let told = pair.told("/");
    let [Event::Message { ack: Some(ack), .. }] = &told[..] else {
        panic!("{told:?}");
    };
    pair.conversation
        .answer(&Namespace::MAIN, *ack, &json!("yes").into(), pair.now);
    assert_eq!(pair.sent(), [r#"437["yes"]"#]);

    pair.conversation.handle_socket_end(None, pair.now);
    pair.pass(Duration::from_secs(2));
    pair.enter("s2");
    pair.sent();
    pair.conversation
        .answer(&Namespace::MAIN, *ack, &json!("late").into(), pair.now);

    assert_eq!(pair.sent(), [] as [&str; 0]);
}

#[test]
fn what_is_no_packet_ends_the_connection_and_an_attempt_follows() {
    let mut pair = Pair::entered(websocket());

    pair.text("42{not json");

    let reason = DisconnectReason::ParseError;
    let active = true;
    assert_eq!(pair.told("/"), [Event::Disconnect { reason, active }]);
    assert_eq!(pair.sent(), ["close", "abort"]);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.sent(), ["open EIO=4&transport=websocket"]);
}

#[test]
fn an_auth_payload_that_is_no_object_is_an_error_of_the_application() {
    let mut pair = Pair::new(websocket());
    pair.open("/");
    pair.text(OPEN);

    pair.auth("/", json!("just a token"));

    let told = pair.told("/");
    assert!(
        matches!(told[..], [Event::ConnectError { active: false, .. }]),
        "{told:?}"
    );
    assert!(pair.conversation.is_idle());
}

#[test]
fn over_polling_what_was_emitted_goes_out_before_the_end() {
    let mut pair = Pair::new(ConversationConfig::default());
    pair.open("/");
    assert_eq!(pair.sent(), ["get EIO=4&transport=polling"]);
    pair.conversation
        .handle_get_response(200, OPEN.into(), pair.now);
    pair.auth("/", Value::Null);
    assert_eq!(
        pair.sent(),
        [
            "ask auth /",
            "open EIO=4&transport=websocket&sid=e1",
            "get EIO=4&transport=polling&sid=e1",
            "post 40",
        ]
    );
    pair.conversation.handle_socket_end(None, pair.now);
    pair.conversation.handle_post_response(200, pair.now);
    let joined = r#"40{"sid":"s1"}"#.into();
    pair.conversation.handle_get_response(200, joined, pair.now);
    pair.sent();

    pair.emit("a", 1);
    pair.emit("a", 2);
    pair.conversation.disconnect(&Namespace::MAIN, pair.now);

    assert_eq!(pair.sent(), [r#"post 42["a",1]"#]);
    pair.conversation.handle_post_response(200, pair.now);
    assert_eq!(pair.sent(), ["post 42[\"a\",2]\u{1e}41\u{1e}1"]);
    assert!(!pair.conversation.is_idle());
    pair.conversation.handle_post_response(200, pair.now);
    assert_eq!(pair.sent(), ["abort"]);
    assert!(pair.conversation.is_idle());
}

#[test]
fn a_server_that_refuses_the_handshake_is_quoted() {
    let mut pair = Pair::new(ConversationConfig::default());
    pair.open("/");

    let body = Bytes::from_static(br#"{"code":4,"message":"Forbidden"}"#);
    pair.conversation.handle_get_response(403, body, pair.now);

    let told = pair.told("/");
    assert!(
        matches!(&told[..], [Event::ConnectError { message, .. }] if message == "Forbidden (status 403)"),
        "{told:?}"
    );
}

#[test]
fn an_idle_conversation_has_nothing_left() {
    let mut pair = Pair::entered(websocket());
    let waiting = pair.ask("a", Flags::default());

    pair.conversation.remove(&Namespace::MAIN, pair.now);

    assert_eq!(pair.settled(), [(waiting, Err(AckError::Disconnected))]);
    assert!(pair.conversation.is_idle());
    assert_eq!(pair.conversation.poll_timeout(), None);
    let gone = pair.try_emit("a", json!(0), Acknowledgement::Unwanted, Flags::default());
    assert_eq!(gone, Err(EmitError::Closed));
}

/// A conversation, a clock, and what it asked for, as texts.
struct Pair {
    conversation: Conversation,
    now: Instant,
    sent: Vec<String>,
    told: Vec<(String, Event)>,
    settled: Vec<(Ticket, Result<Args, AckError>)>,
}

impl Pair {
    fn new(config: ConversationConfig) -> Self {
        Self {
            conversation: Conversation::new(config, 7),
            now: Instant::now(),
            sent: Vec::new(),
            told: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// With the main socket connected.
    fn entered(config: ConversationConfig) -> Self {
        let mut pair = Self::new(config);
        pair.open("/");
        pair.enter("s1");
        pair.told("/");
        pair.sent();
        pair
    }

    fn open(&mut self, namespace: &str) {
        self.open_with(namespace, 0, None);
    }

    fn open_with(&mut self, namespace: &str, retries: u32, ack_timeout: Option<Duration>) {
        let rules = SocketRules {
            retries,
            ack_timeout,
            buffer_max: self.conversation.config().buffer_max,
        };
        let namespace = Namespace::new(namespace);
        self.conversation.open(&namespace, rules, self.now).unwrap();
    }

    /// The handshakes, from the open WebSocket to the answered CONNECT.
    fn enter(&mut self, sid: &str) {
        self.text(OPEN);
        self.auth("/", Value::Null);
        self.sent();
        self.text(&format!(r#"40{{"sid":"{sid}"}}"#));
    }

    fn text(&mut self, text: &str) {
        let frame = Frame::Text(text.to_owned().into());
        self.conversation.handle_frame(frame, self.now);
    }

    fn auth(&mut self, namespace: &str, auth: Value) {
        let namespace = Namespace::new(namespace);
        self.conversation.handle_auth(&namespace, auth, self.now);
    }

    fn emit(&mut self, name: &str, n: u32) {
        let emitted = self.try_emit(name, json!(n), Acknowledgement::Unwanted, Flags::default());
        assert_eq!(emitted, Ok(None));
    }

    fn ask(&mut self, name: &str, flags: Flags) -> Ticket {
        let (main, wanted) = (Namespace::MAIN, Acknowledgement::Wanted);
        let asked = self
            .conversation
            .emit(&main, name, ().into(), wanted, flags, self.now);
        asked.unwrap().unwrap()
    }

    fn try_emit(
        &mut self,
        name: &str,
        arg: Value,
        acknowledgement: Acknowledgement,
        flags: Flags,
    ) -> Result<Option<Ticket>, EmitError> {
        let main = Namespace::MAIN;
        self.conversation
            .emit(&main, name, arg.into(), acknowledgement, flags, self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.conversation.handle_timeout(self.now);
    }

    fn sent(&mut self) -> Vec<String> {
        self.sort();
        std::mem::take(&mut self.sent)
    }

    fn told(&mut self, namespace: &str) -> Vec<Event> {
        self.sort();
        let mine = self.told.extract_if(.., |(of, _)| of == namespace);
        mine.map(|(_, event)| event).collect()
    }

    fn settled(&mut self) -> Vec<(Ticket, Result<Args, AckError>)> {
        self.sort();
        std::mem::take(&mut self.settled)
    }

    fn sort(&mut self) {
        while let Some(action) = self.conversation.poll_action() {
            let text = match action {
                Action::Get(query) => format!("get {query}"),
                Action::Post(_, body) => format!("post {}", String::from_utf8_lossy(&body)),
                Action::OpenSocket(query) => format!("open {query}"),
                Action::Send(frame) => {
                    self.conversation.handle_sent();
                    match frame {
                        Frame::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                        Frame::Binary(bytes) => format!("{bytes:?}"),
                    }
                }
                Action::CloseSocket => "close".to_owned(),
                Action::Abort => "abort".to_owned(),
                Action::AskAuth(namespace) => format!("ask auth {namespace}"),
                Action::Tell(namespace, event) => {
                    self.told.push((namespace.to_string(), event));
                    continue;
                }
                Action::Settle(ticket, result) => {
                    self.settled.push((ticket, result));
                    continue;
                }
            };
            self.sent.push(text);
        }
    }
}

fn websocket() -> ConversationConfig {
    let mut config = ConversationConfig::default();
    config.transports = vec![Transport::WebSocket];
    config
}

fn connect(id: &str, recovered: bool) -> Event {
    Event::Connect {
        id: id.to_owned(),
        recovered,
    }
}
