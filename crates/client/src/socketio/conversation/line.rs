//! One connection: Engine.IO below, Socket.IO above.

use std::time::{Duration, Instant};

use nuncio_engineio::client::{Config, Connection};
use nuncio_engineio::{Frame, Message, Transport};
use nuncio_socketio::{Encoded, Frame as Encoding, Namespace, Parser, client, encode};

use super::socket::Outgoing;
use crate::socketio::{Args, ConversationConfig};

#[derive(Debug)]
pub(super) struct Line {
    pub(super) engine: Connection,
    pub(super) packets: client::Connection,
    parser: Parser,
}

impl Line {
    /// Begins to connect by one of the transports.
    pub(super) fn new(config: &ConversationConfig, transport: usize, now: Instant) -> Self {
        let later = config.transports.get(transport + 1..).unwrap_or_default();
        let mut engine = Config::default();
        engine.transport = config
            .transports
            .get(transport)
            .copied()
            .unwrap_or(Transport::Polling);
        engine.upgrade = config.upgrade && later.contains(&Transport::WebSocket);
        engine.connect_timeout = config.timeout;
        Self {
            engine: Connection::new(now, engine),
            packets: client::Connection::new(config.parser, config.limits.clone()),
            parser: config.parser,
        }
    }

    pub(super) fn handle_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::Text(text) => self.packets.handle_text(now, text),
            Message::Binary(bytes) => self.packets.handle_binary(bytes),
        }
    }

    pub(super) fn emit(
        &mut self,
        namespace: &Namespace,
        outgoing: &Outgoing,
        deadline: Option<Instant>,
    ) {
        let Outgoing { id, name, args } = outgoing;
        if let Some(id) = *id {
            self.packets.expect_ack(namespace, id, deadline);
        }
        let attachments = args.payload().attachments();
        let list = args.list();
        let encoded = encode::event(self.parser, namespace, *id, name, &list, attachments);
        self.packets.send(encoded);
    }

    pub(super) fn answer(&mut self, namespace: &Namespace, id: u64, args: &Args) {
        let encoded = encode::ack(self.parser, namespace, id, args.payload());
        self.packets.send(encoded);
    }

    /// Gives a packet to Engine.IO.
    pub(super) fn send(&mut self, encoded: Encoded) {
        for frame in encoded.into_frames() {
            self.engine.send(match frame {
                Encoding::Text(text) => Frame::Text(text),
                Encoding::Binary(bytes) => Frame::Binary(bytes),
            });
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let both = [self.engine.poll_timeout(), self.packets.poll_timeout()];
        both.into_iter().flatten().min()
    }
}

/// How long the last packets may take to go out.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
