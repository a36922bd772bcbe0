//! What handlers of a Socket.IO server in Rust can do beside answering: how events travel, what looks at them, who is there.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nuncio::Server;
use nuncio::config::ByteSize;
use nuncio::io::{
    Ack, AskError, Data, Done, EventName, Io, Refused, Socket, State, Transport as Way,
};
use nuncio_client::socketio::{Args, Client, Config, Event, Events, Socket as Remote, Transport};
use nuncio_e2e::polling::{Poller, Version};
use nuncio_e2e::raw::{Frame, Raw, TEXT};
use nuncio_e2e::{Embedded, PATIENCE, http};
use serde_json::{Value, json};
use tokio::time::timeout;

const POLLING: &[Transport] = &[Transport::Polling];
const WEBSOCKET: &[Transport] = &[Transport::WebSocket];
const OFFER: [(&str, &str); 1] = [("Sec-WebSocket-Extensions", "permessage-deflate")];
/// FIN, RSV1, text.
const COMPRESSED: u8 = 0xc1;

#[tokio::test]
async fn what_is_not_worth_compressing_goes_as_it_is_to_one_to_a_room_and_to_all() {
    let io = Io::new();
    io.on_connect(async |socket: Socket| {
        socket.join("lobby").await?;
        socket.on("say", say);
        Done::Ok(())
    });
    let server = serve(&io).await;
    let mut ann = raw(&server).await;
    let mut bob = raw(&server).await;

    for (by, first) in [
        ("socket", COMPRESSED),
        ("socket compress false", TEXT),
        ("socket compress false, true", COMPRESSED),
        ("socket compress false, question", TEXT),
        ("io", COMPRESSED),
        ("io compress false", TEXT),
        ("room", COMPRESSED),
        ("room compress false", TEXT),
    ] {
        ann.send(TEXT, format!(r#"42["say","{by}"]"#).as_bytes())
            .await;
        assert_eq!(frame(&mut ann).await.first, first, "{by}");
        if by.starts_with("io") || by.starts_with("room") {
            assert_eq!(frame(&mut bob).await.first, first, "{by}");
        }
    }
    ann.send(TEXT, br#"42["say","others compress false"]"#)
        .await;
    assert_eq!(frame(&mut bob).await.first, TEXT);
}

async fn say(socket: Socket, Data(by): Data<String>) -> Done {
    let (io, large) = (socket.io(), "x".repeat(5_000));
    match by.as_str() {
        "socket" => socket.emit("said", large),
        "socket compress false" => socket.compress(false).emit("said", large),
        "socket compress false, true" => socket.compress(false).compress(true).emit("said", large),
        "socket compress false, question" => {
            let question = socket.compress(false).timeout(Duration::from_millis(1));
            let _ = question.emit_with_ack::<Value>("said", large).await;
            Ok(())
        }
        "io" => io.emit("said", large),
        "io compress false" => io.compress(false).emit("said", large),
        "room" => io.to("lobby").emit("said", large),
        "room compress false" => io.to("lobby").compress(false).emit("said", large),
        _ => socket.compress(false).to("lobby").emit("said", large),
    }
}

#[tokio::test]
async fn what_a_program_emits_to_a_socket_can_be_overheard() {
    let heard = Heard::default();
    let io = Io::new();
    io.state(heard.clone());
    io.on_connect(async |socket: Socket| {
        socket.join("lobby").await?;
        socket.on("listen", async |socket: Socket| {
            socket.on_any_outgoing(
                async |name: EventName, Data(n): Data<u64>, State(heard): State<Heard>| {
                    heard.note(format!("{name} {n}"));
                },
            );
            socket.prepend_any_outgoing(async |name: EventName, State(heard): State<Heard>| {
                heard.note(format!("first {name}"));
            });
        });
        socket.on("stop", async |socket: Socket| {
            socket.off_any_outgoing();
        });
        socket.on("emit", async |socket: Socket, ack: Ack<bool>| {
            socket.emit("alone", 1)?;
            socket.io().to("lobby").emit("room", 2)?;
            socket.io().to("elsewhere").emit("other room", 3)?;
            socket.to("lobby").emit("others", 4)?;
            socket.io().volatile().emit("all", 5)?;
            let late = socket
                .timeout(Duration::from_millis(1))
                .emit_with_ack::<()>("question", 6);
            let _ = late.await;
            ack.send(true)
        });
        Done::Ok(())
    });
    let server = serve(&io).await;
    let (_ann, ann, mut events) = connected(&server, WEBSOCKET).await;
    let (_bob, bob, _) = connected(&server, WEBSOCKET).await;

    ann.emit("listen", ()).await.unwrap();
    ask(&ann, "emit", ()).await;
    assert_eq!(
        heard.take(),
        [
            "first alone",
            "alone 1",
            "first room",
            "room 2",
            "first all",
            "all 5",
            "first question",
            "question 6"
        ]
    );
    for name in ["alone", "room", "question"] {
        message(&mut events, name).await;
    }
    ask(&bob, "emit", ()).await;
    assert_eq!(
        heard.take(),
        [
            "first room",
            "room 2",
            "first others",
            "others 4",
            "first all",
            "all 5"
        ]
    );
    ann.emit("stop", ()).await.unwrap();
    ask(&ann, "emit", ()).await;
    assert!(heard.take().is_empty());
}

#[tokio::test]
async fn handlers_for_every_event_come_first_and_can_be_taken_away() {
    let heard = Heard::default();
    let io = Io::new();
    io.state(heard.clone());
    io.on_connect(async |socket: Socket| {
        socket.on_any(async |name: EventName, State(heard): State<Heard>| {
            heard.note(format!("any {name}"))
        });
        socket.prepend_any(async |name: EventName, State(heard): State<Heard>| {
            heard.note(format!("first {name}"))
        });
        socket.on("x", async |State(heard): State<Heard>, ack: Ack<bool>| {
            heard.note("x".to_owned());
            ack.send(true)
        });
        socket.on("off", async |socket: Socket, ack: Ack<bool>| {
            socket.off_any();
            ack.send(true)
        });
    });
    let server = serve(&io).await;
    let (_client, ann, _) = connected(&server, WEBSOCKET).await;

    ask(&ann, "x", ()).await;
    ask(&ann, "off", ()).await;
    ask(&ann, "x", ()).await;

    assert_eq!(
        heard.take(),
        ["first x", "any x", "x", "first off", "any off", "x"]
    );
}

#[tokio::test]
async fn a_middleware_of_a_socket_looks_at_each_event_and_may_refuse_it() {
    let heard = Heard::default();
    let io = Io::new();
    io.state(heard.clone());
    io.on_connect(async |socket: Socket| {
        socket.middleware(async |name: EventName, State(heard): State<Heard>| {
            heard.note(format!("looked at {name}"));
            match name.as_str() {
                "forbidden" => Err(Refused::new("not you").data(json!({"ask": "ann"}))),
                _ => Ok(()),
            }
        });
        socket.middleware(async |Data(n): Data<u64>, State(heard): State<Heard>| {
            tokio::task::yield_now().await;
            heard.note(format!("and at {n}"));
            if n > 9 { Err("too much") } else { Ok(()) }
        });
        for name in ["add", "forbidden"] {
            socket.on(name, async |Data(n): Data<u64>, ack: Ack<u64>| {
                ack.send(n + 1)
            });
        }
    });
    let server = serve(&io).await;
    let (_client, ann, _) = connected(&server, WEBSOCKET).await;

    assert_eq!(ask(&ann, "add", json!(1)).await, json!(2));
    assert_eq!(
        ask(&ann, "add", json!(10)).await,
        json!({"status": "error", "code": "FORBIDDEN", "message": "too much"})
    );
    assert_eq!(
        ask(&ann, "forbidden", json!(1)).await,
        json!({"status": "error", "code": "FORBIDDEN", "message": "not you", "data": {"ask": "ann"}})
    );
    let unfit = ask(&ann, "add", json!("text")).await;
    assert_eq!(unfit["code"], "FORBIDDEN", "{unfit}");
    assert_eq!(
        heard.take(),
        [
            "looked at add",
            "and at 1",
            "looked at add",
            "and at 10",
            "looked at forbidden",
            "looked at add"
        ]
    );

    let mut native = Raw::connect(server.address, "/ws", &[]).await;
    for (event, code) in [
        ("forbidden", "FORBIDDEN"),
        ("nobody listens", "UNKNOWN_TYPE"),
    ] {
        let call = json!({"type": "event", "event": event, "data": 1, "id": 1});
        native.send_json(&call).await;
        let reply = loop {
            let message = native.message().await;
            if message["ack"] == 1 {
                break message;
            }
        };
        assert_eq!(reply["error"]["code"], code, "{reply}");
    }
}

#[tokio::test]
async fn a_socket_knows_its_transport_and_hears_of_the_upgrade() {
    let io = Io::new();
    io.on_connect(async |socket: Socket| {
        socket.on("transport", async |socket: Socket, ack: Ack<String>| {
            ack.send(format!("{:?}", socket.transport()))
        });
        socket.on_upgrade(async |socket: Socket| {
            assert_eq!(socket.transport(), Way::WebSocket);
            socket.emit("upgraded", ())
        });
    });
    let server = serve(&io).await;
    for (transports, way) in [(POLLING, "Polling"), (WEBSOCKET, "WebSocket")] {
        let (_client, ann, _) = connected(&server, transports).await;
        assert_eq!(ask(&ann, "transport", ()).await, json!(way));
    }

    let bob = Poller::open(server.address, Version::V4, "").await;
    bob.post("40").await;
    bob.poll_until("40").await;
    bob.post(r#"421["transport"]"#).await;
    bob.poll_until(r#"431["Polling"]"#).await;
    let mut socket = Raw::connect(server.address, &bob.websocket, &[]).await;
    socket.send(TEXT, b"2probe").await;
    assert_eq!(socket.frame().await.unwrap().payload, b"3probe");
    socket.send(TEXT, b"5").await;
    assert_eq!(socket.frame().await.unwrap().payload, br#"42["upgraded"]"#);
    socket.send(TEXT, br#"422["transport"]"#).await;
    assert_eq!(
        socket.frame().await.unwrap().payload,
        br#"432["WebSocket"]"#
    );
    // A namespace that is joined afterwards is told so too.
    io.of("/late")
        .on_connect(async |socket: Socket| socket.emit("way", format!("{:?}", socket.transport())));
    socket.send(TEXT, b"40/late,").await;
    socket.frame().await.unwrap();
    assert_eq!(
        socket.frame().await.unwrap().payload,
        br#"42/late,["way","WebSocket"]"#
    );
}

#[tokio::test]
async fn a_timeout_may_be_said_before_the_question() {
    let io = Io::new();
    let server = serve(&io).await;
    io.on_connect(async |socket: Socket| {
        socket.join("lobby").await?;
        socket.on(
            "ask",
            async |socket: Socket, io: Io, ack: Ack<Vec<bool>>| {
                let short = Duration::from_millis(20);
                let one = socket
                    .timeout(short)
                    .emit_with_ack::<Value>("silence", ())
                    .await;
                let all = io
                    .to("lobby")
                    .timeout(short)
                    .emit_with_ack::<Value>("silence", ());
                let found = io.fetch_sockets().await?;
                let remote = found[0]
                    .timeout(short)
                    .emit_with_ack::<Value>("silence", ());
                let answered = found[0].emit_with_ack::<u8>("answer", ()).await;
                ack.send(vec![
                    matches!(one, Err(AskError::Timeout)),
                    all.await.is_err(),
                    matches!(remote.await, Err(AskError::Timeout)),
                    matches!(answered, Ok(7)),
                ])
            },
        );
        Done::Ok(())
    });
    let (_client, ann, mut events) = connected(&server, WEBSOCKET).await;
    let asking = ann.clone();
    let asked = tokio::spawn(async move { ask(&asking, "ask", ()).await });

    let (_, ack) = message(&mut events, "answer").await;
    ann.answer(ack.unwrap(), json!(7)).await.unwrap();

    assert_eq!(asked.await.unwrap(), json!([true, true, true, true]));
}

#[tokio::test]
async fn a_way_that_was_chosen_for_one_holds_for_the_others_too() {
    let io = Io::new();
    io.on_connect(async |socket: Socket| {
        socket.join("lobby").await?;
        socket.on("say", async |socket: Socket, Data(to): Data<String>| {
            let way = socket.volatile();
            match to.as_str() {
                "room" => way.to("lobby").emit("said", to),
                "others" => way.broadcast().emit("said", to),
                "elsewhere" => way.except("lobby").emit("said", to),
                _ => way.emit("said", to),
            }
        });
        socket.on("ready", async |ack: Ack<bool>| ack.send(true));
        Done::Ok(())
    });
    let server = serve(&io).await;
    let (_ann, ann, mut to_ann) = connected(&server, WEBSOCKET).await;
    let (_bob, bob, mut to_bob) = connected(&server, WEBSOCKET).await;
    // Nothing waits for them any more, and so what is volatile is not skipped.
    ask(&bob, "ready", ()).await;
    ask(&ann, "ready", ()).await;

    for (to, is_for_bob) in [("room", true), ("others", true), ("me", false)] {
        ann.emit("say", json!("elsewhere")).await.unwrap();
        ann.emit("say", json!(to)).await.unwrap();
        let events = if is_for_bob { &mut to_bob } else { &mut to_ann };
        let (said, _) = message(events, "said").await;
        assert_eq!(said.value::<String>(0).unwrap(), to);
    }
}

#[tokio::test]
async fn the_sockets_of_a_namespace_are_known_by_their_ids() {
    let io = Io::new();
    io.on_connect(async || {});
    let games = io.of_matching(|name| name.starts_with("/game-"));
    games.on_connect(async |socket: Socket| {
        socket.join(["a", "b"]).await?;
        socket.on("leave all", async |socket: Socket, ack: Ack<usize>| {
            socket.leave_all();
            ack.send(socket.rooms().len())
        });
        Done::Ok(())
    });
    let server = serve(&io).await;
    let (client, ann, _) = connected(&server, WEBSOCKET).await;
    let (game, mut events) = client.socket("/game-1").await.unwrap();
    until_connected(&mut events).await;

    let (main, in_game) = (io.sockets(), games.sockets());
    assert_eq!((main.len(), in_game.len()), (1, 1));
    assert_eq!(main[0].id().to_string(), ann.status().id.unwrap());
    assert_eq!(in_game[0].namespace().name(), "/game-1");
    assert_eq!(io.of("/game-1").sockets().len(), 1);
    assert!(io.socket(&main[0].id()).is_some());
    assert!(io.socket(&in_game[0].id()).is_none());
    assert!(games.socket(&in_game[0].id()).is_some());
    assert_eq!(ask(&game, "leave all", ()).await, json!(0));
    client.close().await;
}

#[tokio::test]
async fn a_request_that_becomes_no_connection_is_told_of() {
    let heard = Heard::default();
    let io = Io::new();
    let noted = heard.clone();
    io.on_connection_error(move |error| {
        assert_eq!(error.address.to_string(), "127.0.0.1");
        noted.note(format!("{} {}", error.code, error.message));
        assert!(!format!("{error:?}").contains("nobody"), "no query");
    });
    io.on_connect(async || {});
    let server = serve(&io).await;

    let at = |query: &str| format!("/socket.io/?{query}");
    for (query, body) in [
        (
            "EIO=4&transport=pigeon",
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "EIO=4&transport=polling&sid=nobody",
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "EIO=4&transport=polling&j=0",
            r#"{"code":3,"message":"Bad request"}"#,
        ),
    ] {
        let answer = http::get(server.address, &at(query)).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, body));
    }

    let told = [
        "0 Transport unknown",
        "1 Session ID unknown",
        "3 Bad request",
    ];
    assert_eq!(heard.take(), told);
}

/// What handlers noted, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn serve(io: &Io) -> Embedded {
    let builder = Server::builder().io(io).configure(|config| {
        config.socketio.deflate = true;
        config.deflate.threshold = ByteSize(1_024);
    });
    Embedded::start(builder, |_| ()).await.0
}

/// A client in `/` whose frames are seen as they are.
async fn raw(server: &Embedded) -> Raw {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socket = Raw::connect(server.address, path, &OFFER).await;
    socket.frame().await.unwrap();
    socket.send(TEXT, b"40").await;
    socket.frame().await.unwrap();
    socket
}

async fn frame(socket: &mut Raw) -> Frame {
    socket.frame().await.unwrap()
}

async fn connected(server: &Embedded, transports: &[Transport]) -> (Client, Remote, Events) {
    let config = Config::new(format!("http://{}", server.address)).transports(transports);
    let client = Client::start(config).unwrap();
    let (socket, mut events) = client.socket("/").await.unwrap();
    until_connected(&mut events).await;
    (client, socket, events)
}

async fn until_connected(events: &mut Events) {
    let event = next(events).await;
    assert!(matches!(event, Event::Connect { .. }), "{event:?}");
}

async fn ask(socket: &Remote, name: &str, args: impl Into<Args>) -> Value {
    let answer = socket.timeout(PATIENCE).emit_with_ack(name, args).await;
    answer.unwrap().value(0).unwrap()
}

async fn message(
    events: &mut Events,
    wanted: &str,
) -> (Args, Option<nuncio_client::socketio::AckId>) {
    loop {
        match next(events).await {
            Event::Message { name, args, ack } if name == wanted => return (args, ack),
            Event::Message { .. } => {}
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
}

async fn next(events: &mut Events) -> Event {
    let event = timeout(PATIENCE, events.next()).await;
    event.expect("it comes in time").expect("it goes on")
}
