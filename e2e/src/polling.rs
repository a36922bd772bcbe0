//! A Socket.IO client that polls, by hand.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http::{self, Answer};
use crate::raw::Raw;

/// One Engine.IO session over polling. It does nothing by itself.
pub struct Poller {
    /// Where the server is.
    pub address: SocketAddr,
    /// The path of its requests, with the query.
    pub path: String,
    /// The path by which it upgrades.
    pub websocket: String,
    /// The answer that opened the session.
    pub opened: Answer,
    version: Version,
}

/// The revision of Engine.IO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Clients 2.x.
    V3,
    /// Clients 3.x and 4.x.
    V4,
}

impl Poller {
    /// Opens a session. `query` is added to each request's: `&token=…`, `&b64=1`.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn open(address: SocketAddr, version: Version, query: &str) -> Self {
        let number = match version {
            Version::V3 => 3,
            Version::V4 => 4,
        };
        let base = format!("/socket.io/?EIO={number}{query}&transport=");
        let opened = http::get(address, &format!("{base}polling")).await;
        let text = opened.text();
        assert_eq!(opened.status, 200, "{text}");
        let sid = text
            .split(r#""sid":""#)
            .nth(1)
            .and_then(|rest| rest.get(..20));
        let sid = sid.expect("an OPEN packet has a sid");
        Self {
            address,
            path: format!("{base}polling&sid={sid}"),
            websocket: format!("{base}websocket&sid={sid}"),
            opened,
            version,
        }
    }

    /// Sends one packet, which must be taken.
    pub async fn post(&self, packet: &str) {
        let body = match self.version {
            Version::V3 => framed(packet),
            Version::V4 => packet.to_owned(),
        };
        let answer = http::ask(self.address, "POST", &self.path, &[], &body).await;
        assert_eq!((answer.status, &*answer.text()), (200, "ok"));
    }

    /// Sends a body as it is, of the type of binary payloads.
    ///
    /// # Panics
    /// When the connection fails.
    pub async fn post_bytes(&self, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.address,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        stream.write_all(&request).await.expect("it is taken");
        http::read(&mut stream).await.0
    }

    /// Polls once.
    pub async fn get(&self) -> Answer {
        http::get(self.address, &self.path).await
    }

    /// Polls until a text has come, and gives all that came.
    pub async fn poll_until(&self, wanted: &str) -> String {
        let mut came = String::new();
        while !came.contains(wanted) {
            let answer = self.get().await;
            assert_eq!(answer.status, 200, "{came}");
            came += &answer.text();
            came.push('\n');
        }
        came
    }

    /// Opens the WebSocket that takes over.
    pub async fn websocket(&self) -> Raw {
        Raw::connect(self.address, &self.websocket, &[]).await
    }
}

/// A packet as a payload of protocol v3 has it, with its length in UTF-16 units.
pub fn framed(packet: &str) -> String {
    format!("{}:{packet}", packet.encode_utf16().count())
}
