//! HTTP by hand, for what a client library would hide.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The headers of a WebSocket handshake, but for `Host` and those that a test adds.
pub const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// One response, as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// What followed them.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks for a path.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[], "").await
}

/// Sends one request with `Host` and these headers, and reads the response.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += &format!("\r\n{body}");
    send(address, &text).await
}

/// Asks for a WebSocket connection, and reads the response to it.
pub async fn upgrade(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut text = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{HANDSHAKE}");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    send(address, &text).await
}

/// Sends these bytes on a connection of their own, and reads one response.
///
/// # Panics
/// When the server does not answer.
pub async fn send(address: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream
        .write_all(text.as_bytes())
        .await
        .expect("it takes the request");
    let (answer, rest) = read(&mut stream).await;
    assert!(
        answer.status == 101 || rest.is_empty(),
        "more than one response: {rest:?}"
    );
    answer
}

/// Reads one response; what came behind it is returned beside it.
///
/// # Panics
/// When the stream ends before its end.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> (Answer, Vec<u8>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Answer {
        status: status.expect("a status line"),
        head,
        body: Vec::new(),
    };
    let len = answer
        .header("content-length")
        .map_or(0, |len| len.parse().expect("a length"));
    while body.len() < len {
        more(stream, &mut body).await;
    }
    let rest = body.split_off(len);
    answer.body = body;
    (answer, rest)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) {
    let len = tokio::time::timeout(crate::PATIENCE, stream.read_buf(bytes))
        .await
        .expect("the server answers")
        .expect("the server answers");
    assert!(
        len > 0,
        "cut response: {:?}",
        String::from_utf8_lossy(bytes)
    );
}
