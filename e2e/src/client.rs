//! A native client over tungstenite, which shares no code with the server.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// One connection, and what it was told so far and nobody asked for yet.
pub struct Client {
    /// The connection itself.
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: Vec<Value>,
    calls: u64,
}

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(10);

impl Client {
    /// Connects, and reads nothing yet.
    ///
    /// # Errors
    /// What tungstenite says, with the response of a server that refuses.
    pub async fn connect(url: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let (stream, _) = tokio_tungstenite::connect_async(url).await?;
        Ok(Self {
            stream,
            waiting: Vec::new(),
            calls: 0,
        })
    }

    /// Connects with a token and waits until it is let in. Returns the client and its `auth_ok`.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn enter(url: &str) -> (Self, Value) {
        let mut client = Self::connect(url).await.expect("the server accepts");
        let welcome = client.expect("welcome").await;
        let mut entered = client.expect("auth_ok").await;
        entered["id"] = welcome["id"].clone();
        (client, entered)
    }

    /// Sends a message as it is.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends a text.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send_text(&mut self, text: &str) {
        self.stream
            .send(Message::text(text))
            .await
            .expect("the connection is open");
    }

    /// Sends a message with an `id` and waits for its reply: the whole message with `ack`.
    pub async fn call(&mut self, mut message: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        message["id"] = json!(id);
        self.send(message).await;
        self.find(|message| message["ack"] == json!(id)).await
    }

    /// Joins a room and returns the `data` of the reply.
    ///
    /// # Panics
    /// When the join is refused.
    pub async fn join(&mut self, room: &str) -> Value {
        let reply = self
            .call(json!({"type": "room:join", "roomId": room}))
            .await;
        assert!(reply["error"].is_null(), "{reply}");
        reply["data"].clone()
    }

    /// Publishes and returns the `data` of the acknowledgement.
    ///
    /// # Panics
    /// When the publish is refused.
    pub async fn publish(&mut self, room: &str, content: &str) -> Value {
        let reply = self
            .call(json!({"type": "chat:message", "roomId": room, "content": content}))
            .await;
        assert!(reply["error"].is_null(), "{reply}");
        reply["data"].clone()
    }

    /// Waits for the next message of a type; what comes before it is kept for later.
    pub async fn expect(&mut self, kind: &str) -> Value {
        self.find(|message| message["type"] == kind).await
    }

    /// Waits for the first message that fits; what comes before it is kept for later.
    pub async fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(index);
        }
        loop {
            let message = self
                .next()
                .await
                .unwrap_or_else(|close| panic!("closed: {close:?}; waiting: {:?}", self.waiting));
            if fits(&message) {
                return message;
            }
            self.waiting.push(message);
        }
    }

    /// The next message in the order of arrival; what was kept comes first. The error is the close frame, if there was one.
    ///
    /// # Errors
    /// The connection ended.
    ///
    /// # Panics
    /// When nothing comes.
    pub async fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .expect("something comes");
            match message {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("the server sends JSON"));
                }
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next kept or new message.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn take(&mut self) -> Result<Value, Option<CloseFrame>> {
        if self.waiting.is_empty() {
            self.next().await
        } else {
            Ok(self.waiting.remove(0))
        }
    }

    /// Waits for the end and returns the close code and reason; 1006 without a close frame.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Ok(message) => self.waiting.push(message),
                Err(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                Err(None) => return (1006, String::new()),
            }
        }
    }

    /// Everything that comes within a moment in which nothing should.
    pub async fn quiet(&mut self, pause: Duration) -> Vec<Value> {
        let mut came = std::mem::take(&mut self.waiting);
        let deadline = tokio::time::Instant::now() + pause;
        while let Ok(Some(Ok(message))) =
            tokio::time::timeout_at(deadline, self.stream.next()).await
        {
            if let Message::Text(text) = message {
                came.push(serde_json::from_str(&text).expect("the server sends JSON"));
            }
        }
        came
    }

    /// Closes with a code, and waits until the server has answered.
    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Cuts the connection without a close frame.
    pub fn cut(self) {
        drop(self.stream);
    }
}
