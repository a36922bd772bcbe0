//! The native client over real sockets, against a server of the test made with tungstenite.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nuncio_client::model::{Epoch, Json, RoomName};
use nuncio_client::{Client, Config, EndReason, Event, Events, JoinFrom};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

#[tokio::test]
async fn over_a_cut_the_client_resumes_and_a_publication_without_a_reply_is_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, mut events) = Client::start(config(&listener));
    let mut server = Server::entered(&listener, "t1").await;
    let lobby = RoomName::parse("lobby").unwrap();
    let joining = tokio::spawn({
        let (client, lobby) = (client.clone(), lobby.clone());
        async move { client.join(&lobby, JoinFrom::Now).await }
    });
    let join = server.next().await;
    let room =
        json!({"roomId": "lobby", "epoch": epoch(), "seq": 3, "recovered": true, "members": 2});
    server
        .say(json!({"ack": join["id"], "data": {"rooms": [room]}}))
        .await;
    assert_eq!(joining.await.unwrap().unwrap().members, 2);

    let publishing = tokio::spawn(async move { client.publish(&lobby, Json::of("Hi")).await });
    let first = server.next().await;
    drop(server);
    let mut server = Server::accept(&listener).await;
    let resume = server.next().await;
    assert_eq!(
        resume["rooms"],
        json!([{"roomId": "lobby", "epoch": epoch(), "seq": 3}])
    );
    let room = json!({"roomId": "lobby", "epoch": epoch(), "seq": 4, "recovered": true});
    server
        .say(json!({"type": "resumed", "id": ID, "resume": "r2", "rooms": [room]}))
        .await;
    let again = server.next().await;
    assert_eq!(again["idempotencyKey"], first["idempotencyKey"]);
    let id = "01K9ZC6Q5F7V2Q8E6J3D4M5N0P";
    server
        .say(json!({"type": "chat:message", "id": id, "seq": 4, "roomId": "lobby", "userId": "ann", "content": "Hi", "ts": 1}))
        .await;
    server
        .say(json!({"ack": again["id"], "data": {"status": "ok", "id": id, "epoch": epoch(), "seq": 4, "ts": 1}}))
        .await;

    assert_eq!(publishing.await.unwrap().unwrap().position.seq, 4);
    let message = until(&mut events, |event| matches!(event, Event::Message(_))).await;
    let Event::Message(message) = message else {
        panic!("{message:?}");
    };
    assert_eq!(message.content.as_str(), "\"Hi\"");
}

#[tokio::test]
async fn after_a_refused_token_the_next_one_is_offered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, mut events) = Client::start(config(&listener));
    let mut server = Server::accept(&listener).await;
    assert_eq!(server.next().await["token"], "t1");
    server.close(1008).await;

    Server::entered(&listener, "t2").await;

    until(&mut events, |event| matches!(event, Event::Online { .. })).await;
    drop(client);
}

#[tokio::test]
async fn close_ends_with_1000_and_nothing_follows() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, mut events) = Client::start(config(&listener));
    let mut server = Server::entered(&listener, "t1").await;
    until(&mut events, |event| matches!(event, Event::Online { .. })).await;

    client.close().await.unwrap();

    let Message::Close(Some(frame)) = server.socket.next().await.unwrap().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1000);
    drop(server);
    until(&mut events, |event| {
        *event == Event::Ended(EndReason::Closed)
    })
    .await;
    assert_eq!(events.next().await, None);
}

/// A client whose tokens are t1, t2, t3, and whose pauses are short.
fn config(listener: &TcpListener) -> Config {
    let count = Arc::new(AtomicU32::new(0));
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let mut config = Config::new(url).token(move || {
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        async move { Some(format!("t{n}")) }
    });
    config.session.backoff.delay_first = Duration::from_millis(1);
    config
}

struct Server {
    socket: WebSocketStream<TcpStream>,
}

impl Server {
    async fn accept(listener: &TcpListener) -> Self {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut server = Self {
            socket: accept_async(tcp).await.unwrap(),
        };
        server
            .say(json!({
                "type": "welcome", "id": ID, "protocol": 1,
                "heartbeat": {"interval": 30000, "timeout": 20000},
                "limits": {"messageBytes": 65536, "rooms": 100, "ratePerSecond": 10, "burst": 20, "historyMax": 100},
                "server": "nuncio/0.1.0",
            }))
            .await;
        server
    }

    async fn entered(listener: &TcpListener, token: &str) -> Self {
        let mut server = Self::accept(listener).await;
        assert_eq!(server.next().await, json!({"type": "auth", "token": token}));
        server
            .say(json!({"type": "auth_ok", "user": {"sub": "ann"}, "resume": "r1"}))
            .await;
        server
    }

    async fn say(&mut self, message: Value) {
        let text = Message::text(message.to_string());
        self.socket.send(text).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let message = self.socket.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    async fn close(&mut self, code: u16) {
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.socket.close(Some(frame)).await.unwrap();
    }
}

async fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.next().await.expect("it goes on");
        if wanted(&event) {
            return event;
        }
    }
}

fn epoch() -> String {
    Epoch::from_random(7).to_string()
}

const ID: &str = "wq0c9cXH0dJ5cqkeXWzM";
