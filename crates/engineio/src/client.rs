//! The client's side of one Engine.IO connection, in protocol v4.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config::Transport;
use crate::handshake::Open;
use crate::packet::{BinarySupport, Frame, Message, Packet, PacketError, Protocol};
use crate::payload::{self, Content, Packets};

/// What a client may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The transport of the handshake. Default polling, which gets through any proxy.
    pub transport: Transport,
    /// Whether to upgrade to WebSocket when the server offers it. Default true.
    pub upgrade: bool,
    /// Time for the handshake. Default 20 s, as the JavaScript client's.
    pub connect_timeout: Duration,
}

/// One Engine.IO connection as the client sees it, over polling, WebSocket and the upgrade between them.
///
/// The mirror of [`server::Connection`](crate::server::Connection): after each call take
/// [`poll_output`](Self::poll_output) until it gives `None`, and call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout). At most one GET and one POST are under way at a time. What is sent before the
/// handshake is done waits for it.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    outputs: VecDeque<Output>,
    queue: VecDeque<Frame>,
    sid: Option<String>,
    payload_bytes_max: Option<usize>,
    silence_max: Duration,
    dead_at: Instant,
}

/// ```text
/// Opening --OPEN packet--> Polling --3probe, requests done--> WebSocket
///    |                        |                                  |
///    +------------------------+------ any CloseReason -----------+--> Closed
/// ```
#[derive(Debug)]
enum State {
    Opening(Transport),
    Polling(Polling),
    WebSocket,
    Closed,
}

#[derive(Debug, Default)]
struct Polling {
    is_getting: bool,
    is_posting: bool,
    probe: Option<Probe>,
    is_closing: bool,
}

/// How far the upgrade is. From `Pausing` on no request is begun, so that no packet is on both transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Connecting,
    Probing,
    Pausing,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Begin a GET with [`Connection::query`].
    Get,
    /// Begin a POST of text with [`Connection::query`].
    Post(Bytes),
    /// Open a WebSocket with [`Connection::query`]. There is one at most.
    OpenSocket,
    /// Send a WebSocket message.
    Send(Frame),
    /// Close the WebSocket, after what was sent on it before.
    CloseSocket,
    /// The handshake is done.
    Opened(Open),
    /// A message for the application.
    Message(Message),
    /// The WebSocket is the transport from here on.
    Upgraded,
    /// The connection is over: drop what is under way.
    Closed(CloseReason),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The handshake took too long.
    ConnectTimeout,
    /// A request failed, or the WebSocket did.
    TransportError,
    /// The server closed it.
    TransportClose,
    /// No ping came for too long.
    PingTimeout,
    /// The server sent something that is no packet, or no handshake first.
    ParseError,
    /// [`Connection::close`] was called.
    ForcedClose,
}

impl Connection {
    /// Starts to connect.
    pub fn new(now: Instant, config: Config) -> Self {
        let first = match config.transport {
            Transport::Polling => Output::Get,
            Transport::WebSocket => Output::OpenSocket,
        };
        Self {
            state: State::Opening(config.transport),
            outputs: VecDeque::from([first]),
            queue: VecDeque::new(),
            sid: None,
            payload_bytes_max: None,
            silence_max: Duration::ZERO,
            dead_at: now + config.connect_timeout,
            config,
        }
    }

    /// The query of a request: `EIO=4&transport=polling&sid=…`. Sids are URL-safe.
    pub fn query(&self, transport: Transport) -> String {
        let sid = self
            .sid
            .as_ref()
            .map_or(String::new(), |sid| format!("&sid={sid}"));
        format!("EIO=4&transport={}{sid}", transport.as_str())
    }

    /// The GET was answered.
    pub fn handle_get_response(&mut self, now: Instant, status: u16, body: Bytes) {
        match &mut self.state {
            State::Opening(Transport::Polling) => {}
            State::Polling(polling) => polling.is_getting = false,
            State::Opening(Transport::WebSocket) | State::WebSocket | State::Closed => return,
        }
        if status != 200 {
            return self.end(CloseReason::TransportError);
        }
        for packet in Packets::new(Protocol::V4, Content::Text, body) {
            self.handle_packet(now, packet);
        }
    }

    /// The POST was answered.
    pub fn handle_post_response(&mut self, status: u16) {
        if let State::Polling(polling) = &mut self.state {
            polling.is_posting = false;
            if status != 200 {
                self.end(CloseReason::TransportError);
            }
        }
    }

    /// A request got no answer.
    pub fn handle_request_failed(&mut self) {
        match self.state {
            State::Opening(Transport::Polling) | State::Polling(_) => {
                self.end(CloseReason::TransportError);
            }
            State::Opening(Transport::WebSocket) | State::WebSocket | State::Closed => {}
        }
    }

    /// The WebSocket is open.
    pub fn handle_socket_open(&mut self) {
        if let State::Polling(Polling {
            probe: Some(probe @ Probe::Connecting),
            ..
        }) = &mut self.state
        {
            *probe = Probe::Probing;
            self.outputs
                .push_back(Output::Send(Packet::Ping(PROBE).encode()));
        }
    }

    /// A WebSocket message. Text must be valid UTF-8.
    pub fn handle_frame(&mut self, now: Instant, frame: Frame) {
        let packet = Packet::decode(Protocol::V4, frame);
        match &mut self.state {
            State::Opening(Transport::WebSocket) | State::WebSocket => {
                self.handle_packet(now, packet);
            }
            State::Polling(Polling {
                probe: Some(probe @ Probe::Probing),
                ..
            }) if packet == Ok(Packet::Pong(PROBE)) => {
                *probe = Probe::Pausing;
            }
            State::Polling(_) => self.drop_probe(),
            State::Opening(Transport::Polling) | State::Closed => {}
        }
    }

    /// The WebSocket ended or could not be opened. While it was only tested, polling goes on.
    pub fn handle_socket_end(&mut self) {
        match &mut self.state {
            State::Opening(Transport::WebSocket) => self.finish(CloseReason::TransportError),
            State::WebSocket => self.finish(CloseReason::TransportClose),
            State::Polling(polling) => polling.probe = None,
            State::Opening(Transport::Polling) | State::Closed => {}
        }
    }

    /// Time passed: gives up on the handshake or on a silent server.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now < self.dead_at {
            return;
        }
        match self.state {
            State::Opening(_) => self.end(CloseReason::ConnectTimeout),
            State::Polling(_) | State::WebSocket => self.end(CloseReason::PingTimeout),
            State::Closed => {}
        }
    }

    /// Sends an encoded message ([`Frame`]); it waits while the connection opens, upgrades or has a POST under way.
    /// Without effect once it closes.
    pub fn send(&mut self, frame: Frame) {
        match &self.state {
            State::WebSocket => self.outputs.push_back(Output::Send(frame)),
            State::Opening(_)
            | State::Polling(Polling {
                is_closing: false, ..
            }) => {
                self.queue.push_back(frame);
            }
            State::Polling(_) | State::Closed => {}
        }
    }

    /// Closes the connection after what was sent before.
    pub fn close(&mut self) {
        match &mut self.state {
            State::Polling(polling) if !polling.is_closing => {
                polling.is_closing = true;
                self.queue.push_back(Packet::Close.encode());
                self.drop_probe();
            }
            State::Opening(_) | State::WebSocket => self.end(CloseReason::ForcedClose),
            State::Polling(_) | State::Closed => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.advance();
        }
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Opening(_) | State::Polling(_) | State::WebSocket => Some(self.dead_at),
            State::Closed => None,
        }
    }

    /// The transport in use, `None` before the handshake and after the end.
    pub fn transport(&self) -> Option<Transport> {
        match self.state {
            State::Polling(_) => Some(Transport::Polling),
            State::WebSocket => Some(Transport::WebSocket),
            State::Opening(_) | State::Closed => None,
        }
    }

    /// Frames that wait for a POST, the handshake or the upgrade.
    pub fn queue_len(&self) -> usize {
        self.queue.len()
    }

    /// Whether a message would go out at once: nothing waits before it, and no POST or upgrade is under way.
    pub fn is_writable(&self) -> bool {
        match &self.state {
            State::WebSocket => true,
            State::Polling(polling) => {
                self.queue.is_empty()
                    && !polling.is_posting
                    && !polling.is_closing
                    && polling.probe != Some(Probe::Pausing)
            }
            State::Opening(_) | State::Closed => false,
        }
    }

    /// Begins what may begin: a POST of what waits, the next GET, the upgrade once both are done.
    fn advance(&mut self) {
        let State::Polling(polling) = &mut self.state else {
            return;
        };
        if polling.probe == Some(Probe::Pausing) {
            if !polling.is_getting && !polling.is_posting {
                self.upgrade();
            }
            return;
        }
        if !polling.is_posting && !self.queue.is_empty() {
            polling.is_posting = true;
            let body = self.next_post();
            self.outputs.push_back(Output::Post(body));
        } else if !polling.is_posting && polling.is_closing {
            self.finish(CloseReason::ForcedClose);
        } else if !polling.is_getting && !polling.is_closing {
            polling.is_getting = true;
            self.outputs.push_back(Output::Get);
        }
    }

    /// As many packets as the server takes in one body, one at least.
    fn next_post(&mut self) -> Bytes {
        let max = self.payload_bytes_max.unwrap_or(usize::MAX);
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = self.queue.front() {
            bytes += 1 + payload_len(frame);
            if bytes > max && !frames.is_empty() {
                break;
            }
            frames.extend(self.queue.pop_front());
        }
        payload::encode(Protocol::V4, BinarySupport::Bytes, &frames).1
    }

    fn upgrade(&mut self) {
        self.state = State::WebSocket;
        self.outputs
            .push_back(Output::Send(Packet::Upgrade.encode()));
        self.outputs.push_back(Output::Upgraded);
        self.flush_to_socket();
    }

    fn flush_to_socket(&mut self) {
        self.outputs.extend(self.queue.drain(..).map(Output::Send));
    }

    fn handle_packet(&mut self, now: Instant, packet: Result<Packet, PacketError>) {
        match (&self.state, packet) {
            (State::Closed, _) => {}
            (State::Opening(transport), Ok(Packet::Open(json))) => {
                self.handle_open(now, *transport, &json);
            }
            (_, Err(_)) | (State::Opening(_), Ok(_)) => self.end(CloseReason::ParseError),
            (_, Ok(Packet::Ping(_))) => {
                self.dead_at = now + self.silence_max;
                self.send(Packet::Pong(Bytes::new()).encode());
            }
            (_, Ok(Packet::Message(message))) => self.outputs.push_back(Output::Message(message)),
            (_, Ok(Packet::Close)) => self.end(CloseReason::TransportClose),
            (_, Ok(Packet::Open(_) | Packet::Pong(_) | Packet::Upgrade | Packet::Noop)) => {}
        }
    }

    fn handle_open(&mut self, now: Instant, transport: Transport, json: &[u8]) {
        let Ok(open) = serde_json::from_slice::<Open>(json) else {
            return self.end(CloseReason::ParseError);
        };
        self.silence_max =
            Duration::from_millis(open.ping_interval.saturating_add(open.ping_timeout))
                .min(SILENCE_MAX);
        self.dead_at = now + self.silence_max;
        self.sid = Some(open.sid.clone());
        self.payload_bytes_max = open.max_payload;
        let is_offered = open
            .upgrades
            .iter()
            .any(|name| name == Transport::WebSocket.as_str());
        self.outputs.push_back(Output::Opened(open));
        match transport {
            Transport::WebSocket => {
                self.state = State::WebSocket;
                self.flush_to_socket();
            }
            Transport::Polling => {
                let mut polling = Polling::default();
                if self.config.upgrade && is_offered {
                    polling.probe = Some(Probe::Connecting);
                    self.outputs.push_back(Output::OpenSocket);
                }
                self.state = State::Polling(polling);
            }
        }
    }

    fn drop_probe(&mut self) {
        if let State::Polling(polling) = &mut self.state
            && polling.probe.take().is_some()
        {
            self.outputs.push_back(Output::CloseSocket);
        }
    }

    fn end(&mut self, reason: CloseReason) {
        if let State::WebSocket | State::Opening(Transport::WebSocket) = self.state {
            self.outputs.push_back(Output::CloseSocket);
        }
        self.finish(reason);
    }

    fn finish(&mut self, reason: CloseReason) {
        if let State::Closed = self.state {
            return;
        }
        self.drop_probe();
        self.state = State::Closed;
        self.queue = VecDeque::new();
        self.outputs.push_back(Output::Closed(reason));
    }
}

impl CloseReason {
    /// The JavaScript client's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectTimeout => "timeout",
            Self::TransportError => "transport error",
            Self::TransportClose => "transport close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transport: Transport::Polling,
            upgrade: true,
            connect_timeout: Duration::from_secs(20),
        }
    }
}

/// Bytes in a payload, where binary is base64 behind a `b`.
fn payload_len(frame: &Frame) -> usize {
    match frame {
        Frame::Text(text) => text.len(),
        Frame::Binary(bytes) => 1 + bytes.len().div_ceil(3) * 4,
    }
}

/// The text of the ping and pong that test a new transport.
const PROBE: Bytes = Bytes::from_static(b"probe");
/// More than any server asks for; keeps the sum with an instant in range.
const SILENCE_MAX: Duration = Duration::from_secs(86_400);
