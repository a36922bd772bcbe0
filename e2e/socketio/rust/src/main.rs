//! rust_socketio over each of its transports, against a running server in demo mode: `official-rust http://127.0.0.1:8080`.
//!
//! Left out is what it gets wrong by itself: it asks for an acknowledgement of binary data as if it gave one, and of several binary
//! arguments it hands on the first.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(15);

fn main() -> Result<()> {
    let url = std::env::args()
        .nth(1)
        .context("usage: official-rust URL")?;
    for (name, transport) in [
        ("polling", TransportType::Polling),
        ("websocket", TransportType::Websocket),
        ("polling, then websocket", TransportType::WebsocketUpgrade),
    ] {
        let server = Server {
            url: &url,
            transport,
        };
        server.refuses_a_wrong_token().context(name)?;
        server
            .carries_a_room(&format!("rust {name}"))
            .context(name)?;
        server
            .carries_what_is_large(&format!("rust large {name}"))
            .context(name)?;
        println!("ok {name}");
    }
    Ok(())
}

struct Server<'a> {
    url: &'a str,
    transport: TransportType,
}

impl Server<'_> {
    fn refuses_a_wrong_token(&self) -> Result<()> {
        let (tell, told) = channel();
        let client = self
            .builder("wrong")
            .on(Event::Error, move |payload, _| {
                let _ = tell.send(format!("{payload:?}"));
            })
            .connect()?;
        let refusal = told.recv_timeout(PATIENCE)?;
        ensure!(refusal.contains("Authentication failed"), "{refusal}");
        let _ = client.disconnect();
        Ok(())
    }

    fn carries_a_room(&self, room: &str) -> Result<()> {
        let (bob, heard) = self.member("bob", room, "message:new")?;
        let (ann, whispered) = self.member("ann", room, "message:private")?;

        for number in 0..200 {
            ann.emit("message:send", json!({ "roomId": room, "content": number }))?;
        }
        for number in 0..200 {
            let message = next(&heard)?;
            ensure!(message["content"] == number, "{number}: {message}");
            ensure!(
                message["userId"] == "ann" && message["seq"] == number + 1,
                "{message}"
            );
        }
        let answer = ask(
            &bob,
            "message:private",
            json!({ "to": "ann", "content": "psst" }),
        )?;
        ensure!(answer["sessions"] == 1, "{answer}");
        ensure!(next(&whispered)?["content"] == "psst");
        ann.disconnect()?;
        bob.disconnect()?;
        Ok(())
    }

    fn carries_what_is_large(&self, room: &str) -> Result<()> {
        let (ann, heard) = self.member("ann", room, "message:new")?;
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
        ann.disconnect()?;
        Ok(())
    }

    /// A client in the room; what comes by the event comes out of the receiver.
    fn member(&self, name: &str, room: &str, event: &str) -> Result<(Client, Receiver<Value>)> {
        let (tell, told) = channel();
        let (connected, connects) = channel();
        let client = self
            .builder(&self.token(name)?)
            .on(Event::Connect, move |_, _| {
                let _ = connected.send(());
            })
            .on(event, move |payload, _| {
                if let Payload::Text(arguments) = payload {
                    let _ = tell.send(arguments.into_iter().next().unwrap_or_default());
                }
            })
            .connect()?;
        connects.recv_timeout(PATIENCE)?;
        ask(&client, "room:join", json!(room))?;
        Ok((client, told))
    }

    fn builder(&self, token: &str) -> ClientBuilder {
        ClientBuilder::new(self.url)
            .transport_type(self.transport.clone())
            .auth(json!({ "token": token }))
            .reconnect(false)
    }

    fn token(&self, name: &str) -> Result<String> {
        let mut response =
            ureq::post(format!("{}/demo/token", self.url)).send_json(json!({ "name": name }))?;
        let body: Value = response.body_mut().read_json()?;
        Ok(body["token"].as_str().context("no token")?.to_owned())
    }
}

/// Emits, and waits for an acknowledgement that must be a good one.
fn ask(client: &Client, event: &str, argument: Value) -> Result<Value> {
    let (tell, told) = channel();
    client.emit_with_ack(event, argument, PATIENCE, move |payload, _| {
        if let Payload::Text(arguments) = payload {
            let _ = tell.send(arguments);
        }
    })?;
    let answer = json!(told.recv_timeout(PATIENCE)?);
    // The arguments come in a list of their own.
    let answer = if answer[0].is_array() {
        &answer[0][0]
    } else {
        &answer[0]
    };
    ensure!(answer["status"] == "ok", "{event}: {answer}");
    Ok(answer.clone())
}

fn next(heard: &Receiver<Value>) -> Result<Value> {
    Ok(heard.recv_timeout(PATIENCE)?)
}
