//! A WebSocket by hand, for tests in which bytes matter: masks, fragments, silence.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{self, Answer, HANDSHAKE};

/// A connection whose client does nothing by itself: it answers no ping and no close.
pub struct Raw {
    /// The socket.
    pub stream: TcpStream,
    /// The server's answer to the handshake.
    pub answer: Answer,
    read: Vec<u8>,
}

/// One frame of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// FIN, RSV1 to RSV3 and the opcode.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// A final text frame.
pub const TEXT: u8 = 0x81;
/// A close frame.
pub const CLOSE: u8 = 0x88;
/// A ping.
pub const PING: u8 = 0x89;
/// A pong.
pub const PONG: u8 = 0x8a;

const KEY: [u8; 4] = [7, 77, 177, 200];

impl Raw {
    /// Connects, with more headers if any.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        Self::over(stream, target, headers).await
    }

    /// Connects over a socket that is there already.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn over(mut stream: TcpStream, target: &str, headers: &[(&str, &str)]) -> Self {
        let host = stream.peer_addr().expect("connected");
        let mut text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{HANDSHAKE}");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        stream
            .write_all(text.as_bytes())
            .await
            .expect("it takes the request");
        let (answer, read) = http::read(&mut stream).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        Self {
            stream,
            answer,
            read,
        }
    }

    /// Sends one masked frame.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.stream
            .write_all(&frame(first, payload))
            .await
            .expect("the connection is open");
    }

    /// Sends a message.
    pub async fn send_json(&mut self, message: &Value) {
        self.send(TEXT, message.to_string().as_bytes()).await;
    }

    /// The next frame; `None` at the end of the stream.
    ///
    /// # Panics
    /// When nothing comes, or a frame is masked.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = parse(&self.read) {
                self.read.drain(..len);
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.read);
            let read = tokio::time::timeout(crate::PATIENCE, read).await;
            match read.expect("something comes") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message that is not compressed; control frames before it are passed over.
    ///
    /// # Panics
    /// When the connection ends.
    pub async fn message(&mut self) -> Value {
        loop {
            let frame = self.frame().await.expect("the connection is open");
            if frame.first == TEXT {
                return serde_json::from_slice(&frame.payload).expect("the server sends JSON");
            }
        }
    }

    /// Waits for a message of this type; what comes before it is passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.message().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Waits for the close frame: its code and reason. 1006 when the stream ends without one.
    pub async fn closed(&mut self) -> (u16, String) {
        while let Some(Frame { first, payload }) = self.frame().await {
            if first == CLOSE && payload.len() >= 2 {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                return (code, String::from_utf8_lossy(&payload[2..]).into_owned());
            }
        }
        (1006, String::new())
    }
}

/// A client's frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    let masked = payload.iter().zip(KEY.iter().cycle());
    bytes.extend(masked.map(|(byte, key)| byte ^ key));
    bytes
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert!(second < 0x80, "a server does not mask (RFC 6455 §5.1)");
    let (len, head) = match second {
        126 => (
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
            10,
        ),
        len => (usize::from(len), 2),
    };
    let payload = bytes.get(head..head + len)?.to_vec();
    Some((Frame { first, payload }, head + len))
}
