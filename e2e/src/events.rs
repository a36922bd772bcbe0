//! Server-sent events by hand: what comes, as it comes, with the ids.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::Answer;

/// A stream of events over one HTTP/1.1 connection.
pub struct Events {
    /// The head of the response.
    pub answer: Answer,
    stream: TcpStream,
    /// Bytes whose chunk is not whole yet.
    raw: Vec<u8>,
    /// What was in the chunks and is no whole event yet.
    text: String,
    /// The id of the last event that had one.
    pub last_id: Option<String>,
    /// Comments so far: heartbeats.
    pub comments: usize,
    /// The last `retry:`, in milliseconds.
    pub retry: Option<u64>,
    ended: bool,
}

impl Events {
    /// Asks for a stream.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn open(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream
            .write_all(head.as_bytes())
            .await
            .expect("it takes the request");
        let (answer, raw) = crate::http::read(&mut stream).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        // What ends at once may have a length instead of chunks.
        let ended = answer.header("content-length").is_some();
        Self {
            text: answer.text(),
            answer,
            stream,
            raw,
            last_id: None,
            comments: 0,
            retry: None,
            ended,
        }
    }

    /// The next message; `None` at the proper end of the stream.
    ///
    /// # Panics
    /// When nothing comes, or the stream breaks off.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let event = self.text.drain(..end + 2).collect::<String>();
                if let Some(message) = self.read_event(&event) {
                    return Some(message);
                }
            }
            if self.ended {
                return None;
            }
            self.more().await;
        }
    }

    /// Waits for a message of this type; what comes before it is passed over.
    ///
    /// # Panics
    /// When the stream ends.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Waits for the reply to a call.
    ///
    /// # Panics
    /// When the stream ends.
    pub async fn reply(&mut self, id: u64) -> Value {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if message["ack"] == id {
                return message;
            }
        }
    }

    /// Waits until there were so many comments.
    pub async fn beats(&mut self, comments: usize) {
        while self.comments < comments {
            self.more().await;
            while let Some(end) = self.text.find("\n\n") {
                let event = self.text.drain(..end + 2).collect::<String>();
                assert!(self.read_event(&event).is_none(), "{event}");
            }
        }
    }

    fn read_event(&mut self, event: &str) -> Option<Value> {
        let mut data = None;
        for line in event.lines() {
            if let Some(text) = line.strip_prefix("data: ") {
                assert!(data.is_none(), "one line each: {event}");
                data = Some(serde_json::from_str(text).expect("the server sends JSON"));
            } else if let Some(id) = line.strip_prefix("id: ") {
                self.last_id = Some(id.to_owned());
            } else if let Some(retry) = line.strip_prefix("retry: ") {
                self.retry = Some(retry.parse().expect("a number"));
            } else if line.starts_with(':') {
                self.comments += 1;
            } else {
                assert!(line.is_empty(), "{line:?}");
            }
        }
        data
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.raw);
        let read = tokio::time::timeout(crate::PATIENCE, read).await;
        let len = read.expect("something comes").expect("the stream is whole");
        assert!(len > 0, "the stream broke off");
        self.unchunk();
    }

    /// Takes whole chunks out of what was read (RFC 9112 §7.1).
    fn unchunk(&mut self) {
        while let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            if self.raw.len() < end + 2 + size + 2 {
                return;
            }
            let chunk = &self.raw[end + 2..end + 2 + size];
            self.text += std::str::from_utf8(chunk).expect("text");
            self.raw.drain(..end + 2 + size + 2);
            if size == 0 {
                self.ended = true;
                return;
            }
        }
    }
}
