//! The client's side of one Socket.IO connection, in protocol v5.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use serde::Deserialize;

use crate::ack::Acks;
use crate::decode::{DecodeError, Decoder};
use crate::encode::{self, Encoded};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::packet::{Body, Packet, Parser};
use crate::payload::{Event, Payload};

/// The namespaces a client joins over one Engine.IO connection.
///
/// The mirror of [`server::Connection`](crate::server::Connection): after each call take
/// [`poll_output`](Self::poll_output) until it gives `None`, and call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout). After the Engine.IO connection was lost, begin a new one of these and
/// [`connect`](Self::connect) again.
#[derive(Debug)]
pub struct Connection {
    parser: Parser,
    limits: Limits,
    outputs: VecDeque<Output>,
    slots: Vec<Slot>,
    decoder: Decoder,
    acks: Acks,
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
    /// Events that came before the CONNECT: the reference sends what a recovered client missed first.
    early: Vec<(Option<u64>, Event)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asking,
    Joined,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The server let the client in.
    Connected {
        /// The namespace.
        namespace: Namespace,
        /// The id the server gave to this client.
        sid: String,
        /// What a later auth payload must name to have the connection's state recovered.
        pid: Option<String>,
    },
    /// The server kept the client out.
    ConnectError {
        /// The namespace.
        namespace: Namespace,
        /// `{"message":…,"data":…}`.
        error: Bytes,
    },
    /// An event.
    Event {
        /// The namespace.
        namespace: Namespace,
        /// The id to [`encode::ack`] with, when the server asks for an acknowledgement.
        id: Option<u64>,
        /// Name and arguments.
        event: Event,
    },
    /// The acknowledgement of an event announced by [`Connection::expect_ack`].
    Ack {
        /// The namespace.
        namespace: Namespace,
        /// The id of the event.
        id: u64,
        /// The arguments, a JSON array.
        args: Payload,
    },
    /// The server did not acknowledge in time.
    AckTimeout {
        /// The namespace.
        namespace: Namespace,
        /// The id of the event.
        id: u64,
    },
    /// A joined namespace was left. Acknowledgements it waited for will not come.
    Disconnected {
        /// The namespace.
        namespace: Namespace,
        /// Why.
        reason: DisconnectReason,
    },
    /// Send a packet over Engine.IO.
    Send(Encoded),
    /// Close the Engine.IO connection: the server broke the protocol. Nothing follows.
    Close,
}

/// Why a namespace was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The server made the client leave. The JavaScript client does not come back by itself then.
    ServerDisconnect,
    /// [`Connection::disconnect`] was called.
    ClientDisconnect,
    /// The server sent something that is no packet.
    ParseError,
    /// The Engine.IO connection ended.
    TransportClose,
}

/// The namespace is joined, or asked for, already; or the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the namespace cannot be joined")]
pub struct CannotJoin;

#[derive(Deserialize)]
struct Connected {
    sid: String,
    #[serde(default)]
    pid: Option<String>,
}

impl Connection {
    /// Starts with an Engine.IO connection that was just opened.
    pub fn new(parser: Parser, limits: Limits) -> Self {
        Self {
            parser,
            limits,
            outputs: VecDeque::new(),
            slots: Vec::new(),
            decoder: Decoder::default(),
            acks: Acks::default(),
            state: State::Open,
        }
    }

    /// Asks to join a namespace. `auth` is a JSON object, or empty for none.
    ///
    /// # Errors
    /// [`CannotJoin`] when that was asked already, or the connection is closed.
    pub fn connect(&mut self, namespace: &Namespace, auth: Bytes) -> Result<(), CannotJoin> {
        if self.state == State::Closed || self.stage(namespace).is_some() {
            return Err(CannotJoin);
        }
        self.slots.push(Slot {
            namespace: namespace.clone(),
            stage: Stage::Asking,
            early: Vec::new(),
        });
        let packet = Packet {
            namespace: namespace.clone(),
            body: Body::Connect(auth),
        };
        self.outputs
            .push_back(Output::Send(packet.encode(self.parser)));
        Ok(())
    }

    /// Leaves a namespace, or takes the wish to join back.
    pub fn disconnect(&mut self, namespace: &Namespace) {
        if let Some(stage) = self.stage(namespace) {
            self.outputs
                .push_back(Output::Send(encode::disconnect(self.parser, namespace)));
            self.leave(namespace, stage, DisconnectReason::ClientDisconnect);
        }
    }

    /// Sends an encoded packet after what was sent before. Without effect once the connection is closed.
    pub fn send(&mut self, encoded: Encoded) {
        if self.state == State::Open {
            self.outputs.push_back(Output::Send(encoded));
        }
    }

    /// Announces that an event with this id is sent; see
    /// [`server::Connection::expect_ack`](crate::server::Connection::expect_ack).
    pub fn expect_ack(&mut self, namespace: &Namespace, id: u64, deadline: Option<Instant>) {
        if self.is_joined(namespace) {
            self.acks.expect(namespace.clone(), id, deadline);
        }
    }

    /// A text message from Engine.IO, without its type digit.
    pub fn handle_text(&mut self, now: Instant, text: Bytes) {
        if self.state == State::Open {
            let decoded = self
                .decoder
                .decode_text(now, text, self.parser, &self.limits);
            self.handle_decoded(decoded);
        }
    }

    /// A binary message from Engine.IO.
    pub fn handle_binary(&mut self, bytes: Bytes) {
        if self.state == State::Open {
            let decoded = self.decoder.decode_binary(bytes, self.parser, &self.limits);
            self.handle_decoded(decoded);
        }
    }

    /// The Engine.IO connection ended.
    pub fn handle_close(&mut self) {
        self.end(DisconnectReason::TransportClose);
    }

    /// Time passed: gives up on attachments and acknowledgements.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.decoder.handle_timeout(now).is_err() {
            self.fail();
        }
        while let Some((namespace, id)) = self.acks.pop_overdue(now) {
            self.outputs.push_back(Output::AckTimeout { namespace, id });
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.decoder.poll_timeout(), self.acks.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the server let the client into this namespace.
    pub fn is_joined(&self, namespace: &Namespace) -> bool {
        self.stage(namespace) == Some(Stage::Joined)
    }

    fn handle_decoded(&mut self, decoded: Result<Option<Packet>, DecodeError>) {
        match decoded {
            Ok(Some(packet)) => self.handle_packet(packet),
            Ok(None) => {}
            Err(_) => self.fail(),
        }
    }

    /// Packets for namespaces that were left are under way still: they are ignored.
    fn handle_packet(&mut self, Packet { namespace, body }: Packet) {
        match (self.stage(&namespace), body) {
            (Some(Stage::Asking), Body::Connect(json)) => self.handle_connected(&namespace, &json),
            (Some(Stage::Asking), Body::ConnectError(error)) => {
                self.slots.retain(|slot| slot.namespace != namespace);
                self.outputs
                    .push_back(Output::ConnectError { namespace, error });
            }
            (Some(Stage::Joined), Body::Event { id, event }) => {
                self.outputs.push_back(Output::Event {
                    namespace,
                    id,
                    event,
                });
            }
            (Some(Stage::Joined), Body::Ack { id: Some(id), args }) => {
                if self.acks.take(&namespace, id) {
                    self.outputs.push_back(Output::Ack {
                        namespace,
                        id,
                        args,
                    });
                }
            }
            (Some(Stage::Asking), Body::Event { id, event }) => {
                self.keep_early(&namespace, id, event);
            }
            (Some(stage), Body::Disconnect) => {
                self.leave(&namespace, stage, DisconnectReason::ServerDisconnect);
            }
            (
                Some(Stage::Joined),
                Body::Connect(_) | Body::ConnectError(_) | Body::Ack { id: None, .. },
            )
            | (Some(Stage::Asking), Body::Ack { .. })
            | (None, _) => {}
        }
    }

    /// A server of protocol v4 sends no id: the client cannot talk to it.
    fn handle_connected(&mut self, namespace: &Namespace, json: &[u8]) {
        let Ok(Connected { sid, pid }) = serde_json::from_slice(json) else {
            return self.fail();
        };
        let mut early = Vec::new();
        for slot in &mut self.slots {
            if slot.namespace == *namespace {
                slot.stage = Stage::Joined;
                early = std::mem::take(&mut slot.early);
            }
        }
        self.outputs.push_back(Output::Connected {
            namespace: namespace.clone(),
            sid,
            pid,
        });
        for (id, event) in early {
            let namespace = namespace.clone();
            self.outputs.push_back(Output::Event {
                namespace,
                id,
                event,
            });
        }
    }

    /// The event follows the CONNECT.
    fn keep_early(&mut self, namespace: &Namespace, id: Option<u64>, event: Event) {
        let mut slots = self.slots.iter_mut();
        match slots.find(|slot| slot.namespace == *namespace) {
            Some(slot) if slot.early.len() < EARLY_MAX => slot.early.push((id, event)),
            Some(_) => self.fail(),
            None => {}
        }
    }

    fn leave(&mut self, namespace: &Namespace, stage: Stage, reason: DisconnectReason) {
        self.slots.retain(|slot| slot.namespace != *namespace);
        self.acks.forget(namespace);
        match stage {
            Stage::Joined => {
                self.outputs.push_back(Output::Disconnected {
                    namespace: namespace.clone(),
                    reason,
                });
            }
            Stage::Asking => {}
        }
    }

    fn fail(&mut self) {
        self.end(DisconnectReason::ParseError);
        self.outputs.push_back(Output::Close);
    }

    fn end(&mut self, reason: DisconnectReason) {
        self.state = State::Closed;
        self.decoder = Decoder::default();
        for Slot {
            namespace, stage, ..
        } in std::mem::take(&mut self.slots)
        {
            self.leave(&namespace, stage, reason);
        }
    }

    fn stage(&self, namespace: &Namespace) -> Option<Stage> {
        self.slots
            .iter()
            .find(|slot| slot.namespace == *namespace)
            .map(|slot| slot.stage)
    }
}

impl DisconnectReason {
    /// The JavaScript client's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerDisconnect => "io server disconnect",
            Self::ClientDisconnect => "io client disconnect",
            Self::ParseError => "parse error",
            Self::TransportClose => "transport close",
        }
    }
}

/// Events that a server may send before the CONNECT; one more ends the connection.
const EARLY_MAX: usize = 10_000;
