//! A native client over tungstenite, which shares no code with the server.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::PATIENCE;

/// What a connection runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection, and what it was told so far and nobody asked for yet.
pub struct Client {
    /// The connection itself.
    pub stream: WebSocketStream<Box<dyn Stream>>,
    waiting: Vec<Value>,
    calls: u64,
}

impl Client {
    /// Connects, and reads nothing yet.
    ///
    /// # Errors
    /// What tungstenite says, with the response of a server that refuses.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::open(url).await.map(|(client, _)| client)
    }

    /// Connects with a request of the test's own: its headers, its subprotocols. Returns the response too.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn open(request: impl IntoClientRequest) -> Result<(Self, Response), Error> {
        let request = request.into_client_request()?;
        let host = request.uri().authority().map_or("", |host| host.as_str());
        let stream = tokio::net::TcpStream::connect(host).await?;
        Self::over(stream, request).await
    }

    /// Connects over a stream that is there already.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn over(
        stream: impl Stream + 'static,
        request: impl IntoClientRequest,
    ) -> Result<(Self, Response), Error> {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (stream, response) =
            tokio_tungstenite::client_async(request.into_client_request()?, stream).await?;
        let client = Self {
            stream,
            waiting: Vec::new(),
            calls: 0,
        };
        Ok((client, response))
    }

    /// Connects with a token and waits until it is let in. Returns the client and its `auth_ok`.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn enter(url: &str) -> (Self, Value) {
        let client = Self::connect(url).await;
        Self::entered(client.unwrap_or_else(|error| panic!("{error}"))).await
    }

    /// Waits until a client that gave its token is let in, and returns it with its `auth_ok`, whose `id` is the session's.
    pub async fn entered(mut client: Self) -> (Self, Value) {
        let welcome = client.expect("welcome").await;
        let mut entered = client.expect("auth_ok").await;
        entered["id"] = welcome["id"].clone();
        (client, entered)
    }

    /// Connects and gives a token, or whatever else comes first, in a message. Waits for nothing.
    ///
    /// # Panics
    /// When the server refuses the connection.
    pub async fn begin(url: &str, first: Value) -> Self {
        let mut client = Self::connect(url).await.expect("the server accepts");
        client.expect("welcome").await;
        client.send(first).await;
        client
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

    /// Sends a message with an `id` that must be refused, and returns the `error` of the reply.
    ///
    /// # Panics
    /// When it is not refused.
    pub async fn refused(&mut self, message: Value) -> Value {
        let reply = self.call(message).await;
        assert!(reply["error"].is_object(), "{reply}");
        reply["error"].clone()
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

    /// Everything up to and without the first message that fits, in order: nothing else came before it.
    pub async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut before = Vec::new();
        loop {
            match self.take().await {
                Ok(message) if fits(&message) => return before,
                Ok(message) => before.push(message),
                Err(close) => panic!("closed: {close:?} after {before:?}"),
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

    /// Closes without a code, and waits until the server has answered.
    pub async fn close(self) {
        self.close_with(None).await;
    }

    /// Closes as a browser does that leaves the page: 1001.
    pub async fn leave_page(self) {
        let away = CloseFrame {
            code: 1001.into(),
            reason: "".into(),
        };
        self.close_with(Some(away)).await;
    }

    async fn close_with(mut self, frame: Option<CloseFrame>) {
        let _ = self.stream.close(frame).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Cuts the connection without a close frame.
    pub fn cut(self) {
        drop(self.stream);
    }
}
