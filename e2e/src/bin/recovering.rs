//! A program of handlers whose clients recover, as a process of its own that can be killed: `e2e/socketio/recovery_program.test.mjs` starts it.
//!
//! `recovering --listen ADDRESS [--set store]`, with its data in the working folder.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nuncio::io::{Ack, Close, Data, Done, Io, Refused, Socket, State};
use nuncio::{Rights, Server};
use serde_json::{Value, json};

/// What the handlers saw, in order.
type Log = Arc<Mutex<Vec<Value>>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(address), store) = (arguments.get(2), arguments.iter().any(|arg| arg == "store"))
    else {
        eprintln!("recovering --listen ADDRESS [--set store]");
        return ExitCode::FAILURE;
    };
    let io = Io::new();
    io.state(Log::default());
    io.middleware(looked).on_connect(connected);
    let mut builder = Server::builder()
        .io(&io)
        .listen(address.as_str())
        .grant("*", Rights::ALL)
        .recovery(Duration::from_secs(60));
    if store {
        builder = builder.store("data");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(builder.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn note(log: &Log, line: Value) {
    log.lock().expect("no handler panics with it").push(line);
}

async fn looked(socket: Socket, State(log): State<Log>) -> Result<(), Refused> {
    let auth: Value = socket.handshake().auth().unwrap_or_default();
    note(&log, json!({ "looked": auth["name"] }));
    if auth["banned"] == true {
        return Err(Refused::new("not today"));
    }
    socket.set_data(json!({ "name": auth["name"] }));
    Ok(())
}

async fn connected(socket: Socket, State(log): State<Log>) {
    let mut rooms: Vec<_> = socket.rooms().iter().map(ToString::to_string).collect();
    rooms.sort();
    note(
        &log,
        json!({
            "connected": socket.id(),
            "recovered": socket.recovered(),
            "data": socket.data::<Value>(),
            "rooms": rooms,
        }),
    );
    socket.on("join", join).on("say", say).on("keep", keep);
    socket.on("one after the other", one_after_the_other);
    socket
        .on("ask", ask)
        .on("leave me", leave_me)
        .on("log", whole_log);
}

async fn join(socket: Socket, Data(room): Data<String>, ack: Ack<bool>) -> Done {
    socket.join(room).await?;
    ack.send(true)
}

/// To a room, to the room and another one (which is no publication), and to a socket.
async fn say(io: Io, Data((by, to, what)): Data<(String, String, Value)>, ack: Ack<bool>) -> Done {
    match by.as_str() {
        "emit" => io.to([to.as_str(), "nobody is here"]).emit("said", what)?,
        _ => io.to(to).emit("said", what)?,
    }
    ack.send(true)
}

async fn keep(socket: Socket, Data(data): Data<Value>, ack: Ack<bool>) -> Done {
    socket.set_data(data);
    ack.send(true)
}

/// Everything that one handler says to one client.
async fn one_after_the_other(socket: Socket, Data(first): Data<u64>) -> Done {
    socket.emit("said", first)?;
    let question = socket
        .io()
        .in_(socket.id())
        .emit_with_ack::<u64>("asked", first + 1);
    let mut answers = question.answers()?;
    socket.emit("said", first + 2)?;
    socket.to("nobody is here").emit("said", 0)?;
    socket.emit("said", first + 3)?;
    let answer = answers.next().await.and_then(|(_, answer)| answer.ok());
    socket.emit("said", json!({ "answer": answer }))
}

async fn ask(socket: Socket, State(log): State<Log>) {
    let question = socket.emit_with_ack::<Value>("asked", "are you there?");
    let answer = question.timeout(Duration::from_secs(60)).await;
    note(&log, json!({ "answer": format!("{answer:?}") }));
}

async fn leave_me(socket: Socket, Data(all): Data<bool>) {
    socket.disconnect(if all {
        Close::Connection
    } else {
        Close::Namespace
    });
}

async fn whole_log(State(log): State<Log>, ack: Ack<Vec<Value>>) -> Done {
    let lines = log.lock().expect("no handler panics with it").clone();
    ack.send(lines)
}
