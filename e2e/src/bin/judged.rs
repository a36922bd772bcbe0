//! What outside clients are tried against: the demo with the guide's events, and beside it `/judge`, where handlers in Rust do what the guide's events do
//! not: ask the client, answer with binary data, send it away. Usage, as of `nuncio`: `judged --listen 127.0.0.1:8080 --set section.key=value …`

use nuncio::ServerBuilder;
use nuncio::config::{Config, Sources};
use nuncio::io::{Ack, Binary, Close, Data, Done, Io, Namespace, Refused, Socket};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = flags(std::env::args().skip(1))?;
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let io = Io::new();
    judge(&io.of("/judge"));
    let server = ServerBuilder::from(Config::load(&sources)?);
    Ok(server.io(&io).bind().await?.run().await?)
}

fn flags(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Vec<String>> {
    let mut flags = Vec::new();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        flags.push(match argument.as_str() {
            "--set" => value,
            "--listen" => format!("server.listen={value}"),
            _ => anyhow::bail!("{argument}: only --listen and --set are known"),
        });
    }
    Ok(flags)
}

fn judge(namespace: &Namespace) {
    namespace.middleware(look);
    namespace.on_connect(async |socket: Socket| {
        socket.on("echo", echo).on("draw", draw);
        socket.on("ask", ask).on("ask picture", ask_picture);
        socket.on("tell", tell).on("count", count);
        socket.on("bytes", bytes).on("fetch", fetch);
        socket.on("leave", async |socket: Socket| {
            socket.disconnect(Close::Namespace);
        });
        socket.on("hang up", async |socket: Socket| {
            socket.disconnect(Close::Connection);
        });
    });
}

/// Lets everybody in but those who say `word: "refuse me"`.
async fn look(socket: Socket) -> Result<(), Refused> {
    match socket.handshake().auth::<Value>() {
        Ok(auth) if auth["word"] == "refuse me" => {
            Err(Refused::new("not in here").data(json!({ "retry": false, "days": [1, 2] })))
        }
        _ => Ok(()),
    }
}

/// Acknowledges with what came.
async fn echo(Data(what): Data<Value>, ack: Ack) -> Done {
    ack.send(what)
}

#[derive(Serialize, Deserialize)]
struct Picture {
    name: String,
    pixels: Binary,
}

/// Acknowledges with what came: text, binary data, and binary data within an object.
async fn draw(
    Data((title, thumb, picture)): Data<(String, Binary, Picture)>,
    ack: Ack<(String, Binary, Picture)>,
) -> Done {
    ack.send((title, thumb, picture))
}

/// Asks the client, and emits what it answered.
async fn ask(socket: Socket, Data(what): Data<Value>) -> Result<(), Failure> {
    let answer: Value = socket.emit_with_ack("question", what).await?;
    Ok(socket.emit("answered", answer)?)
}

/// The same with binary data in both directions.
async fn ask_picture(socket: Socket, Data(thumb): Data<Binary>) -> Result<(), Failure> {
    let question = socket.emit_with_ack::<(String, Binary)>("picture?", thumb);
    let (name, pixels) = question.await?;
    Ok(socket.emit("answered", (name, pixels))?)
}

/// Tells everybody in the namespace.
async fn tell(socket: Socket, Data((text, bytes)): Data<(String, Binary)>) -> Done {
    socket.namespace().emit("told", (text, bytes))
}

/// The same with nothing but binary data.
async fn bytes(socket: Socket, Data(bytes): Data<Binary>) -> Done {
    socket.namespace().emit("bytes", bytes)
}

/// Acknowledges with so many bytes.
async fn fetch(Data(len): Data<usize>, ack: Ack<Binary>) -> Done {
    ack.send(vec![7; len.min(100_000)].into())
}

/// Emits so many numbers.
async fn count(socket: Socket, Data(numbers): Data<u32>) -> Done {
    (0..numbers).try_for_each(|number| socket.emit("number", number))
}
