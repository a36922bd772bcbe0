//! The Rust Socket.IO client against the reference server, and against the program.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::time::Duration;

use nuncio_client::socketio::{
    AckError, Args, Client, Config, DisconnectReason, Event, Events, Parser, Reconnection, Socket,
    SocketConfig, Transport,
};
use nuncio_e2e::{Cable, PATIENCE, Program, Reference, http};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio::time::timeout;

const POLLING: &[Transport] = &[Transport::Polling];
const WEBSOCKET: &[Transport] = &[Transport::WebSocket];
const UPGRADE: &[Transport] = &[Transport::Polling, Transport::WebSocket];
const ALL: [&[Transport]; 3] = [POLLING, WEBSOCKET, UPGRADE];

#[tokio::test]
async fn over_each_transport_events_and_acks_pass_both_ways() {
    let server = reference(json!({}));
    for transports in ALL {
        let mut config = config(&server, transports).header("x-test", "7");
        config.url += "/?color=red";
        let config = config.auth(json!({"token": "t"}));
        let (_client, socket, mut events) = connected(config).await;

        let who: Value = ask(&socket, "who", ()).await.value(0).unwrap();
        assert_eq!(who["auth"], json!({"token": "t"}));
        assert_eq!(
            (&who["query"]["color"], &who["header"]),
            (&json!("red"), &json!("7"))
        );
        assert_eq!(who["id"], json!(socket.status().id));

        let args = vec![json!("ä\u{1e}\n"), json!({"a": [1, null]})];
        assert_eq!(
            ask(&socket, "echo", args.clone()).await,
            args.clone().into()
        );
        socket.emit("say", args.clone()).await.unwrap();
        assert_eq!(message(&mut events, "said").await.0, args.into());

        let asked = tokio::spawn({
            let socket = socket.clone();
            async move { ask(&socket, "ask me", "how are you?").await }
        });
        let (question, ack) = message(&mut events, "question").await;
        assert_eq!(question, "how are you?".into());
        socket.answer(ack.unwrap(), "fine").await.unwrap();
        assert_eq!(asked.await.unwrap(), "fine".into());
    }
}

#[tokio::test]
async fn over_the_upgrade_nothing_is_lost_repeated_or_reordered_in_either_direction() {
    const COUNT: u64 = 2000;
    let server = reference(json!({}));
    for _ in 0..5 {
        let (_client, socket, mut events) = connected(config(&server, UPGRADE)).await;
        socket.emit("count", json!(COUNT)).await.unwrap();
        let sending = tokio::spawn({
            let socket = socket.clone();
            async move {
                for number in 0..COUNT {
                    socket.emit("say", json!(number)).await.unwrap();
                }
                socket
            }
        });

        let (mut counted, mut said) = (Vec::new(), Vec::new());
        while counted.len() < COUNT as usize || said.len() < COUNT as usize {
            match next(&mut events).await {
                Event::Message { name, args, .. } if name == "number" => {
                    counted.push(args.value::<u64>(0).unwrap());
                }
                Event::Message { name, args, .. } if name == "said" => {
                    said.push(args.value::<u64>(0).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }

        let expected: Vec<_> = (0..COUNT).collect();
        assert_eq!(counted, expected);
        assert_eq!(said, expected);
        let socket = sending.await.unwrap();
        let who: Value = ask(&socket, "who", ()).await.value(0).unwrap();
        assert_eq!(who["transport"], "websocket");
    }
}

#[tokio::test]
async fn without_upgrade_it_stays_with_polling() {
    let server = reference(json!({}));
    let mut config = config(&server, UPGRADE);
    config.conversation.upgrade = false;
    let (_client, socket, _events) = connected(config).await;

    let who: Value = ask(&socket, "who", ()).await.value(0).unwrap();

    assert_eq!(who["transport"], "polling");
}

#[tokio::test]
async fn a_transport_that_the_server_does_not_have_is_followed_by_the_next() {
    let server = reference(json!({"transports": ["websocket"]}));
    let mut config = config(&server, UPGRADE);
    config.conversation.try_all_transports = true;

    let (_client, socket, _events) = connected(config).await;

    let who: Value = ask(&socket, "who", ()).await.value(0).unwrap();
    assert_eq!(who["transport"], "websocket");
}

#[tokio::test]
async fn binary_passes_both_ways_in_events_and_acks_however_deep() {
    let server = reference(json!({}));
    for transports in ALL {
        let (_client, socket, mut events) = connected(config(&server, transports)).await;
        let deep = nuncio_client::socketio::Payload::new(
            r#"[{"a":[{"_placeholder":true,"num":0}]},{"_placeholder":true,"num":1}]"#,
            vec![vec![0, 0x1e, 255].into(), vec![7; 100_000].into()],
        );

        let echoed = ask(&socket, "echo", Args::from(deep.clone())).await;
        assert_eq!(echoed.payload().attachments(), deep.attachments());
        assert_eq!(echoed.bytes(1).unwrap().len(), 100_000);

        let asked = tokio::spawn({
            let socket = socket.clone();
            async move { ask(&socket, "ask me", Args::new().binary(vec![1])).await }
        });
        let (question, ack) = message(&mut events, "question").await;
        assert_eq!(question.bytes(0).unwrap(), &[1][..]);
        let answer = Args::new().binary(vec![2]);
        socket.answer(ack.unwrap(), answer).await.unwrap();
        assert_eq!(asked.await.unwrap().bytes(0).unwrap(), &[2][..]);
    }
}

#[tokio::test]
async fn the_message_pack_parser_is_an_option() {
    let server = reference(json!({"parser": "msgpack"}));
    for transports in ALL {
        let mut config = config(&server, transports);
        config.conversation.parser = Parser::MessagePack;
        let (_client, socket, mut events) = connected(config).await;

        let args = Args::from(json!({"pi": 3.5})).binary(vec![1, 2]);
        let echoed = ask(&socket, "echo", args.clone()).await;
        assert_eq!(echoed.value::<Value>(0).unwrap(), json!({"pi": 3.5}));
        assert_eq!(echoed.bytes(1).unwrap(), &[1, 2][..]);
        socket.emit("say", args).await.unwrap();
        let (said, _) = message(&mut events, "said").await;
        assert_eq!(said.bytes(1).unwrap(), &[1, 2][..]);
    }
}

#[tokio::test]
async fn namespaces_share_one_connection_and_leave_one_by_one() {
    let server = reference(json!({}));
    let (client, main, _main_events) = connected(config(&server, WEBSOCKET)).await;
    let (chat, mut events) = client.socket("/chat").await.unwrap();
    until_connected(&mut events).await;

    assert_eq!(connections(&chat).await, 1);
    assert_ne!(chat.status().id, main.status().id);

    chat.disconnect().await.unwrap();
    let left = Event::Disconnect {
        reason: DisconnectReason::ClientDisconnect,
        active: false,
    };
    assert_eq!(next(&mut events).await, left);
    assert_eq!(ask(&main, "echo", "still here").await, "still here".into());
    chat.connect().await.unwrap();
    until_connected(&mut events).await;
}

#[tokio::test]
async fn a_refusal_comes_with_its_data_and_another_word_lets_in() {
    let server = reference(json!({}));
    let client = Client::start(config(&server, WEBSOCKET)).unwrap();
    let words = std::sync::Mutex::new(vec!["please", "now"]);
    let auth = SocketConfig::new().auth_with(move || {
        let word = words.lock().unwrap().pop();
        async move { json!({"word": word}) }
    });
    let (socket, mut events) = client.socket_with("/guarded", auth).await.unwrap();

    let refused = Event::ConnectError {
        message: "say please".to_owned(),
        data: json!({"missing": "word"}),
        active: false,
    };
    assert_eq!(next(&mut events).await, refused);
    socket.connect().await.unwrap();
    until_connected(&mut events).await;
}

#[tokio::test]
async fn who_is_thrown_out_does_not_come_back_by_itself() {
    let server = reference(json!({}));
    let (_client, socket, mut events) = connected(config(&server, UPGRADE)).await;

    socket.emit("throw me out", ()).await.unwrap();

    let thrown_out = Event::Disconnect {
        reason: DisconnectReason::ServerDisconnect,
        active: false,
    };
    assert_eq!(next(&mut events).await, thrown_out);
    socket.connect().await.unwrap();
    until_connected(&mut events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_it_comes_back_and_what_was_emitted_meanwhile_arrives() {
    for transports in ALL {
        let mut server = reference(json!({}));
        let (_client, socket, mut events) = connected(config(&server, transports)).await;
        let _: Args = ask(&socket, "echo", ()).await;
        block_in_place(|| server.kill());

        let Event::Disconnect { reason, active } = next(&mut events).await else {
            panic!("no disconnect");
        };
        let expected = [
            DisconnectReason::TransportClose,
            DisconnectReason::TransportError,
        ];
        assert!(expected.contains(&reason) && active, "{reason}");
        socket.emit("say", "meanwhile").await.unwrap();
        block_in_place(|| server.start_again());

        let mut attempts = Vec::new();
        loop {
            match next(&mut events).await {
                Event::ReconnectAttempt { attempt } => attempts.push(attempt),
                Event::ConnectError { active, .. } => assert!(active),
                Event::Reconnect { attempt } => assert_eq!(attempts.last(), Some(&attempt)),
                Event::Connect { recovered, .. } => break assert!(!recovered),
                other => panic!("{other:?}"),
            }
        }
        let (said, _) = message(&mut events, "said").await;
        assert_eq!(said, "meanwhile".into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_freezes_is_given_up_by_ping_timeout() {
    for transports in [POLLING, WEBSOCKET] {
        let server = reference(json!({"pingInterval": 300, "pingTimeout": 200}));
        let (_client, _socket, mut events) = connected(config(&server, transports)).await;

        server.freeze();

        let Event::Disconnect { reason, active } = next(&mut events).await else {
            panic!("no disconnect");
        };
        assert_eq!((reason, active), (DisconnectReason::PingTimeout, true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_recovered_with_what_was_missed() {
    for transports in ALL {
        let server = reference(json!({
            "connectionStateRecovery": {},
            // So soon it sees that a client is gone that was cut between two polls.
            "pingInterval": 2000,
            "pingTimeout": 2000,
        }));
        let cable = Cable::to(server.address).await;
        let mut through = config(&server, transports);
        through.url = format!("http://{}", cable.address);
        // It does not come back before the server has seen that it is gone.
        through.conversation.backoff.delay_first = Duration::from_secs(60);
        through.conversation.backoff.delay_max = Duration::from_secs(60);
        let (client, socket, mut events) = connected(through).await;
        let (_other_client, other, _other_events) = connected(config(&server, WEBSOCKET)).await;
        ask(&socket, "join", "lobby").await;
        other
            .emit("tell", vec![json!("lobby"), json!("before")])
            .await
            .unwrap();
        message(&mut events, "told").await;
        let id = socket.status().id;

        while cable.cut(0) {
            tokio::task::yield_now().await;
        }
        let cut = next(&mut events).await;
        assert!(
            matches!(cut, Event::Disconnect { active: true, .. }),
            "{cut:?}"
        );
        other
            .emit("tell", vec![json!("lobby"), json!("missed")])
            .await
            .unwrap();
        while connections(&other).await > 1 {}
        client.wake().await.unwrap();

        assert!(until_connected(&mut events).await, "recovered");
        assert_eq!((socket.status().id, socket.status().recovered), (id, true));
        let (told, _) = message(&mut events, "told").await;
        assert_eq!(told.value::<String>(0).unwrap(), "missed");
        other
            .emit("tell", vec![json!("lobby"), json!("after")])
            .await
            .unwrap();
        let (told, _) = message(&mut events, "told").await;
        assert_eq!(told.value::<String>(0).unwrap(), "after");
    }
}

#[tokio::test]
async fn with_retries_each_event_arrives_at_least_once_and_in_order() {
    let server = reference(json!({}));
    let client = Client::start(config(&server, WEBSOCKET)).unwrap();
    let rules = SocketConfig::new().retries(3, Duration::from_millis(100));
    let (socket, mut events) = client.socket_with("/", rules).await.unwrap();
    until_connected(&mut events).await;

    let (one, two) = tokio::join!(
        socket.emit_with_ack("flaky", "one"),
        socket.emit_with_ack("flaky", "two"),
    );
    assert_eq!((one.unwrap(), two.unwrap()), ("one".into(), "two".into()));

    let arrived: Vec<String> = ask(&socket, "arrived", ()).await.value(0).unwrap();
    assert_eq!(arrived, ["one", "one", "one", "two", "two", "two"]);
}

#[tokio::test]
async fn an_ack_that_does_not_come_is_a_timeout_or_ends_with_the_connection() {
    let server = reference(json!({}));
    let (_client, socket, _events) = connected(config(&server, UPGRADE)).await;

    let late = socket
        .timeout(Duration::from_millis(50))
        .emit_with_ack("ignore", ());
    assert_eq!(late.await, Err(AckError::Timeout));

    let (lost, hung_up) = tokio::join!(
        socket.emit_with_ack("ignore", ()),
        socket.emit("hang up", ()),
    );
    assert_eq!(lost, Err(AckError::Disconnected));
    hung_up.unwrap();
}

#[tokio::test]
async fn volatile_events_are_dropped_while_offline() {
    let mut silent = config_of("http://127.0.0.1:1", WEBSOCKET);
    silent.conversation.reconnection = Reconnection::Off;
    let client = Client::start(silent).unwrap();
    let (socket, mut events) = client.socket("/").await.unwrap();

    let dropped = socket.volatile().emit_with_ack("say", "now or never").await;

    assert_eq!(dropped, Err(AckError::Dropped));
    let failed = next(&mut events).await;
    assert!(
        matches!(failed, Event::ConnectError { active: true, .. }),
        "{failed:?}"
    );
}

#[tokio::test]
async fn the_cookies_of_the_handshake_go_with_every_request() {
    let server = reference(json!({"cookie": true}));
    let config = config(&server, UPGRADE).header("cookie", "mine=1");
    let (_client, socket, _events) = connected(config).await;

    let mut cookies: Vec<String> = ask(&socket, "cookies", ()).await.value(0).unwrap();

    assert_eq!(cookies.remove(0), "mine=1");
    assert!(cookies.len() >= 2, "{cookies:?}");
    for cookie in cookies {
        assert!(cookie.starts_with("mine=1; io="), "{cookie}");
    }
}

#[tokio::test]
async fn the_server_may_listen_elsewhere() {
    let server = reference(json!({"path": "/my/path"}));
    let mut config = config(&server, UPGRADE);
    config.path = "/my/path/".to_owned();

    let (_client, socket, _events) = connected(config).await;

    assert_eq!(ask(&socket, "echo", "here").await, "here".into());
}

// What rust_socketio 0.6.0 does otherwise.

#[tokio::test]
async fn rust_socketio_fault_binary_with_an_ack_is_an_event_that_a_server_can_answer() {
    let server = reference(json!({}));
    let (_client, socket, _events) = connected(config(&server, WEBSOCKET)).await;

    let echoed = ask(&socket, "echo", Args::new().binary(vec![1, 2, 3])).await;

    assert_eq!(echoed.bytes(0).unwrap(), &[1, 2, 3][..]);
}

#[tokio::test]
async fn rust_socketio_fault_binary_with_the_byte_0x1e_is_not_split() {
    let server = reference(json!({}));
    for transports in ALL {
        let (_client, socket, mut events) = connected(config(&server, transports)).await;

        let bytes = vec![0x1e, 1, 0x1e, 0x1e];
        socket
            .emit("say", Args::new().binary(bytes.clone()))
            .await
            .unwrap();

        let (said, _) = message(&mut events, "said").await;
        assert_eq!(said.bytes(0).unwrap(), &bytes[..]);
    }
}

#[tokio::test]
async fn rust_socketio_fault_every_attachment_is_delivered() {
    let server = reference(json!({}));
    for transports in ALL {
        let (_client, socket, mut events) = connected(config(&server, transports)).await;

        let three = Args::new().binary(vec![1]).binary(vec![2]).binary(vec![3]);
        socket.emit("say", three).await.unwrap();

        let (said, _) = message(&mut events, "said").await;
        let bytes: Vec<_> = (0..3).map(|place| said.bytes(place).unwrap()[0]).collect();
        assert_eq!(bytes, [1, 2, 3]);
    }
}

#[tokio::test]
async fn rust_socketio_fault_a_transport_error_is_an_event_and_no_panic() {
    for transports in ALL {
        let client = Client::start(config_of("http://127.0.0.1:1", transports)).unwrap();
        let (_socket, mut events) = client.socket("/").await.unwrap();

        for attempt in 1..=3 {
            let failed = next(&mut events).await;
            assert!(
                matches!(failed, Event::ConnectError { active: true, .. }),
                "{failed:?}"
            );
            assert_eq!(next(&mut events).await, Event::ReconnectAttempt { attempt });
        }
    }
}

#[tokio::test]
async fn rust_socketio_fault_it_comes_back_after_the_server_closed_the_connection() {
    let server = reference(json!({}));
    for transports in ALL {
        let (_client, socket, mut events) = connected(config(&server, transports)).await;

        socket.emit("hang up", ()).await.unwrap();

        let Event::Disconnect { reason, active } = next(&mut events).await else {
            panic!("no disconnect");
        };
        assert_eq!((reason, active), (DisconnectReason::TransportClose, true));
        until_connected(&mut events).await;
    }
}

#[tokio::test]
async fn rust_socketio_fault_many_namespaces_need_one_connection() {
    let server = reference(json!({}));
    let (client, main, _events) = connected(config(&server, UPGRADE)).await;
    let (_chat, mut chat_events) = client.socket("/chat").await.unwrap();
    until_connected(&mut chat_events).await;

    assert_eq!(connections(&main).await, 1);
}

// Against the program.

#[tokio::test(flavor = "multi_thread")]
async fn with_nuncio_it_joins_rooms_and_comes_back_over_each_transport() {
    let mut server = block_in_place(|| Program::start(&["limits.rate_per_second=0"]));
    for transports in ALL {
        let config =
            config_of(&server.page(), transports).auth(json!({"token": token(&server).await}));
        let (_client, socket, mut events) = connected(config).await;
        let joined: Value = ask(&socket, "room:join", "lobby").await.value(0).unwrap();
        assert_eq!(joined["status"], "ok", "{joined}");
        let content = json!({"roomId": "lobby", "content": "Hi"});
        let sent: Value = ask(&socket, "message:send", content.clone())
            .await
            .value(0)
            .unwrap();
        assert_eq!(sent["status"], "ok", "{sent}");
        let (heard, _) = message(&mut events, "message:new").await;
        assert_eq!(heard.value::<Value>(0).unwrap()["content"], "Hi");

        block_in_place(|| {
            server.kill();
            server.start_again();
        });
        until_connected(&mut events).await;
        ask(&socket, "room:join", "lobby").await;
        let sent: Value = ask(&socket, "message:send", content)
            .await
            .value(0)
            .unwrap();
        assert_eq!(sent["status"], "ok", "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_emitted_before_close_reaches_nuncio() {
    let server = block_in_place(|| Program::start(&["limits.rate_per_second=0"]));
    let token = token(&server).await;
    let config = |transports| config_of(&server.page(), transports).auth(json!({"token": token}));
    let (_watching, watcher, mut heard) = connected(config(WEBSOCKET)).await;
    ask(&watcher, "room:join", "lobby").await;
    for transports in ALL {
        let (client, socket, mut events) = connected(config(transports)).await;

        for number in 0..100 {
            let content = json!({"roomId": "lobby", "content": number});
            socket.emit("message:send", content).await.unwrap();
        }
        client.close().await;

        for number in 0..100 {
            let (message, _) = message(&mut heard, "message:new").await;
            assert_eq!(message.value::<Value>(0).unwrap()["content"], number);
        }
        let left = next(&mut events).await;
        assert!(
            matches!(left, Event::Disconnect { active: false, .. }),
            "{left:?}"
        );
        assert_eq!(timeout(PATIENCE, events.next()).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nuncio_a_cut_connection_is_recovered_with_what_was_missed() {
    let settings = ["limits.rate_per_second=0", "socketio.recovery=2m"];
    let server = block_in_place(|| Program::start(&settings));
    let token = token(&server).await;
    let config = |url: &str, transports| config_of(url, transports).auth(json!({"token": token}));
    let cable = Cable::to(server.address).await;
    let mut through = config(&format!("http://{}", cable.address), WEBSOCKET);
    // It does not come back before the server has seen that it is gone.
    through.conversation.backoff.delay_first = Duration::from_secs(60);
    through.conversation.backoff.delay_max = Duration::from_secs(60);
    let (client, socket, mut events) = connected(through).await;
    let (_other_client, other, _other_events) = connected(config(&server.page(), WEBSOCKET)).await;
    ask(&socket, "room:join", "lobby").await;
    ask(&other, "room:join", "lobby").await;
    let say = |content: &'static str| {
        let content = json!({"roomId": "lobby", "content": content});
        ask(&other, "message:send", content)
    };
    say("before").await;
    assert_eq!(content(&mut events).await, "before");
    let id = socket.status().id;

    assert!(cable.cut(0));
    let cut = next(&mut events).await;
    assert!(
        matches!(cut, Event::Disconnect { active: true, .. }),
        "{cut:?}"
    );
    until_one_connection_is_left(&server).await;
    say("missed").await;
    client.wake().await.unwrap();

    assert!(until_connected(&mut events).await, "recovered");
    assert_eq!(socket.status().id, id);
    say("after").await;
    assert_eq!(content(&mut events).await, "missed");
    assert_eq!(content(&mut events).await, "after");
}

async fn until_one_connection_is_left(server: &Program) {
    let late = tokio::time::Instant::now() + PATIENCE;
    loop {
        let metrics = http::get(server.address, "/metrics").await.text();
        if metrics.lines().any(|line| line == "nuncio_connections 1") {
            return;
        }
        assert!(tokio::time::Instant::now() < late, "{metrics}");
        tokio::task::yield_now().await;
    }
}

/// Of the next message.
async fn content(events: &mut Events) -> Value {
    let (message, _) = message(events, "message:new").await;
    message.value::<Value>(0).unwrap()["content"].take()
}

async fn token(server: &Program) -> String {
    let answer = http::ask(
        server.address,
        "POST",
        "/demo/token",
        &[],
        r#"{"name":"ann"}"#,
    )
    .await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn connections(socket: &Socket) -> u64 {
    let who: Value = ask(socket, "who", ()).await.value(0).unwrap();
    who["connections"].as_u64().unwrap()
}

fn reference(options: Value) -> Reference {
    Reference::start(&options)
}

fn config(server: &Reference, transports: &[Transport]) -> Config {
    config_of(&server.url(), transports)
}

/// Pauses are short.
fn config_of(url: &str, transports: &[Transport]) -> Config {
    let mut config = Config::new(url).transports(transports);
    config.conversation.backoff.delay_first = Duration::from_millis(20);
    config.conversation.backoff.delay_max = Duration::from_millis(200);
    config
}

/// A client with its main socket connected.
async fn connected(config: Config) -> (Client, Socket, Events) {
    let client = Client::start(config).unwrap();
    let (socket, mut events) = client.socket("/").await.unwrap();
    until_connected(&mut events).await;
    (client, socket, events)
}

/// Waits for the connect; answers whether the state was recovered.
async fn until_connected(events: &mut Events) -> bool {
    loop {
        match next(events).await {
            Event::Connect { recovered, .. } => return recovered,
            Event::Disconnect { active: true, .. }
            | Event::ConnectError { active: true, .. }
            | Event::ReconnectAttempt { .. }
            | Event::Reconnect { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ask(socket: &Socket, name: &str, args: impl Into<Args>) -> Args {
    socket
        .timeout(PATIENCE)
        .emit_with_ack(name, args)
        .await
        .unwrap()
}

async fn message(
    events: &mut Events,
    wanted: &str,
) -> (Args, Option<nuncio_client::socketio::AckId>) {
    match next(events).await {
        Event::Message { name, args, ack } if name == wanted => (args, ack),
        other => panic!("{other:?} instead of {wanted}"),
    }
}

async fn next(events: &mut Events) -> Event {
    let event = timeout(PATIENCE, events.next()).await;
    event.expect("it comes in time").expect("it goes on")
}
