//! Packets (protocol v5 and v4, "Packet types").

use bytes::Bytes;

use crate::namespace::Namespace;
use crate::payload::{Event, Payload};

/// One Socket.IO packet, whichever parser it came by. Binary events and acks are events and acks with attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The namespace it belongs to.
    pub namespace: Namespace,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// CONNECT: a JSON object (auth from a client, `{"sid"}` from a server), or nothing.
    Connect(Bytes),
    /// DISCONNECT from the namespace.
    Disconnect,
    /// EVENT or BINARY_EVENT; with an id when an acknowledgement is asked for.
    Event {
        /// The id to acknowledge with.
        id: Option<u64>,
        /// Name and arguments.
        event: Event,
    },
    /// ACK or BINARY_ACK: an array of arguments. Without an id it acknowledges nothing.
    Ack {
        /// The id of the event.
        id: Option<u64>,
        /// The arguments.
        args: Payload,
    },
    /// CONNECT_ERROR (ERROR in v4): a JSON object, or in v4 any JSON.
    ConnectError(Bytes),
}

/// The revision of the Socket.IO protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Revision 4, over Engine.IO 3: clients 1.x and 2.x.
    V4,
    /// Revision 5, over Engine.IO 4: clients 3.x and 4.x.
    V5,
}

/// How packets are encoded. Both sides must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parser {
    /// Text, with binary data in messages of their own.
    #[default]
    Default,
    /// `socket.io-msgpack-parser`: one binary message a packet.
    MessagePack,
}

/// Which parser a server expects of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParserRule {
    /// Every client this one, as the reference's `parser` option says.
    Only(Parser),
    /// The one of its first packet: a client with the MessagePack parser begins with a binary message, one with the default parser never does. A v4
    /// client is spoken to before it says anything, and is taken to use the default parser.
    AsClient,
}
