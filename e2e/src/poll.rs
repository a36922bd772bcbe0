//! A native client that polls, by hand.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::{self, Answer};

/// A session over `/poll` and `/send`.
pub struct Poll {
    address: SocketAddr,
    /// What is sent with each request: the newest resume token.
    pub session: String,
    /// What was acknowledged.
    pub cursor: u64,
    bodies: u64,
    waiting: std::collections::VecDeque<Value>,
}

impl Poll {
    /// Opens a session with its first message.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn open(address: SocketAddr, first: &Value) -> Self {
        let answer = Self::try_open(address, first).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::of(address, &answer)
    }

    /// The same, whatever the server says.
    pub async fn try_open(address: SocketAddr, first: &Value) -> Answer {
        http::ask(address, "POST", "/poll", &[], &first.to_string()).await
    }

    /// Opens a session with a token.
    pub async fn enter(address: SocketAddr, token: &str) -> Self {
        Self::open(address, &json!({ "type": "auth", "token": token })).await
    }

    /// The session that an answer to `POST /poll` opened.
    pub fn of(address: SocketAddr, answer: &Answer) -> Self {
        let mut poll = Self {
            address,
            session: String::new(),
            cursor: 0,
            bodies: 0,
            waiting: std::collections::VecDeque::new(),
        };
        poll.take(&answer.json());
        poll
    }

    fn take(&mut self, batch: &Value) {
        self.cursor = batch["cursor"].as_u64().expect("a cursor");
        for message in batch["messages"].as_array().expect("messages") {
            if message["type"].is_string()
                && let Some(resume) = message["resume"].as_str()
            {
                self.session = resume.to_owned();
            }
            self.waiting.push_back(message.clone());
        }
    }

    /// The header that names the session.
    pub fn authorization(&self) -> String {
        format!("Nuncio-Session {}", self.session)
    }

    /// One poll, as it is answered.
    pub async fn ask(&self, cursor: u64) -> Answer {
        let authorization = self.authorization();
        let headers = [("Authorization", &*authorization)];
        http::ask(
            self.address,
            "GET",
            &format!("/poll?cursor={cursor}"),
            &headers,
            "",
        )
        .await
    }

    /// The next message.
    ///
    /// # Panics
    /// When the session is gone.
    pub async fn next(&mut self) -> Value {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return message;
            }
            let answer = self.ask(self.cursor).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            self.take(&answer.json());
        }
    }

    /// What came and was not looked at yet.
    pub fn received(&mut self) -> Vec<Value> {
        self.waiting.drain(..).collect()
    }

    /// Waits for a message of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Waits for the reply to a call.
    pub async fn reply(&mut self, id: u64) -> Value {
        loop {
            let message = self.next().await;
            if message["ack"] == id {
                return message;
            }
        }
    }

    /// Sends messages in a body with the next number.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn send(&mut self, messages: &[Value]) {
        self.bodies += 1;
        let body = json!({ "n": self.bodies, "messages": messages });
        let answer = self.post(&body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends a body.
    pub async fn post(&self, body: &Value) -> Answer {
        let authorization = self.authorization();
        let headers = [("Authorization", &*authorization)];
        http::ask(self.address, "POST", "/send", &headers, &body.to_string()).await
    }

    /// Sends one message and waits for its reply.
    pub async fn call(&mut self, message: Value) -> Value {
        let id = message["id"].as_u64().expect("an id");
        self.send(&[message]).await;
        self.reply(id).await
    }
}
