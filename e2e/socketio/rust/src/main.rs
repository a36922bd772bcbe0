//! rust_socketio over each of its transports, against a running judge server (`e2e/src/bin/judged.rs`): `official-rust http://127.0.0.1:8080`.
//!
//! Left out is what it cannot do, or gets wrong by itself: see the table in `e2e/socketio/README.md`.

use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(15);

const TRANSPORTS: [(&str, TransportType); 3] = [
    ("polling", TransportType::Polling),
    ("websocket", TransportType::Websocket),
    ("polling, then websocket", TransportType::WebsocketUpgrade),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [url] => run_all(url),
        [url, transport, "stay"] => stay_connected(&Server::over(transport, url)?),
        [url, transport, scenario] => {
            let known = SCENARIOS.iter().find(|(name, _)| name == scenario);
            let (_, run) = known.context("no such scenario")?;
            run(&Server::over(transport, url)?)
        }
        _ => anyhow::bail!("usage: official-rust URL [TRANSPORT SCENARIO | TRANSPORT stay]"),
    }
}

/// Runs each scenario in a process of its own: a client that is done with leaves a thread behind that never rests.
fn run_all(url: &str) -> Result<()> {
    for (transport, _) in TRANSPORTS {
        for (scenario, _) in SCENARIOS {
            let mut alone = Command::new(std::env::current_exe()?);
            let status = alone.args([url, transport, scenario]).status()?;
            ensure!(status.success(), "{transport}: {scenario}");
            println!("ok {transport}: {scenario}");
        }
    }
    Ok(())
}

type Scenario = fn(&Server<'_>) -> Result<()>;

const SCENARIOS: [(&str, Scenario); 8] = [
    ("a wrong token is refused with data", wrong_token),
    ("a middleware refuses with data", middleware),
    (
        "1,000 messages are acknowledged and reach the room in order",
        room,
    ),
    ("private messages and typing", private_and_typing),
    ("a message of 900 KB goes both ways", large),
    (
        "binary data goes to everybody, and comes as an acknowledgement",
        binary,
    ),
    ("1,000 events of the server arrive in order", count),
    ("a client that is sent away hears of it", sent_away),
];

fn wrong_token(server: &Server<'_>) -> Result<()> {
    let refusal = server.refused("/", json!({ "token": "wrong" }))?;
    ensure!(refusal.contains("Authentication failed"), "{refusal}");
    ensure!(refusal.contains("NOT_AUTHENTICATED"), "{refusal}");
    Ok(())
}

fn middleware(server: &Server<'_>) -> Result<()> {
    let auth = json!({ "token": server.token("ann")?, "word": "refuse me" });
    let refusal = server.refused("/judge", auth)?;
    ensure!(refusal.contains("not in here"), "{refusal}");
    ensure!(refusal.contains(r#""days":[1,2]"#), "{refusal}");
    Ok(())
}

fn room(server: &Server<'_>) -> Result<()> {
    let room = &server.room("lobby");
    let (bob, heard) = server.member("bob", room, "message:new")?;
    let (ann, own) = server.member("ann", room, "message:new")?;
    for number in 0..1000 {
        ann.emit("message:send", json!({ "roomId": room, "content": number }))?;
    }
    for number in 0..1000 {
        let message = next(&heard)?;
        ensure!(message["content"] == number, "{number}: {message}");
        ensure!(
            message["userId"] == "ann" && message["seq"] == number + 1,
            "{message}"
        );
        ensure!(next(&own)?["id"] == message["id"], "{message}");
    }
    let sent = ask(
        &ann,
        "message:send",
        json!({ "roomId": room, "content": "last" }),
    )?;
    ensure!(next(&heard)?["id"] == sent["id"], "{sent}");
    end([ann, bob])
}

fn private_and_typing(server: &Server<'_>) -> Result<()> {
    let room = &server.room("desk");
    let (bob, typed) = server.member("bob", room, "user:typing")?;
    let (ann, whispered) = server.member("ann", room, "message:private")?;
    let whisper = json!({ "to": "ann", "content": "psst" });
    let answer = ask(&bob, "message:private", whisper)?;
    ensure!(answer["sessions"] == 1, "{answer}");
    ensure!(next(&whispered)?["content"] == "psst");
    ann.emit("typing:start", json!(room))?;
    ensure!(next(&typed)?["userId"] == "ann");
    end([ann, bob])
}

fn large(server: &Server<'_>) -> Result<()> {
    let room = &server.room("large");
    let (ann, heard) = server.member("ann", room, "message:new")?;
    let content = "é".repeat(450_000);
    ask(
        &ann,
        "message:send",
        json!({ "roomId": room, "content": content }),
    )?;
    ensure!(
        next(&heard)?["content"] == content,
        "900 KB came back changed"
    );
    end([ann])
}

fn binary(server: &Server<'_>) -> Result<()> {
    // Without 0x1e: this client splits binary data there.
    let bytes: Vec<u8> = (0..20_000_u32).map(|n| (n % 29) as u8).collect();
    let (ann, own) = server.judged("ann", "bytes")?;
    let (bob, heard) = server.judged("bob", "bytes")?;
    ann.emit("bytes", Payload::Binary(bytes.clone().into()))?;
    for told in [own, heard] {
        let Payload::Binary(told) = told.recv_timeout(PATIENCE)? else {
            anyhow::bail!("text came");
        };
        ensure!(*told == *bytes, "{} bytes came", told.len());
    }

    let (tell, told) = channel();
    ann.emit_with_ack("fetch", json!(1_000), PATIENCE, tells(tell))?;
    let fetched = loop {
        // The text of the acknowledgement comes first, by itself.
        if let Payload::Binary(bytes) = told.recv_timeout(PATIENCE)? {
            break bytes;
        }
    };
    ensure!(*fetched == [7; 1_000], "{} bytes came", fetched.len());
    end([ann, bob])
}

fn count(server: &Server<'_>) -> Result<()> {
    let (ann, numbers) = server.judged("ann", "number")?;
    ann.emit("count", json!(1000))?;
    for number in 0..1000 {
        let came = first(numbers.recv_timeout(PATIENCE)?);
        ensure!(came == number, "{came} instead of {number}");
    }
    end([ann])
}

fn sent_away(server: &Server<'_>) -> Result<()> {
    for event in ["leave", "hang up"] {
        let (ann, ends) = server.judged("ann", Event::Close)?;
        ann.emit(event, json!(null))?;
        ends.recv_timeout(PATIENCE)?;
    }
    Ok(())
}

/// Says each time that it is connected, and ends with its standard input.
fn stay_connected(server: &Server<'_>) -> Result<()> {
    let _client = server
        .builder("/", json!({ "token": server.token("ann")? }))
        .reconnect(true)
        .reconnect_on_disconnect(true)
        .reconnect_delay(50, 500)
        .on(Event::Connect, |_, _| println!("connected"))
        .on(Event::Error, |payload, _| eprintln!("{payload:?}"))
        .connect()?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

struct Server<'a> {
    url: &'a str,
    transport: TransportType,
    name: &'a str,
}

impl<'a> Server<'a> {
    fn over(transport: &'a str, url: &'a str) -> Result<Self> {
        let known = TRANSPORTS.into_iter().find(|(name, _)| *name == transport);
        let (name, transport) = known.context("no such transport")?;
        Ok(Self {
            url,
            transport,
            name,
        })
    }

    /// A room that no other scenario has.
    fn room(&self, name: &str) -> String {
        format!("rust {name} {}", self.name)
    }

    /// With which words a client is not let in.
    fn refused(&self, namespace: &str, auth: Value) -> Result<String> {
        let (tell, told) = channel();
        let client = self
            .builder(namespace, auth)
            .on(Event::Error, move |payload, _| {
                let _ = tell.send(match payload {
                    Payload::Text(words) => json!(words).to_string().replace('\\', ""),
                    _ => "no text".to_owned(),
                });
            })
            .connect()?;
        let refusal = told.recv_timeout(PATIENCE)?;
        let _ = client.disconnect();
        Ok(refusal)
    }

    /// A client in the room; what comes by the event comes out of the receiver.
    fn member(&self, name: &str, room: &str, event: &str) -> Result<(Client, Receiver<Value>)> {
        let (tell, told) = channel();
        let (client, heard) = self.connected("/", name, event)?;
        ask(&client, "room:join", json!(room))?;
        std::thread::spawn(move || {
            while let Ok(payload) = heard.recv() {
                let _ = tell.send(first(payload));
            }
        });
        Ok((client, told))
    }

    /// The same in the namespace of the judges, with what comes as it is.
    fn judged(&self, name: &str, event: impl Into<Event>) -> Result<(Client, Receiver<Payload>)> {
        self.connected("/judge", name, event)
    }

    fn connected(
        &self,
        namespace: &str,
        name: &str,
        event: impl Into<Event>,
    ) -> Result<(Client, Receiver<Payload>)> {
        let (tell, told) = channel();
        let (connected, connects) = channel();
        let client = self
            .builder(namespace, json!({ "token": self.token(name)? }))
            .on(Event::Connect, tells(connected))
            .on(event, tells(tell))
            .connect()?;
        connects.recv_timeout(PATIENCE)?;
        Ok((client, told))
    }

    fn builder(&self, namespace: &str, auth: Value) -> ClientBuilder {
        ClientBuilder::new(self.url)
            .namespace(namespace)
            .transport_type(self.transport.clone())
            .auth(auth)
            .reconnect(false)
    }

    fn token(&self, name: &str) -> Result<String> {
        let mut response =
            ureq::post(format!("{}/demo/token", self.url)).send_json(json!({ "name": name }))?;
        let body: Value = response.body_mut().read_json()?;
        Ok(body["token"].as_str().context("no token")?.to_owned())
    }
}

fn tells(tell: Sender<Payload>) -> impl FnMut(Payload, rust_socketio::RawClient) + Send + 'static {
    move |payload, _| {
        let _ = tell.send(payload);
    }
}

/// Emits, and waits for an acknowledgement that must be a good one.
fn ask(client: &Client, event: &str, argument: Value) -> Result<Value> {
    let (tell, told) = channel();
    client.emit_with_ack(event, argument, PATIENCE, tells(tell))?;
    let answer = first(told.recv_timeout(PATIENCE)?);
    // The arguments come in a list of their own.
    let answer = if answer.is_array() {
        answer[0].clone()
    } else {
        answer
    };
    ensure!(answer["status"] == "ok", "{event}: {answer}");
    Ok(answer)
}

/// The first argument of an event, if it is text.
fn first(payload: Payload) -> Value {
    match payload {
        Payload::Text(arguments) => arguments.into_iter().next().unwrap_or_default(),
        _ => Value::Null,
    }
}

fn next(heard: &Receiver<Value>) -> Result<Value> {
    Ok(heard.recv_timeout(PATIENCE)?)
}

fn end<const N: usize>(clients: [Client; N]) -> Result<()> {
    for client in clients {
        client.disconnect()?;
    }
    Ok(())
}
