//! Socket.IO's server API in Rust under the official client: `e2e/socketio/program.test.mjs`, against the handlers here.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nuncio::io::{
    Ack, AskError, AskManyError, Attachments, Binary, Close, Data, DisconnectReason, EventName, Io,
    Mismatch, Refused, Socket, State,
};
use nuncio::{Rights, Server};
use nuncio_e2e::Embedded;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_program_serves_official_clients_as_a_node_program_does() {
    let io = Io::new();
    program(&io);
    let builder = Server::builder()
        .io(&io)
        .grant("open:*", Rights::ALL)
        .configure(|config| {
            config.socketio.ping_interval = Duration::from_millis(500);
            config.socketio.ping_timeout = Duration::from_millis(500);
        });
    let (server, ()) = Embedded::start(builder, |_| ()).await;

    let url = format!("http://{}", server.address);
    let status = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .args(["--test", "--test-reporter=spec", "program.test.mjs"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("socketio"))
            .env("SERVER_URL", url)
            .stdin(Stdio::null())
            .status()
            .expect("node starts")
    });

    let status = status.await.expect("node is waited for");
    assert!(status.success(), "{status}");
    assert!(
        io.fetch_sockets()
            .await
            .expect("no rooms are named")
            .is_empty()
    );
}

/// What happened, in order; tests ask for it by the event `log`.
type Log = Arc<Mutex<Vec<String>>>;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn program(io: &Io) {
    io.state(Log::default());
    io.middleware(first_look).middleware(second_look);
    io.on_connect(connected);
    io.of("/admin").on_connect(administer);
    io.of("guarded").middleware(
        async |socket: Socket| match socket.handshake().header("x-key") {
            Some("sesame") => Ok(()),
            _ => Err("no key"),
        },
    );
    io.of_matching(|name| {
        name.strip_prefix("/game-")
            .is_some_and(|n| n.parse::<u8>().is_ok())
    })
    .on_connect(async |socket: Socket| {
        socket.emit("game", socket.namespace().name())?;
        socket.on("play", async |socket: Socket, Data(card): Data<String>| {
            socket.namespace().emit("played", card)
        });
        Ok::<_, Failure>(())
    });
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    name: Option<String>,
    banned: bool,
}

async fn first_look(socket: Socket) -> Result<(), Refused> {
    let auth: Option<Auth> = socket
        .handshake()
        .auth()
        .map_err(|error| Refused::new(error.to_string()))?;
    let auth = auth.unwrap_or_default();
    if auth.banned {
        return Err(Refused::new("not today").data(json!({ "retry": false, "days": [1, 2] })));
    }
    socket.set_data(json!({ "name": auth.name }));
    Ok(())
}

/// Takes its time, as one that asks a database does.
async fn second_look(socket: Socket, State(log): State<Log>) -> Result<(), Refused> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    if socket.join("early").await.is_ok() {
        return Err(Refused::new("a socket joined before it was in"));
    }
    log.lock()
        .expect("no test panics with it")
        .push("looked".into());
    Ok(())
}

async fn connected(socket: Socket) -> Result<(), Failure> {
    socket.emit("welcome", (socket.id(), socket.data::<Value>()))?;
    rooms(&socket);
    arguments(&socket);
    questions(&socket);
    order(&socket);
    socket.on_disconnecting(
        async |socket: Socket, reason: DisconnectReason, State(log): State<Log>| {
            let mut rooms: Vec<_> = socket.rooms().iter().map(|room| room.to_string()).collect();
            rooms.sort();
            let line = format!("{} leaves {} for {reason}", socket.id(), rooms.join(" "));
            log.lock().expect("no test panics with it").push(line);
        },
    );
    socket.on_disconnect(
        async |socket: Socket, reason: DisconnectReason, State(log): State<Log>| {
            let rooms = socket.rooms().len();
            let line = format!("{} left {rooms} for {reason}", socket.id());
            log.lock().expect("no test panics with it").push(line);
        },
    );
    Ok(())
}

fn rooms(socket: &Socket) {
    socket.on(
        "room:join",
        async |socket: Socket, Data(room): Data<String>, ack: Ack<bool>| {
            socket.join(&room).await?;
            socket
                .to(&room)
                .emit("user:joined", json!({ "userId": socket.user() }))?;
            ack.send(true)?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "room:leave",
        async |socket: Socket, Data(room): Data<String>, ack: Ack<bool>| {
            socket.leave(&room)?;
            ack.send(true)?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "message:send",
        async |io: Io, Data(message): Data<Value>, ack: Ack| {
            let room = message["roomId"].as_str().unwrap_or_default();
            io.to(room).emit("message:new", &message["content"])?;
            ack.send(json!({ "status": "ok" }))?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "say",
        async |socket: Socket, Data((to, what)): Data<(Say, Value)>, ack: Ack<bool>| {
            let io = socket.io();
            let said = match to.by.as_str() {
                "broadcast" => socket.broadcast().emit("said", what),
                "socket.to" => socket.to(to.rooms).emit("said", what),
                "socket.except" => socket.except(to.rooms).emit("said", what),
                "io.except" => io.to(to.rooms).except(to.except).emit("said", what),
                "volatile" => io.to(to.rooms).volatile().emit("said", what),
                "local" => io.in_(to.rooms).local().emit("said", what),
                "io" => io.emit("said", what),
                _ => io.to(to.rooms).emit("said", what),
            };
            ack.send(said.is_ok())?;
            Ok::<_, Failure>(())
        },
    );
}

/// Which of the operators a test wants.
#[derive(Deserialize)]
struct Say {
    by: String,
    #[serde(default)]
    rooms: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Picture {
    name: String,
    pixels: Binary,
}

fn arguments(socket: &Socket) {
    socket.on("who", async |socket: Socket, ack: Ack| {
        let handshake = socket.handshake();
        ack.send(json!({
            "auth": handshake.auth::<Value>().ok(),
            "header": handshake.header("X-Custom"),
            "query": handshake.query("q"),
            "address": handshake.address().to_string(),
            "fresh": handshake.time().elapsed().is_ok_and(|age| age < Duration::from_secs(60)),
            "identity": handshake.identity().is_some(),
            "recovered": socket.recovered(),
            "isUserId": socket.user().as_str() == socket.id().to_string(),
        }))
    });
    socket.on(
        "add",
        async |Data((a, b)): Data<(i64, Option<i64>)>, ack: Ack<i64>| {
            ack.send(a + b.unwrap_or(100))
        },
    );
    socket.on(
        "two answers",
        async |Data(()): Data<()>, ack: Ack<(u8, &str)>| ack.send((1, "b")),
    );
    socket.on(
        "typed",
        async |Data(message): Data<Say>, ack: Ack<String>| ack.send(message.by),
    );
    socket.on(
        "unfit",
        async |data: Result<Data<u8>, Mismatch>, ack: Ack<bool>| ack.send(data.is_ok()),
    );
    socket.on(
        "picture",
        async |Data(picture): Data<Picture>, ack: Ack<(Picture, Binary)>| {
            let reversed: Vec<u8> = picture.pixels.0.iter().rev().copied().collect();
            ack.send((picture, reversed.into()))
        },
    );
    socket.on(
        "parts",
        async |Attachments(parts): Attachments, ack: Ack<Vec<usize>>| {
            ack.send(parts.iter().map(|part| part.len()).collect())
        },
    );
    socket.on("nothing", async |_: Ack| {});
    socket.on("fails", async || Err::<(), _>("the secret of the house"));
    socket.on("panics", async |Data(at): Data<u8>| {
        tokio::time::sleep(Duration::from_millis(u64::from(at))).await;
        assert!(at > 100, "a handler of a test panics");
    });
    socket.once("once", async |socket: Socket, State(log): State<Log>| {
        log.lock()
            .expect("no test panics with it")
            .push(format!("once {}", socket.id()));
    });
    socket.on("gone", async |ack: Ack<bool>| ack.send(true));
    socket.on("off", async |socket: Socket, ack: Ack<bool>| {
        socket.off("gone");
        ack.send(true)
    });
    socket.on_any(
        async |socket: Socket, name: EventName, State(log): State<Log>| {
            if name.starts_with("any ") {
                log.lock()
                    .expect("no test panics with it")
                    .push(format!("{} {name}", socket.id()));
            }
        },
    );
    socket.on("reserved", async |socket: Socket, ack: Ack<String>| {
        let error = socket
            .emit("disconnect", ())
            .expect_err("clients take it for their own");
        ack.send(error.to_string())
    });
}

fn questions(socket: &Socket) {
    socket.on("ask me", async |socket: Socket, ack: Ack| {
        let question =
            socket.emit_with_ack::<(u64, Picture)>("question", (7, Binary::from(vec![1, 2])));
        let (number, picture) = question.await?;
        ack.send(json!({ "number": number, "bytes": picture.pixels.0.len() }))?;
        Ok::<_, Failure>(())
    });
    socket.on("ask in vain", async |socket: Socket, ack: Ack<String>| {
        let question = socket.emit_with_ack::<Value>("silence", ());
        let error = question.timeout(Duration::from_millis(50)).await;
        ack.send(match error {
            Err(AskError::Timeout) => "timeout".to_owned(),
            other => format!("{other:?}"),
        })
    });
    socket.on(
        "ask and go",
        async |socket: Socket, State(log): State<Log>| {
            let answer = socket.emit_with_ack::<Value>("silence", ()).await;
            let line = format!("{} {answer:?}", socket.id());
            log.lock().expect("no test panics with it").push(line);
        },
    );
    socket.on(
        "ask all",
        async |io: Io, Data(room): Data<String>, ack: Ack| {
            let questions = io.to(room).emit_with_ack::<String>("name?", "please");
            match questions.timeout(Duration::from_millis(300)).await {
                Ok(names) => ack.send(json!({ "names": names }))?,
                Err(AskManyError::Unanswered(left)) => {
                    ack.send(json!({ "names": left.answers, "missing": left.missing }))?;
                }
                Err(error) => return Err(error.into()),
            }
            Ok::<_, Failure>(())
        },
    );
}

fn order(socket: &Socket) {
    socket.on(
        "step",
        async |Data(n): Data<u32>, State(log): State<Log>, ack: Ack<u32>| {
            log.lock()
                .expect("no test panics with it")
                .push(format!("start {n}"));
            if n % 2 == 0 {
                tokio::task::yield_now().await;
            }
            ack.send(n)
        },
    );
    socket.on(
        "log",
        async |State(log): State<Log>, ack: Ack<Vec<String>>| {
            let lines = log.lock().expect("no test panics with it").clone();
            ack.send(lines)
        },
    );
}

/// What the program does to others: `/admin` does it to the sockets of `/`.
async fn administer(socket: Socket) {
    socket.on(
        "fetch",
        async |io: Io, Data(room): Data<String>, ack: Ack| {
            let found = io.in_(room).fetch_sockets().await?;
            let found = found.iter().map(|socket| {
                let mut rooms = socket.rooms();
                rooms.sort();
                json!({ "id": socket.id(), "rooms": rooms, "data": socket.data::<Value>() })
            });
            ack.send(found.collect())?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "move",
        async |io: Io, Data((from, to)): Data<(String, Vec<String>)>, ack: Ack<bool>| {
            io.in_(&from).sockets_join(to)?;
            io.in_(&from).sockets_leave(&from)?;
            ack.send(true)?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "send away",
        async |io: Io, Data((room, all)): Data<(String, bool)>, ack: Ack<bool>| {
            let close = if all {
                Close::Connection
            } else {
                Close::Namespace
            };
            io.in_(room).disconnect_sockets(close)?;
            ack.send(true)?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "whisper",
        async |io: Io, Data((to, what)): Data<(String, Value)>, ack: Ack<bool>| {
            io.to(to).emit("whispered", what)?;
            ack.send(true)?;
            Ok::<_, Failure>(())
        },
    );
    socket.on(
        "ask all",
        async |io: Io, Data(room): Data<String>, ack: Ack| {
            let names = io
                .to(room)
                .emit_with_ack::<String>("name?", "please")
                .await?;
            ack.send(json!(names))?;
            Ok::<_, Failure>(())
        },
    );
}
