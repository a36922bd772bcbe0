//! The client's conversation over as many connections as it takes, without a socket, a clock or a random number.
//!
//! Feed it what happens (`handle_*`), then do what it asks for ([`Conversation::poll_action`]) and call
//! [`Conversation::handle_timeout`] at [`Conversation::poll_timeout`].

mod inbound;
mod lifecycle;
mod line;
mod socket;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use nuncio_engineio::client::CloseReason;
use nuncio_engineio::{Frame, Transport};
use nuncio_socketio::Namespace;
use nuncio_socketio::payload::RESERVED_EVENTS;
use serde_json::{Map, Value};

use super::Args;
use super::config::ConversationConfig;
use super::event::{AckError, AckId, DisconnectReason, EmitError, Event};
use crate::Backoff;
use line::Line;
use socket::{Readiness, Socket, Stage};

pub use socket::{Delivery, Flags, SocketRules};

/// The sockets of one client, one for each namespace, on one connection at a time.
///
/// ```text
///        a socket wants to connect          handshake
///   Idle ------------------------> Opening ----------> Open
///    ^                             ^     |               |
///    |                       pause |     +-- failed ---+ | lost
///    |                             |                   v v
///    +------ attempts used up -- Waiting <-------------- +
///    +------ no socket is left: Closing <--------------- +
/// ```
#[derive(Debug)]
pub struct Conversation {
    config: ConversationConfig,
    phase: Phase,
    sockets: BTreeMap<Namespace, Socket>,
    backoff: Backoff,
    /// The attempt to reconnect that is under way.
    attempt: Option<u32>,
    /// Which of the transports is tried.
    transport: usize,
    connections: u64,
    tickets: u64,
    luck: u64,
    /// Frames for the WebSocket that the driver has not sent yet.
    frames_unsent: usize,
    /// What the driver said about the failure that follows.
    failure: Option<String>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Waiting {
        until: Instant,
    },
    Opening(Line),
    Open(Line),
    /// The last packets go out.
    Closing {
        line: Line,
        until: Instant,
        then: Then,
    },
}

/// What follows a connection that the client closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// A new one, if a socket wants it meanwhile.
    Open,
    /// A pause: the server broke the protocol.
    Wait,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Begin a GET with this query; then [`Conversation::handle_get_response`] or [`Conversation::handle_request_failed`].
    Get(String),
    /// Begin a POST with this query and body; then [`Conversation::handle_post_response`] or
    /// [`Conversation::handle_request_failed`].
    Post(String, Bytes),
    /// Open a WebSocket with this query; then [`Conversation::handle_socket_open`] or [`Conversation::handle_socket_end`].
    OpenSocket(String),
    /// Send a message on the WebSocket; then [`Conversation::handle_sent`].
    Send(Frame),
    /// Close the WebSocket after what was sent before. It is not heard of any more.
    CloseSocket,
    /// The connection is over: drop the requests and the WebSocket that are under way, and the cookies.
    Abort,
    /// Ask for the auth payload of a socket; then [`Conversation::handle_auth`].
    AskAuth(Namespace),
    /// Tell the application of a socket.
    Tell(Namespace, Event),
    /// Answer who waits for an acknowledgement.
    Settle(Ticket, Result<Args, AckError>),
}

/// Who waits for an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// A client has one socket for each namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the namespace has a socket already")]
pub struct NamespaceTaken;

/// Whether an acknowledgement is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The answer is [`Action::Settle`].
    Wanted,
    /// None.
    Unwanted,
}

impl Conversation {
    /// Without sockets. The seed decides the pauses: take another one for each client.
    pub fn new(config: ConversationConfig, seed: u64) -> Self {
        Self {
            phase: Phase::Idle,
            sockets: BTreeMap::new(),
            backoff: Backoff::new(config.backoff),
            attempt: None,
            transport: 0,
            connections: 0,
            tickets: 0,
            luck: seed,
            frames_unsent: 0,
            failure: None,
            actions: VecDeque::new(),
            config,
        }
    }

    /// The rules it was made with.
    pub const fn config(&self) -> &ConversationConfig {
        &self.config
    }

    /// Adds a socket and connects it.
    ///
    /// # Errors
    /// [`NamespaceTaken`].
    pub fn open(
        &mut self,
        namespace: &Namespace,
        rules: SocketRules,
        now: Instant,
    ) -> Result<(), NamespaceTaken> {
        if self.sockets.contains_key(namespace) {
            return Err(NamespaceTaken);
        }
        self.sockets.insert(namespace.clone(), Socket::new(rules));
        self.begin(namespace, now);
        self.pump(now);
        Ok(())
    }

    /// Connects a socket again that is not active any more. While a pause lasts, it waits with the others.
    pub fn connect(&mut self, namespace: &Namespace, now: Instant) {
        match self.sockets.get_mut(namespace) {
            Some(socket) if !socket.is_active() => socket.stage = Stage::Wanted,
            // After the last attempt sockets stay active, but nothing is tried by itself.
            Some(_) if matches!(self.phase, Phase::Idle) => {}
            Some(_) | None => return,
        }
        self.begin(namespace, now);
        self.pump(now);
    }

    /// Disconnects a socket; the connection ends with the last one.
    pub fn disconnect(&mut self, namespace: &Namespace, now: Instant) {
        let Some(socket) = self.sockets.get_mut(namespace) else {
            return;
        };
        let was_joined = socket.stage == Stage::Joined;
        socket.handle_left(Stage::Idle, now);
        if let Phase::Open(line) = &mut self.phase {
            line.packets.disconnect(namespace);
        }
        if was_joined {
            let reason = DisconnectReason::ClientDisconnect;
            self.tell(
                namespace,
                Event::Disconnect {
                    reason,
                    active: false,
                },
            );
        }
        self.pump(now);
        self.close_if_unused(now);
    }

    /// Disconnects a socket and forgets it. Who waits for its acknowledgements is told.
    pub fn remove(&mut self, namespace: &Namespace, now: Instant) {
        self.disconnect(namespace, now);
        if let Some(mut socket) = self.sockets.remove(namespace) {
            socket.end();
            self.settle(socket);
        }
    }

    /// Sends an event, now or once the socket is connected.
    ///
    /// # Errors
    /// Each [`EmitError`]: nothing was sent, and no ticket is settled.
    pub fn emit(
        &mut self,
        namespace: &Namespace,
        name: &str,
        args: Args,
        acknowledgement: Acknowledgement,
        flags: Flags,
        now: Instant,
    ) -> Result<Option<Ticket>, EmitError> {
        if RESERVED_EVENTS.contains(&name) {
            return Err(EmitError::Reserved);
        }
        let readiness = self.readiness();
        let socket = self.sockets.get_mut(namespace).ok_or(EmitError::Closed)?;
        self.tickets += 1;
        let ticket = (acknowledgement == Acknowledgement::Wanted).then_some(Ticket(self.tickets));
        socket.emit(name, args, ticket, flags, readiness, now)?;
        self.pump(now);
        Ok(ticket)
    }

    /// Answers an event of the server. Without effect once the connection it came on is lost.
    pub fn answer(&mut self, namespace: &Namespace, ack: AckId, args: &Args, now: Instant) {
        if let Phase::Open(line) = &mut self.phase
            && ack.connection == self.connections
            && line.packets.is_joined(namespace)
        {
            line.answer(namespace, ack.id, args);
            self.pump(now);
        }
    }

    /// Nobody waits for this acknowledgement any longer.
    pub fn forget(&mut self, ticket: Ticket) {
        for socket in self.sockets.values_mut() {
            socket.forget(ticket);
        }
    }

    /// Ends the pause before the next attempt.
    pub fn wake(&mut self, now: Instant) {
        if let Phase::Waiting { .. } = self.phase {
            self.reconnect(now);
            self.pump(now);
        }
    }

    /// The auth payload of a socket: an object, or null for none.
    pub fn handle_auth(&mut self, namespace: &Namespace, auth: Value, now: Instant) {
        let (Some(socket), Phase::Open(line)) = (self.sockets.get_mut(namespace), &mut self.phase)
        else {
            return;
        };
        if socket.stage != Stage::Authenticating {
            return;
        }
        let payload = connect_payload(socket, auth);
        // It is neither joined nor asked for on this connection: nothing else can be wrong with it.
        if payload.is_some_and(|payload| line.packets.connect(namespace, payload).is_ok()) {
            socket.stage = Stage::Asking;
        } else {
            socket.handle_left(Stage::Idle, now);
            let message = "the auth payload is not a JSON object";
            self.tell(namespace, connect_error(message.to_owned(), false));
            self.close_if_unused(now);
        }
        self.pump(now);
    }

    /// The GET was answered.
    pub fn handle_get_response(&mut self, status: u16, body: Bytes, now: Instant) {
        if status != 200 {
            self.failure = Some(refusal(status, &body));
        }
        self.with_line(now, |line| {
            line.engine.handle_get_response(now, status, body)
        });
    }

    /// The POST was answered.
    pub fn handle_post_response(&mut self, status: u16, now: Instant) {
        self.with_line(now, |line| line.engine.handle_post_response(status));
    }

    /// A request got no answer.
    pub fn handle_request_failed(&mut self, why: String, now: Instant) {
        self.failure = Some(why);
        self.with_line(now, |line| line.engine.handle_request_failed());
    }

    /// The WebSocket is open.
    pub fn handle_socket_open(&mut self, now: Instant) {
        self.with_line(now, |line| line.engine.handle_socket_open());
    }

    /// A WebSocket message. Text must be valid UTF-8.
    pub fn handle_frame(&mut self, frame: Frame, now: Instant) {
        self.with_line(now, |line| line.engine.handle_frame(now, frame));
    }

    /// A message went out on the WebSocket.
    pub fn handle_sent(&mut self) {
        self.frames_unsent = self.frames_unsent.saturating_sub(1);
    }

    /// The WebSocket ended or could not be opened.
    pub fn handle_socket_end(&mut self, why: Option<String>, now: Instant) {
        self.failure = why;
        self.with_line(now, |line| line.engine.handle_socket_end());
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Waiting { until } if *until <= now => self.reconnect(now),
            Phase::Closing { until, .. } if *until <= now => {
                self.handle_closed(CloseReason::ForcedClose, now);
            }
            Phase::Opening(line) | Phase::Open(line) | Phase::Closing { line, .. } => {
                line.engine.handle_timeout(now);
                line.packets.handle_timeout(now);
            }
            Phase::Waiting { .. } | Phase::Idle => {}
        }
        for socket in self.sockets.values_mut() {
            socket.handle_timeout(now);
        }
        self.pump(now);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.phase {
            Phase::Idle => None,
            Phase::Waiting { until } => Some(*until),
            Phase::Opening(line) | Phase::Open(line) => line.poll_timeout(),
            Phase::Closing { line, until, .. } => line.poll_timeout().min(Some(*until)),
        };
        let sockets = self.sockets.values().filter_map(Socket::poll_timeout);
        sockets.chain(own).min()
    }

    /// Whether there is no connection, and none will come by itself.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Packets that wait to be sent on the connection: while there are many, a driver takes no more events.
    pub fn backlog(&self) -> usize {
        match &self.phase {
            Phase::Open(line) => line.engine.queue_len() + self.frames_unsent,
            Phase::Idle | Phase::Waiting { .. } | Phase::Opening(_) | Phase::Closing { .. } => 0,
        }
    }

    /// The transport in use.
    pub fn transport(&self) -> Option<Transport> {
        match &self.phase {
            Phase::Open(line) => line.engine.transport(),
            Phase::Idle | Phase::Waiting { .. } | Phase::Opening(_) | Phase::Closing { .. } => None,
        }
    }

    fn readiness(&self) -> Readiness {
        match &self.phase {
            Phase::Open(line) if line.engine.is_writable() && self.frames_unsent == 0 => {
                Readiness::Ready
            }
            Phase::Open(_)
            | Phase::Idle
            | Phase::Waiting { .. }
            | Phase::Opening(_)
            | Phase::Closing { .. } => Readiness::Busy,
        }
    }

    fn settle(&mut self, mut socket: Socket) {
        while let Some((ticket, result)) = socket.poll_settled() {
            self.actions.push_back(Action::Settle(ticket, result));
        }
    }

    fn active(&self) -> Vec<Namespace> {
        let active = self.sockets.iter().filter(|(_, socket)| socket.is_active());
        active.map(|(namespace, _)| namespace.clone()).collect()
    }

    fn tell_active(&mut self, event: &Event) {
        for namespace in self.active() {
            self.tell(&namespace, event.clone());
        }
    }

    fn tell(&mut self, namespace: &Namespace, event: Event) {
        self.actions
            .push_back(Action::Tell(namespace.clone(), event));
    }
}

/// The auth payload with what the server needs to find the socket's state; `None` where it is no object.
fn connect_payload(socket: &Socket, auth: Value) -> Option<Bytes> {
    let auth = match auth {
        Value::Null if socket.pid.is_none() => return Some(Bytes::new()),
        Value::Null => Map::new(),
        Value::Object(auth) => auth,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    let mut payload = Map::new();
    if let Some(pid) = &socket.pid {
        payload.insert("pid".to_owned(), pid.as_str().into());
        payload.extend(
            socket
                .offset
                .as_deref()
                .map(|offset| ("offset".to_owned(), offset.into())),
        );
    }
    payload.extend(auth);
    Some(Value::Object(payload).to_string().into())
}

/// What a server says that refuses the handshake: `{"code":…,"message":…}`, else the status alone.
fn refusal(status: u16, body: &[u8]) -> String {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    match said["message"].as_str() {
        Some(message) => format!("{message} (status {status})"),
        None => format!("the server answered with status {status}"),
    }
}

fn connect_error(message: String, active: bool) -> Event {
    Event::ConnectError {
        message,
        data: Value::Null,
        active,
    }
}
