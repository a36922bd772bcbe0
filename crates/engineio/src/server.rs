//! The server's side of one Engine.IO connection.

mod output;
mod requests;
mod upgrade;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::config::{Config, Transport};
use crate::handshake::{Open, Response};
use crate::heartbeat::{Beat, Heartbeat, Sign};
use crate::packet::{BinarySupport, Frame, Packet, PacketError, Protocol};
use crate::polling::Polling;
use crate::query::Session;

pub use output::{Close, CloseReason, Output, RequestId, SendError, SocketEnd, SocketId};

/// One Engine.IO connection, from the handshake to its end, over polling, WebSocket and the upgrade between them.
///
/// It does no I/O and reads no clock. Its methods are of four kinds:
///
/// - *getters* tell its state;
/// - `handle_*` take input: requests, WebSocket messages, the passing of time;
/// - [`send`](Self::send) and [`close`](Self::close) are what the application wants;
/// - [`poll_output`](Self::poll_output) and [`poll_timeout`](Self::poll_timeout) tell what to do.
///
/// After any call of the second and third kind, call `poll_output` until it gives `None`, then wait for input until
/// `poll_timeout`, at which [`handle_timeout`](Self::handle_timeout) is due. Several `send`s before one round of
/// `poll_output` share one poll response.
///
/// The driver names each HTTP request with a [`RequestId`] of its choice and gets it back with the response; the
/// connection names each WebSocket with a [`SocketId`].
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    heartbeat: Heartbeat,
    link: Link,
    outputs: VecDeque<Output>,
    socket_next: u32,
    protocol: Protocol,
    binary: BinarySupport,
}

/// ```text
/// Polling --probe, then 5--> WebSocket
///    |                           |
///    +---- any CloseReason ------+----> Closed
/// ```
#[derive(Debug)]
enum Link {
    Polling(Box<Polling>),
    WebSocket(SocketId),
    Closed,
}

impl Connection {
    /// Opens a connection over polling. `request` is the GET of the handshake; the first response answers it, with the
    /// OPEN packet and all that is sent before the first [`poll_output`](Self::poll_output).
    pub fn polling(
        now: Instant,
        config: Arc<Config>,
        sid: &str,
        protocol: Protocol,
        binary: BinarySupport,
        request: RequestId,
    ) -> Self {
        let mut polling = Box::<Polling>::default();
        polling.poll = Some(request);
        polling.push(Open::packet(sid, Transport::Polling, &config).encode());
        Self {
            heartbeat: Heartbeat::new(now, protocol, &config),
            config,
            link: Link::Polling(polling),
            outputs: VecDeque::new(),
            socket_next: 0,
            protocol,
            binary,
        }
    }

    /// Opens a connection over a WebSocket whose handshake is done, and names the socket.
    pub fn websocket(
        now: Instant,
        config: Arc<Config>,
        sid: &str,
        protocol: Protocol,
        binary: BinarySupport,
    ) -> (Self, SocketId) {
        let socket = SocketId(0);
        let frame = Open::packet(sid, Transport::WebSocket, &config).encode();
        let connection = Self {
            heartbeat: Heartbeat::new(now, protocol, &config),
            config,
            link: Link::WebSocket(socket),
            outputs: VecDeque::from([Output::Send { socket, frame }]),
            socket_next: 1,
            protocol,
            binary,
        };
        (connection, socket)
    }

    /// A WebSocket message. The text of a [`Frame::Text`] must be valid UTF-8, which a WebSocket codec has checked.
    /// Ignored when the connection has closed that socket.
    pub fn handle_frame(&mut self, now: Instant, socket: SocketId, frame: Frame) {
        self.handle_timeout(now);
        let packet = Packet::decode(self.protocol, frame);
        match &self.link {
            Link::WebSocket(current) if *current == socket => self.handle_decoded(now, packet),
            Link::Polling(polling)
                if polling
                    .probe
                    .as_ref()
                    .is_some_and(|probe| probe.socket == socket) =>
            {
                self.handle_probe_packet(now, socket, packet);
            }
            Link::WebSocket(_) | Link::Polling(_) | Link::Closed => {}
        }
    }

    /// A WebSocket ended, or its handshake failed after it was named.
    pub fn handle_socket_end(&mut self, now: Instant, socket: SocketId, end: SocketEnd) {
        self.handle_timeout(now);
        match &mut self.link {
            Link::WebSocket(current) if *current == socket => {
                self.finish(match end {
                    SocketEnd::Closed => CloseReason::TransportClose,
                    SocketEnd::Failed => CloseReason::TransportError,
                });
            }
            Link::Polling(polling)
                if polling
                    .probe
                    .as_ref()
                    .is_some_and(|probe| probe.socket == socket) =>
            {
                polling.probe = None;
            }
            Link::WebSocket(_) | Link::Polling(_) | Link::Closed => {}
        }
    }

    /// Time passed: pings, gives up on a silent client, an upgrade or a close. Every other `handle_*` does this
    /// first, so a request at the very instant of the ping timeout finds the session gone.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.drain_incoming();
        if self.is_closed() {
            return;
        }
        match self.heartbeat.handle_timeout(now, &self.config) {
            Some(Beat::Ping) => self.push_control(Packet::Ping(Bytes::new())),
            Some(Beat::Dead) => return self.end(CloseReason::PingTimeout),
            None => {}
        }
        let Link::Polling(polling) = &mut self.link else {
            return;
        };
        if polling.close_at.is_some_and(|close_at| now >= close_at) {
            return self.end(CloseReason::ForcedClose);
        }
        if let Some(probe) = polling.probe.take_if(|probe| probe.is_dead(now)) {
            self.outputs.push_back(Output::CloseSocket {
                socket: probe.socket,
            });
        }
        polling.release_poll(now);
    }

    /// Sends an encoded message, in the form of protocol v4 with binary support ([`Frame`]). On a WebSocket it is the
    /// next output; on polling it waits for a poll.
    ///
    /// # Errors
    /// [`SendError`] when the connection closes, or too much waits for a poll; nothing was queued then.
    pub fn send(&mut self, frame: Frame) -> Result<(), SendError> {
        match &mut self.link {
            Link::WebSocket(socket) => {
                let frame = frame.for_websocket(self.protocol, self.binary);
                self.outputs.push_back(Output::Send {
                    socket: *socket,
                    frame,
                });
                Ok(())
            }
            Link::Polling(polling) if polling.close_at.is_none() => {
                if !polling.has_room(&frame, &self.config) {
                    let bytes = polling.queue_bytes();
                    return Err(SendError::QueueFull {
                        bytes,
                        max: self.config.queue_bytes_max,
                    });
                }
                polling.push(frame);
                Ok(())
            }
            Link::Polling(_) | Link::Closed => Err(SendError::Closed),
        }
    }

    /// Closes the connection. A polling client learns it from its pending or next poll (`1`), once it has fetched what waits; a WebSocket is closed.
    pub fn close(&mut self, now: Instant, close: Close) {
        self.drain_incoming();
        match (&mut self.link, close) {
            (Link::Polling(polling), Close::Flush) if polling.close_at.is_none() => {
                polling.close_at = Some(now + self.config.close_timeout);
            }
            (Link::Polling(_), Close::Flush) | (Link::Closed, _) => {}
            (Link::Polling(_), Close::Discard) | (Link::WebSocket(_), _) => {
                self.end(CloseReason::ForcedClose);
            }
        }
    }

    /// The next thing to do, `None` when there is nothing until the next input or [`poll_timeout`](Self::poll_timeout).
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if !self.decode_incoming() && !self.flush() {
                // An idle connection holds no buffer.
                self.outputs = VecDeque::new();
                return None;
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` once the connection is closed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat.poll_timeout();
        match &self.link {
            Link::Polling(polling) => Some(
                polling
                    .poll_timeout()
                    .map_or(heartbeat, |other| other.min(heartbeat)),
            ),
            Link::WebSocket(_) => Some(heartbeat),
            Link::Closed => None,
        }
    }

    /// Whether a message sent at this moment would leave at once. Volatile messages are dropped when it would not.
    pub fn is_writable(&self) -> bool {
        match &self.link {
            Link::WebSocket(_) => true,
            Link::Polling(polling) => {
                polling.poll.is_some() && polling.is_empty() && polling.close_at.is_none()
            }
            Link::Closed => false,
        }
    }

    /// The WebSocket that is the transport. While it is `Some` and [`poll_output`](Self::poll_output) has given
    /// `None`, the connection holds no message back: whoever fans out may write frames
    /// ([`Frame::for_websocket`]) to this socket past the connection.
    pub fn socket(&self) -> Option<SocketId> {
        match self.link {
            Link::WebSocket(socket) => Some(socket),
            Link::Polling(_) | Link::Closed => None,
        }
    }

    /// What [`Query::check`](crate::Query::check) must know; `None` once closed.
    pub fn session(&self) -> Option<Session> {
        let transport = match self.link {
            Link::Polling(_) => Transport::Polling,
            Link::WebSocket(_) => Transport::WebSocket,
            Link::Closed => return None,
        };
        Some(Session {
            transport,
            protocol: self.protocol,
        })
    }

    /// The protocol the client speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether the client takes binary data as bytes.
    pub fn binary_support(&self) -> BinarySupport {
        self.binary
    }

    /// Bytes that wait for a poll.
    pub fn queue_bytes(&self) -> usize {
        match &self.link {
            Link::Polling(polling) => polling.queue_bytes(),
            Link::WebSocket(_) | Link::Closed => 0,
        }
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.link, Link::Closed)
    }

    /// Looks at the next packet of the POST in hand. Lazily, so that a body of many tiny packets never stands in
    /// memory as as many outputs. `false` when there is none.
    fn decode_incoming(&mut self) -> bool {
        let Link::Polling(polling) = &mut self.link else {
            return false;
        };
        let Some((packets, at)) = &mut polling.incoming else {
            return false;
        };
        let at = *at;
        match packets.next() {
            Some(packet) => self.handle_decoded(at, packet),
            None => {
                polling.incoming = None;
                if let Some(request) = polling.post.take() {
                    self.respond(request, Response::ok());
                }
            }
        }
        true
    }

    /// New input must not overtake the packets of an earlier POST.
    fn drain_incoming(&mut self) {
        while self.decode_incoming() {}
    }

    fn handle_decoded(&mut self, now: Instant, packet: Result<Packet, PacketError>) {
        let Ok(packet) = packet else {
            return self.end(CloseReason::ParseError);
        };
        let sign = if matches!(packet, Packet::Pong(_)) {
            Sign::Pong
        } else {
            Sign::OtherPacket
        };
        match (packet, self.protocol) {
            (Packet::Ping(_), Protocol::V4) | (Packet::Pong(_), Protocol::V3) => {
                return self.end(CloseReason::TransportError);
            }
            (Packet::Ping(_), Protocol::V3) => {
                self.heartbeat.handle_ping(now, &self.config);
                self.push_control(Packet::Pong(Bytes::new()));
            }
            (Packet::Close, _) => return self.handle_close_packet(),
            (Packet::Message(message), _) if !self.is_closing() => {
                self.outputs.push_back(Output::Message(message));
            }
            (Packet::Message(_) | Packet::Open(_) | Packet::Upgrade | Packet::Noop, _)
            | (Packet::Pong(_), Protocol::V4) => {}
        }
        self.heartbeat.handle_packet(now, sign, &self.config);
    }

    /// The client said goodbye: its pending poll is released with a noop, its POST gets its `ok`.
    fn handle_close_packet(&mut self) {
        if let Link::Polling(polling) = &mut self.link {
            let released = polling.release_with(Packet::Noop, self.protocol, self.binary);
            let posted = polling.post.take().map(|request| (request, Response::ok()));
            for (request, response) in released.into_iter().chain(posted) {
                self.respond(request, response);
            }
        }
        self.end(CloseReason::TransportClose);
    }

    /// A packet of our own: a handful of bytes, so the bound of the queue does not count.
    fn push_control(&mut self, packet: Packet) {
        match &mut self.link {
            Link::Polling(polling) => polling.push(packet.encode()),
            Link::WebSocket(socket) => {
                self.outputs.push_back(Output::Send {
                    socket: *socket,
                    frame: packet.encode(),
                });
            }
            Link::Closed => {}
        }
    }

    /// Answers the pending poll with all that waits, or with the end where nothing does.
    fn flush(&mut self) -> bool {
        let Link::Polling(polling) = &mut self.link else {
            return false;
        };
        // The close has an answer of its own, as in the reference: clients see to it before the packets that came in the same one.
        if polling.close_at.is_some() && polling.is_empty() && polling.poll.is_some() {
            self.end(CloseReason::ForcedClose);
            return true;
        }
        let Some((request, response)) = polling.flush(self.protocol, self.binary) else {
            return false;
        };
        self.respond(request, response);
        true
    }

    /// Ends the connection from this side: closes or answers what is open, then reports the end.
    fn end(&mut self, reason: CloseReason) {
        match &mut self.link {
            Link::Polling(polling) => {
                let released = polling.release_with(Packet::Close, self.protocol, self.binary);
                let posted = polling
                    .post
                    .take()
                    .map(|request| (request, Response::empty(400)));
                for (request, response) in released.into_iter().chain(posted) {
                    self.respond(request, response);
                }
            }
            Link::WebSocket(socket) => {
                let socket = *socket;
                self.outputs.push_back(Output::CloseSocket { socket });
            }
            Link::Closed => return,
        }
        self.finish(reason);
    }

    /// Reports the end, once.
    fn finish(&mut self, reason: CloseReason) {
        self.drop_probe();
        self.link = Link::Closed;
        self.outputs.push_back(Output::Closed(reason));
    }

    fn respond(&mut self, request: RequestId, response: Response) {
        self.outputs
            .push_back(Output::Respond { request, response });
    }

    fn is_closing(&self) -> bool {
        matches!(&self.link, Link::Polling(polling) if polling.close_at.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_holds_no_memory_beside_itself() {
        let (mut connection, socket) = upgraded();

        connection.handle_frame(start(), socket, Frame::Text(Bytes::from_static(b"4hello")));
        while connection.poll_output().is_some() {}

        assert_eq!(connection.outputs.capacity(), 0);
        assert!(
            matches!(connection.link, Link::WebSocket(_)),
            "the boxed part is gone"
        );
    }

    fn upgraded() -> (Connection, SocketId) {
        let (config, binary) = (Arc::new(Config::default()), BinarySupport::Bytes);
        let mut connection =
            Connection::polling(start(), config, "sid", Protocol::V4, binary, RequestId(0));
        while connection.poll_output().is_some() {}
        let socket = connection
            .handle_websocket(start())
            .expect("the first one is wanted");
        connection.handle_frame(start(), socket, Frame::Text(Bytes::from_static(b"5")));
        (connection, socket)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise"
    )]
    fn start() -> Instant {
        Instant::now()
    }
}
