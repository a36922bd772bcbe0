//! The server's side of one Socket.IO connection: namespaces over one Engine.IO connection.

mod output;
mod reason;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::ack::Acks;
use crate::decode::{DecodeError, Decoder};
use crate::encode::{self, Encoded};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::packet::{Body, Packet, Parser, ParserRule, Protocol};
use crate::payload::{Payload, put_string};
use crate::query;

pub use output::{NotAsked, Output, Refusal};
pub use reason::DisconnectReason;

/// Settings of a Socket.IO server. The defaults are the reference server's where it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Time a client has to join its first namespace. Default 45 s; then the connection is closed.
    pub connect_timeout: Duration,
    /// How packets are encoded. Default: the default parser, for every client.
    pub parser: ParserRule,
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// What becomes of acknowledgements that were not announced. Default: they are ignored.
    pub unexpected_acks: UnexpectedAcks,
}

/// What becomes of acknowledgements that nobody announced by [`Connection::expect_ack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnexpectedAcks {
    /// They are ignored.
    #[default]
    Ignored,
    /// They are told like the others, for an application that keeps its questions itself.
    Told,
}

/// The namespaces of one client, its attachments and acknowledgements on their way.
///
/// No I/O, no clock. Bring messages, time and the application's decisions; after each call take
/// [`poll_output`](Self::poll_output) until it gives `None`, and call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout).
///
/// Events to the client are [encoded](crate::encode) once for all receivers. They go out by [`send`](Self::send), or past
/// the connection straight to Engine.IO, once [`poll_output`](Self::poll_output) gave `None` and to namespaces that
/// [`is_joined`](Self::is_joined) says yes to. One that wants an acknowledgement is announced by
/// [`expect_ack`](Self::expect_ack).
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    outputs: VecDeque<Output>,
    slots: SmallVec<[Slot; 1]>,
    connect_by: Option<Instant>,
    decoder: Decoder,
    acks: Option<Box<Acks>>,
    protocol: Protocol,
    /// `None` until the client's first packet.
    parser: Option<Parser>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

#[derive(Debug)]
struct Slot {
    namespace: Namespace,
    stage: Stage,
}

/// ```text
/// (none) --CONNECT--> Asked --accept--> Joined --client's DISCONNECT--> (none)
///    ^                  |                  |
///    +---- refuse ------+                  +----- disconnect() -----> Left --CONNECT--> Asked
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The application has not decided yet.
    Asked,
    Joined,
    /// The server disconnected it. What the client sent before it knew is ignored, where the reference takes it for a
    /// violation and closes the connection with all its other namespaces.
    Left,
}

impl Connection {
    /// Starts with an Engine.IO connection that was just opened. In protocol v4 the client joins `/` without asking.
    pub fn new(now: Instant, config: Arc<Config>, protocol: Protocol) -> Self {
        let mut connection = Self {
            connect_by: Some(now + config.connect_timeout),
            parser: match (config.parser, protocol) {
                (ParserRule::Only(parser), _) => Some(parser),
                (ParserRule::AsClient, Protocol::V4) => Some(Parser::Default),
                (ParserRule::AsClient, Protocol::V5) => None,
            },
            config,
            outputs: VecDeque::new(),
            slots: SmallVec::new(),
            decoder: Decoder::default(),
            acks: None,
            protocol,
            state: State::Open,
        };
        if protocol == Protocol::V4 {
            connection.ask(Namespace::MAIN, NO_AUTH);
        }
        connection
    }

    /// A text message from Engine.IO, without its type digit.
    pub fn handle_text(&mut self, now: Instant, text: Bytes) {
        if self.state == State::Open {
            let parser = *self.parser.get_or_insert(Parser::Default);
            let limits = &self.config.limits;
            let decoded = self.decoder.decode_text(now, text, parser, limits);
            self.handle_decoded(decoded);
        }
    }

    /// A binary message from Engine.IO.
    pub fn handle_binary(&mut self, bytes: Bytes) {
        if self.state == State::Open {
            let parser = *self.parser.get_or_insert(Parser::MessagePack);
            let limits = &self.config.limits;
            let decoded = self.decoder.decode_binary(bytes, parser, limits);
            self.handle_decoded(decoded);
        }
    }

    /// The Engine.IO connection ended. Nothing is sent after that.
    pub fn handle_close(&mut self, reason: DisconnectReason) {
        self.end(reason);
    }

    /// Time passed: gives up on a first namespace, on attachments, on acknowledgements.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        if self.connect_by.is_some_and(|connect_by| now >= connect_by) {
            return self.close(DisconnectReason::ForcedServerClose);
        }
        if self.decoder.handle_timeout(now).is_err() {
            return self.close(DisconnectReason::ForcedClose);
        }
        while let Some((namespace, id)) = self.acks.as_mut().and_then(|acks| acks.pop_overdue(now))
        {
            self.outputs.push_back(Output::AckTimeout { namespace, id });
        }
        self.drop_empty_acks();
    }

    /// Lets the client in: it gets the socket's id, and `pid` when its connection state can be recovered.
    /// A v4 client is told neither.
    ///
    /// # Errors
    /// [`NotAsked`] when the client went away meanwhile.
    pub fn accept(
        &mut self,
        namespace: &Namespace,
        sid: &str,
        pid: Option<&str>,
    ) -> Result<(), NotAsked> {
        let slot = self.asked(namespace).ok_or(NotAsked)?;
        self.slots[slot].stage = Stage::Joined;
        // Equal names share one allocation when the caller keeps its namespaces.
        self.slots[slot].namespace = namespace.clone();
        self.connect_by = None;
        let json = match self.protocol {
            Protocol::V4 => Bytes::new(),
            Protocol::V5 => connected(sid, pid),
        };
        self.push(Packet {
            namespace: namespace.clone(),
            body: Body::Connect(json),
        });
        Ok(())
    }

    /// Keeps the client out.
    ///
    /// # Errors
    /// [`NotAsked`] when the client went away meanwhile.
    pub fn refuse(&mut self, namespace: &Namespace, refusal: Refusal<'_>) -> Result<(), NotAsked> {
        let slot = self.asked(namespace).ok_or(NotAsked)?;
        self.slots.remove(slot);
        let json = refusal.json(self.protocol);
        self.push(Packet {
            namespace: namespace.clone(),
            body: Body::ConnectError(json),
        });
        Ok(())
    }

    /// Makes the client leave a namespace; the connection and its other namespaces stay. Without effect when it has not
    /// joined.
    pub fn disconnect(&mut self, namespace: &Namespace) {
        if let Some(slot) = self.position(namespace, Stage::Joined) {
            self.slots[slot].stage = Stage::Left;
            let encoded = encode::disconnect(self.parser(), namespace);
            self.outputs.push_back(Output::Send(encoded));
            self.leave(
                namespace.clone(),
                DisconnectReason::ServerNamespaceDisconnect,
            );
        }
    }

    /// Makes the client leave all namespaces and closes the connection: `socket.disconnect(true)`.
    pub fn disconnect_all(&mut self) {
        for namespace in self.joined().cloned().collect::<Vec<_>>() {
            self.disconnect(&namespace);
        }
        self.close(DisconnectReason::ForcedServerClose);
    }

    /// Closes the connection without a DISCONNECT, so that clients reconnect: at a shutdown.
    pub fn close(&mut self, reason: DisconnectReason) {
        if self.state == State::Open {
            self.end(reason);
            self.outputs.push_back(Output::Close);
        }
    }

    /// Sends an encoded packet after what was sent before. Without effect once the connection is closed.
    pub fn send(&mut self, encoded: Encoded) {
        if self.state == State::Open {
            self.outputs.push_back(Output::Send(encoded));
        }
    }

    /// Announces that an event with this id is sent: its acknowledgement becomes [`Output::Ack`], or
    /// [`Output::AckTimeout`] at the deadline. Acknowledgements that nobody waits for are ignored. Ids need to be unique
    /// within the namespace and this client, and may be shared by all receivers of a broadcast.
    pub fn expect_ack(&mut self, namespace: &Namespace, id: u64, deadline: Option<Instant>) {
        if self.is_joined(namespace) {
            self.acks
                .get_or_insert_default()
                .expect(namespace.clone(), id, deadline);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            // An idle connection holds no buffer.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let acks = self.acks.as_ref().and_then(|acks| acks.poll_timeout());
        [self.connect_by, self.decoder.poll_timeout(), acks]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the client has joined this namespace.
    pub fn is_joined(&self, namespace: &Namespace) -> bool {
        self.position(namespace, Stage::Joined).is_some()
    }

    /// The namespaces the client has joined.
    pub fn joined(&self) -> impl Iterator<Item = &Namespace> {
        let joined = self.slots.iter().filter(|slot| slot.stage == Stage::Joined);
        joined.map(|slot| &slot.namespace)
    }

    /// The protocol the client speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The parser the client uses; the default one as long as that is not known.
    pub fn parser(&self) -> Parser {
        self.parser.unwrap_or_default()
    }

    fn handle_decoded(&mut self, decoded: Result<Option<Packet>, DecodeError>) {
        match decoded {
            Ok(Some(packet)) => self.handle_packet(packet),
            Ok(None) => {}
            Err(_) => self.close(DisconnectReason::ForcedClose),
        }
    }

    fn handle_packet(&mut self, Packet { namespace, body }: Packet) {
        if let (Protocol::V4, Body::Connect(_)) = (self.protocol, &body) {
            let (namespace, auth) = query::split(&namespace);
            return self.handle_connect(namespace, auth);
        }
        let stage = self
            .slots
            .iter()
            .find(|slot| slot.namespace == namespace)
            .map(|slot| slot.stage);
        match (stage, body) {
            (_, Body::Connect(json)) => {
                let auth = if json.is_empty() { NO_AUTH } else { json };
                self.handle_connect(namespace, auth);
            }
            (Some(Stage::Joined), Body::Event { id, event }) => {
                self.outputs.push_back(Output::Event {
                    namespace,
                    id,
                    event,
                });
            }
            (Some(Stage::Joined), Body::Ack { id, args }) => self.handle_ack(namespace, id, args),
            (Some(Stage::Joined), Body::Disconnect) => {
                self.slots.retain(|slot| slot.namespace != namespace);
                self.leave(namespace, DisconnectReason::ClientNamespaceDisconnect);
            }
            (Some(Stage::Left), Body::Event { .. } | Body::Ack { .. } | Body::Disconnect) => {}
            (
                Some(Stage::Asked) | None,
                Body::Event { .. } | Body::Ack { .. } | Body::Disconnect,
            )
            | (_, Body::ConnectError(_)) => self.close(DisconnectReason::ForcedServerClose),
        }
    }

    fn handle_connect(&mut self, namespace: Namespace, auth: Bytes) {
        let slot = self
            .slots
            .iter()
            .position(|slot| slot.namespace == namespace);
        match slot.map(|slot| self.slots[slot].stage) {
            Some(Stage::Asked | Stage::Joined) => self.close(DisconnectReason::ForcedServerClose),
            Some(Stage::Left) => {
                self.slots.retain(|slot| slot.namespace != namespace);
                self.ask(namespace, auth);
            }
            None if self.slots.len() >= self.config.limits.namespaces_max => {
                let refusal = Refusal::Error {
                    message: "Too many namespaces",
                    data: None,
                };
                let json = refusal.json(self.protocol);
                self.push(Packet {
                    namespace,
                    body: Body::ConnectError(json),
                });
            }
            None => self.ask(namespace, auth),
        }
    }

    fn ask(&mut self, namespace: Namespace, auth: Bytes) {
        self.slots.push(Slot {
            namespace: namespace.clone(),
            stage: Stage::Asked,
        });
        self.outputs.push_back(Output::Connect { namespace, auth });
    }

    fn handle_ack(&mut self, namespace: Namespace, id: Option<u64>, args: Payload) {
        let Some(id) = id else { return };
        let is_expected = self
            .acks
            .as_mut()
            .is_some_and(|acks| acks.take(&namespace, id));
        if is_expected || self.config.unexpected_acks == UnexpectedAcks::Told {
            self.outputs.push_back(Output::Ack {
                namespace,
                id,
                args,
            });
            self.drop_empty_acks();
        }
    }

    fn leave(&mut self, namespace: Namespace, reason: DisconnectReason) {
        if let Some(acks) = &mut self.acks {
            acks.forget(&namespace);
        }
        self.drop_empty_acks();
        self.outputs
            .push_back(Output::Disconnected { namespace, reason });
    }

    fn end(&mut self, reason: DisconnectReason) {
        self.state = State::Closed;
        self.connect_by = None;
        self.decoder = Decoder::default();
        self.acks = None;
        for slot in std::mem::take(&mut self.slots) {
            if slot.stage == Stage::Joined {
                self.leave(slot.namespace, reason);
            }
        }
    }

    fn push(&mut self, packet: Packet) {
        let encoded = packet.encode(self.parser());
        self.outputs.push_back(Output::Send(encoded));
    }

    fn asked(&self, namespace: &Namespace) -> Option<usize> {
        self.position(namespace, Stage::Asked)
    }

    fn position(&self, namespace: &Namespace, stage: Stage) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.namespace == *namespace && slot.stage == stage)
    }

    fn drop_empty_acks(&mut self) {
        if self.acks.as_ref().is_some_and(|acks| acks.is_empty()) {
            self.acks = None;
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(45),
            parser: ParserRule::Only(Parser::Default),
            limits: Limits::default(),
            unexpected_acks: UnexpectedAcks::default(),
        }
    }
}

/// `{"sid":"…"}`, with `pid` when there is one.
fn connected(sid: &str, pid: Option<&str>) -> Bytes {
    let mut json = BytesMut::new();
    json.put_slice(br#"{"sid":"#);
    put_string(&mut json, sid);
    if let Some(pid) = pid {
        json.put_slice(br#","pid":"#);
        put_string(&mut json, pid);
    }
    json.put_u8(b'}');
    json.freeze()
}

const NO_AUTH: Bytes = Bytes::from_static(b"{}");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_holds_no_memory_beside_itself() {
        let mut connection = Connection::new(start(), Arc::default(), Protocol::V5);
        connection.handle_text(start(), Bytes::from_static(b"0"));
        connection
            .accept(&Namespace::MAIN, "id", None)
            .expect("the client has asked");
        connection.expect_ack(&Namespace::MAIN, 1, None);
        connection.handle_text(start(), Bytes::from_static(b"31[]"));

        while connection.poll_output().is_some() {}

        assert_eq!(connection.outputs.capacity(), 0);
        assert!(!connection.slots.spilled());
        assert!(connection.acks.is_none());
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise"
    )]
    fn start() -> Instant {
        Instant::now()
    }
}
