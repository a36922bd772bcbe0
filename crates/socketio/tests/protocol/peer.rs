//! A connection with a clock of its own, and outputs in short form.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_socketio::server::{Config, Connection, DisconnectReason, Output};
use nuncio_socketio::{Encoded, Namespace, Protocol};

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
}

/// An output in short form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Connect(String, String),
    Event(String, Option<u64>, String),
    Ack(String, u64, String),
    AckTimeout(String, u64),
    Disconnected(String, DisconnectReason),
    Sent(String),
    Close,
}

impl Peer {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self::with(protocol, Config::default())
    }

    pub(crate) fn with(protocol: Protocol, config: Config) -> Self {
        let now = start();
        Self {
            connection: Connection::new(now, Arc::new(config), protocol),
            now,
        }
    }

    /// A v5 client that has joined `/`.
    pub(crate) fn joined() -> Self {
        let mut peer = Self::new(Protocol::V5);
        peer.join("/");
        peer
    }

    pub(crate) fn join(&mut self, namespace: &str) {
        self.text(&format!(
            "0{}",
            if namespace == "/" { "" } else { namespace }
        ));
        self.accept(namespace);
        self.seen();
    }

    pub(crate) fn accept(&mut self, namespace: &str) {
        let namespace = Namespace::new(namespace);
        self.connection
            .accept(&namespace, "the-id", None)
            .expect("the client has asked");
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.connection
            .handle_text(self.now, Bytes::copy_from_slice(text.as_bytes()));
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.connection.handle_binary(Bytes::copy_from_slice(bytes));
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.connection.handle_timeout(self.now);
    }

    pub(crate) fn timeout_millis(&self) -> Option<u128> {
        self.connection
            .poll_timeout()
            .map(|at| (at - self.now).as_millis())
    }

    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.connection.poll_output())
            .map(Seen::from)
            .collect()
    }
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        match output {
            Output::Connect { namespace, auth } => {
                Self::Connect(namespace.to_string(), text(&auth))
            }
            Output::Event {
                namespace,
                id,
                event,
            } => Self::Event(namespace.to_string(), id, text(event.payload().json())),
            Output::Ack {
                namespace,
                id,
                args,
            } => Self::Ack(namespace.to_string(), id, text(args.json())),
            Output::AckTimeout { namespace, id } => Self::AckTimeout(namespace.to_string(), id),
            Output::Disconnected { namespace, reason } => {
                Self::Disconnected(namespace.to_string(), reason)
            }
            Output::Send(encoded) => Self::Sent(wire(&encoded)),
            Output::Close => Self::Close,
        }
    }
}

/// The text of a packet of the default parser.
pub(crate) fn wire(encoded: &Encoded) -> String {
    encoded
        .text()
        .expect("the default parser writes text")
        .to_owned()
}

pub(crate) fn sent(text: &str) -> Seen {
    Seen::Sent(text.to_owned())
}

pub(crate) fn connect(namespace: &str, auth: &str) -> Seen {
    Seen::Connect(namespace.to_owned(), auth.to_owned())
}

pub(crate) fn event(namespace: &str, id: Option<u64>, json: &str) -> Seen {
    Seen::Event(namespace.to_owned(), id, json.to_owned())
}

pub(crate) fn disconnected(namespace: &str, reason: DisconnectReason) -> Seen {
    Seen::Disconnected(namespace.to_owned(), reason)
}

/// Any instant will do: the tests add to it by hand.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
