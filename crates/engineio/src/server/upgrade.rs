//! From polling to WebSocket: the probe, and the packets that wait meanwhile.

use std::time::Instant;

use bytes::Bytes;

use super::{CloseReason, Connection, Link, Output, SocketId};
use crate::config::Transport;
use crate::handshake::Response;
use crate::packet::{Frame, Packet, PacketError};
use crate::polling::Probe;

impl Connection {
    /// A WebSocket was opened for the session. `None` means that it is not wanted, since there is one already, the
    /// connection closes, or upgrades are off: close it without a code.
    pub fn handle_websocket(&mut self, now: Instant) -> Option<SocketId> {
        self.handle_timeout(now);
        let upgrades = !self.config.upgrades_from(Transport::Polling).is_empty();
        let Link::Polling(polling) = &mut self.link else {
            return None;
        };
        if polling.probe.is_some() || polling.close_at.is_some() || !upgrades {
            return None;
        }
        let socket = SocketId(self.socket_next);
        self.socket_next = self.socket_next.wrapping_add(1);
        polling.probe = Some(Probe::new(now, socket, &self.config));
        Some(socket)
    }

    pub(super) fn handle_probe_packet(
        &mut self,
        now: Instant,
        socket: SocketId,
        packet: Result<Packet, PacketError>,
    ) {
        match packet {
            Ok(Packet::Ping(text)) if text == PROBE => {
                let frame = Packet::Pong(Bytes::from_static(PROBE)).encode();
                self.outputs.push_back(Output::Send { socket, frame });
                if let Link::Polling(polling) = &mut self.link
                    && let Some(probe) = &mut polling.probe
                {
                    probe.handle_answered();
                    polling.release_poll(now);
                }
            }
            Ok(Packet::Upgrade) => self.upgrade(now, socket),
            Ok(_) | Err(_) => self.drop_probe(),
        }
    }

    /// Anything unexpected on the probing socket closes only that socket.
    pub(super) fn drop_probe(&mut self) {
        if let Link::Polling(polling) = &mut self.link
            && let Some(probe) = polling.probe.take()
        {
            self.outputs.push_back(Output::CloseSocket {
                socket: probe.socket,
            });
        }
    }

    fn upgrade(&mut self, now: Instant, socket: SocketId) {
        let Link::Polling(mut polling) = std::mem::replace(&mut self.link, Link::WebSocket(socket))
        else {
            unreachable!("only a polling connection has a probe");
        };
        // A client that upgrades has no request open; one that has gets no packet with its answer, so none is lost.
        let released = polling.release_with(Packet::Noop, self.protocol, self.binary);
        let posted = polling
            .post
            .take()
            .map(|request| (request, Response::empty(400)));
        for (request, response) in released.into_iter().chain(posted) {
            self.respond(request, response);
        }
        self.heartbeat.handle_upgrade(now, &self.config);
        self.outputs.push_back(Output::Upgraded { socket });
        let is_closing = polling.close_at.is_some();
        for frame in polling.into_queue() {
            if !is_released_by_socket(&frame) {
                let frame = frame.for_websocket(self.protocol, self.binary);
                self.outputs.push_back(Output::Send { socket, frame });
            }
        }
        if is_closing {
            self.end(CloseReason::ForcedClose);
        }
    }
}

/// Packets that mean something on polling only.
fn is_released_by_socket(frame: &Frame) -> bool {
    matches!(frame, Frame::Text(text) if text == "6")
}

/// The text of the ping and pong that test a new transport.
const PROBE: &[u8] = b"probe";
