//! A Socket.IO client over a WebSocket, by hand.

use futures_util::{SinkExt as _, StreamExt as _};
use nuncio_e2e::{PATIENCE, TestServer};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// One connection, with all its namespaces.
pub(crate) struct SocketIo {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: Vec<String>,
    acks: u64,
}

impl SocketIo {
    pub(crate) async fn enter(server: &TestServer, user: &str, namespace: &str) -> Self {
        Self::enter_with(server, &server.token(user), namespace).await
    }

    pub(crate) async fn enter_with(server: &TestServer, token: &str, namespace: &str) -> Self {
        let url = format!(
            "ws://{}/socket.io/?EIO=4&transport=websocket",
            server.address
        );
        let (stream, _) = connect_async(url).await.unwrap();
        let mut client = Self {
            stream,
            waiting: Vec::new(),
            acks: 0,
        };
        assert!(client.packet().await.starts_with('0'));
        client.open(namespace, token).await;
        client
    }

    /// Joins a namespace.
    pub(crate) async fn open(&mut self, namespace: &str, token: &str) {
        let place = place(namespace);
        self.send(format!("40{place}{}", json!({"token": token})))
            .await;
        self.find(&format!("40{place}{{")).await;
    }

    pub(crate) async fn join(&mut self, room: &str) {
        let answer = self.ask("/", "room:join", json!(room)).await;
        assert_eq!(answer["status"], "ok", "{answer}");
    }

    /// Emits an event and returns the first argument of its acknowledgement.
    pub(crate) async fn ask(&mut self, namespace: &str, event: &str, argument: Value) -> Value {
        self.acks += 1;
        let (place, ack) = (place(namespace), self.acks);
        self.send(format!("42{place}{ack}{}", json!([event, argument])))
            .await;
        let packet = self.find(&format!("43{place}{ack}[")).await;
        let at = packet.find('[').unwrap();
        serde_json::from_str::<Value>(&packet[at..]).unwrap()[0].clone()
    }

    /// Waits for an event of the main namespace and returns its first argument.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        let packet = self.find(&format!("42[\"{name}\"")).await;
        serde_json::from_str::<Value>(&packet[2..]).unwrap()[1].clone()
    }

    /// The next packet, but for pings and what is told of others.
    pub(crate) async fn packet(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match message.expect("something comes") {
                Some(Ok(Message::Text(text))) if text == "2" || text.contains("presence:") => {}
                Some(Ok(Message::Text(text))) => return text.to_string(),
                other => panic!("closed: {other:?}"),
            }
        }
    }

    async fn find(&mut self, start: &str) -> String {
        let fits = |packet: &String| packet.starts_with(start);
        if let Some(index) = self.waiting.iter().position(fits) {
            return self.waiting.remove(index);
        }
        loop {
            let packet = self.packet().await;
            if packet.starts_with(start) {
                return packet;
            }
            self.waiting.push(packet);
        }
    }

    async fn send(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }
}

fn place(namespace: &str) -> String {
    if namespace == "/" {
        String::new()
    } else {
        format!("{namespace},")
    }
}
