//! A connection with a clock of its own, driven by short calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_engineio::payload::Content;
use nuncio_engineio::server::{CloseReason, Connection, Output, RequestId, SocketId};
use nuncio_engineio::{BinarySupport, Config, Frame, Message, Packet, Protocol};

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
    request_next: u64,
}

/// An output in short form: bodies and frames as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(String),
    Binary(Vec<u8>),
    Response(RequestId, u16, String),
    Frame(SocketId, String),
    BinaryFrame(SocketId, Vec<u8>),
    SocketClosed(SocketId),
    Upgraded(SocketId),
    Closed(CloseReason),
}

/// The suites' intervals: ping after 300 ms, 200 ms to answer.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(300);
    config.ping_timeout = Duration::from_millis(200);
    config.protocol_v3 = true;
    config
}

impl Peer {
    /// A polling session whose handshake is answered.
    pub(crate) fn polling(protocol: Protocol) -> Self {
        let mut peer = Self::opening(protocol, BinarySupport::Bytes, config());
        peer.seen();
        peer
    }

    /// A polling session whose handshake waits for `seen`.
    pub(crate) fn opening(protocol: Protocol, binary: BinarySupport, config: Config) -> Self {
        let now = start();
        let config = Arc::new(config);
        let connection =
            Connection::polling(now, config, "the-sid", protocol, binary, RequestId(0));
        Self {
            connection,
            now,
            request_next: 1,
        }
    }

    /// A WebSocket session whose handshake is sent.
    pub(crate) fn websocket(protocol: Protocol, binary: BinarySupport) -> (Self, SocketId) {
        let now = start();
        let (connection, socket) =
            Connection::websocket(now, Arc::new(config()), "the-sid", protocol, binary);
        let mut peer = Self {
            connection,
            now,
            request_next: 1,
        };
        peer.seen();
        (peer, socket)
    }

    pub(crate) fn request(&mut self) -> RequestId {
        let request = RequestId(self.request_next);
        self.request_next += 1;
        request
    }

    pub(crate) fn get(&mut self) -> RequestId {
        let request = self.request();
        self.connection.handle_get(self.now, request);
        request
    }

    pub(crate) fn post(&mut self, body: &str) -> RequestId {
        self.post_content(Content::Text, body.as_bytes())
    }

    pub(crate) fn post_content(&mut self, content: Content, body: &[u8]) -> RequestId {
        let request = self.request();
        if self.connection.handle_post(self.now, request, content) {
            let body = Bytes::copy_from_slice(body);
            self.connection
                .handle_post_body(self.now, request, content, body);
        }
        request
    }

    pub(crate) fn frame(&mut self, socket: SocketId, text: &str) {
        let frame = Frame::Text(Bytes::copy_from_slice(text.as_bytes()));
        self.connection.handle_frame(self.now, socket, frame);
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.connection
            .send(Packet::text(text.to_owned()).encode())
            .expect("the connection takes messages");
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.connection.handle_timeout(self.now);
    }

    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.connection.poll_output())
            .map(Seen::from)
            .collect()
    }

    /// Milliseconds until the connection wants to be called.
    pub(crate) fn timeout_millis(&self) -> Option<u128> {
        self.connection
            .poll_timeout()
            .map(|at| (at - self.now).as_millis())
    }
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        match output {
            Output::Message(Message::Text(bytes)) => Self::Message(text(&bytes)),
            Output::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Output::Respond { request, response } => {
                Self::Response(request, response.status, text(&response.body))
            }
            Output::Send {
                socket,
                frame: Frame::Text(bytes),
            } => Self::Frame(socket, text(&bytes)),
            Output::Send {
                socket,
                frame: Frame::Binary(bytes),
            } => Self::BinaryFrame(socket, bytes.to_vec()),
            Output::CloseSocket { socket } => Self::SocketClosed(socket),
            Output::Upgraded { socket } => Self::Upgraded(socket),
            Output::Closed(reason) => Self::Closed(reason),
        }
    }
}

/// Any instant will do: the tests add to it by hand.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn ok(request: RequestId) -> Seen {
    Seen::Response(request, 200, "ok".to_owned())
}

pub(crate) fn polled(request: RequestId, body: &str) -> Seen {
    Seen::Response(request, 200, body.to_owned())
}

pub(crate) fn unknown_sid(request: RequestId) -> Seen {
    Seen::Response(
        request,
        400,
        r#"{"code":1,"message":"Session ID unknown"}"#.to_owned(),
    )
}

pub(crate) fn message(text: &str) -> Seen {
    Seen::Message(text.to_owned())
}

pub(crate) fn framed(socket: SocketId, text: &str) -> Seen {
    Seen::Frame(socket, text.to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
