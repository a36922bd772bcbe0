//! What comes from the connection, and what goes out on it.

use std::time::Instant;

use nuncio_engineio::Transport;
use nuncio_engineio::client::Output as EngineOutput;
use nuncio_socketio::Namespace;
use nuncio_socketio::client::{DisconnectReason as LeaveReason, Output};
use serde_json::Value;

use super::line::Line;
use super::socket::Stage;
use super::{Action, Conversation, Phase, Then};
use crate::socketio::{AckId, Args, DisconnectReason, Event};

impl Conversation {
    pub(super) fn with_line(&mut self, now: Instant, change: impl FnOnce(&mut Line)) {
        match &mut self.phase {
            Phase::Opening(line) | Phase::Open(line) | Phase::Closing { line, .. } => change(line),
            Phase::Idle | Phase::Waiting { .. } => {}
        }
        self.pump(now);
    }

    /// Moves packets between the sockets and the connection until nothing more follows from anything.
    pub(super) fn pump(&mut self, now: Instant) {
        loop {
            self.flush();
            let (Phase::Opening(line) | Phase::Open(line) | Phase::Closing { line, .. }) =
                &mut self.phase
            else {
                break;
            };
            if let Some(output) = line.packets.poll_output() {
                self.handle_packet(output, now);
            } else if let Some(output) = line.engine.poll_output() {
                self.handle_engine(output, now);
            } else {
                break;
            }
        }
        self.flush();
    }

    /// Takes what the sockets want to say.
    pub(super) fn flush(&mut self) {
        for (namespace, socket) in &mut self.sockets {
            while let Some(outgoing) = socket.poll_outgoing() {
                let deadline = outgoing.id.and_then(|id| socket.deadline(id));
                if let Phase::Open(line) = &mut self.phase {
                    line.emit(namespace, &outgoing, deadline);
                }
            }
            while let Some((ticket, result)) = socket.poll_settled() {
                self.actions.push_back(Action::Settle(ticket, result));
            }
        }
    }

    pub(super) fn handle_engine(&mut self, output: EngineOutput, now: Instant) {
        let (Phase::Opening(line) | Phase::Open(line) | Phase::Closing { line, .. }) =
            &mut self.phase
        else {
            return;
        };
        let action = match output {
            EngineOutput::Get => Action::Get(line.engine.query(Transport::Polling)),
            EngineOutput::Post(body) => Action::Post(line.engine.query(Transport::Polling), body),
            EngineOutput::OpenSocket => Action::OpenSocket(line.engine.query(Transport::WebSocket)),
            EngineOutput::Send(frame) => {
                self.frames_unsent += 1;
                Action::Send(frame)
            }
            EngineOutput::CloseSocket => {
                self.frames_unsent = 0;
                Action::CloseSocket
            }
            EngineOutput::Opened(_) => return self.handle_opened(),
            EngineOutput::Message(message) => return line.handle_message(message, now),
            EngineOutput::Upgraded => return,
            EngineOutput::Closed(reason) => return self.handle_closed(reason, now),
        };
        self.actions.push_back(action);
    }

    pub(super) fn handle_packet(&mut self, output: Output, now: Instant) {
        match output {
            Output::Send(encoded) => {
                if let Phase::Open(line) | Phase::Closing { line, .. } = &mut self.phase {
                    line.send(encoded);
                }
            }
            Output::Connected {
                namespace,
                sid,
                pid,
            } => {
                self.handle_joined(&namespace, sid, pid, now);
            }
            Output::ConnectError { namespace, error } => {
                self.handle_refused(&namespace, &error, now);
            }
            Output::Event {
                namespace,
                id,
                event,
            } => {
                let args = Args::of_event(&event);
                if let Some(socket) = self.sockets.get_mut(&namespace)
                    && socket.pid.is_some()
                    && let Some(offset) = args.last_text()
                {
                    socket.offset = Some(offset);
                }
                let connection = self.connections;
                let ack = id.map(|id| AckId { connection, id });
                let name = event.name().into_owned();
                self.tell(&namespace, Event::Message { name, args, ack });
            }
            Output::Ack {
                namespace,
                id,
                args,
            } => {
                if let Some(socket) = self.sockets.get_mut(&namespace) {
                    socket.handle_ack(id, args.into(), now);
                }
            }
            Output::Disconnected {
                namespace,
                reason: LeaveReason::ServerDisconnect,
            } => self.handle_server_disconnect(&namespace, now),
            Output::Close => self.handle_parse_error(now),
            // The socket's own deadline is the same; the others are told where they are caused.
            Output::AckTimeout { .. }
            | Output::Disconnected {
                reason:
                    LeaveReason::ClientDisconnect
                    | LeaveReason::ParseError
                    | LeaveReason::TransportClose,
                ..
            } => {}
        }
    }

    pub(super) fn handle_joined(
        &mut self,
        namespace: &Namespace,
        id: String,
        pid: Option<String>,
        now: Instant,
    ) {
        let Some(socket) = self.sockets.get_mut(namespace) else {
            return;
        };
        let recovered = pid.is_some() && pid == socket.pid;
        if !recovered {
            socket.offset = None;
        }
        socket.pid = pid;
        socket.handle_joined(now);
        self.tell(namespace, Event::Connect { id, recovered });
    }

    pub(super) fn handle_refused(&mut self, namespace: &Namespace, error: &[u8], now: Instant) {
        if let Some(socket) = self.sockets.get_mut(namespace) {
            socket.handle_left(Stage::Idle, now);
        }
        let mut error: Value = serde_json::from_slice(error).unwrap_or_default();
        let event = Event::ConnectError {
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error.get_mut("data").map(Value::take).unwrap_or_default(),
            active: false,
        };
        self.tell(namespace, event);
        self.close_if_unused(now);
    }

    pub(super) fn handle_server_disconnect(&mut self, namespace: &Namespace, now: Instant) {
        if let Some(socket) = self.sockets.get_mut(namespace) {
            socket.handle_left(Stage::Idle, now);
        }
        let reason = DisconnectReason::ServerDisconnect;
        self.tell(
            namespace,
            Event::Disconnect {
                reason,
                active: false,
            },
        );
        self.close_if_unused(now);
    }

    pub(super) fn handle_parse_error(&mut self, now: Instant) {
        self.lose(DisconnectReason::ParseError, now);
        self.close(Then::Wait, now);
    }
}
