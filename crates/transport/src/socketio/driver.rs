//! Carries one Engine.IO connection, with all that is on it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nuncio_engineio::server::{
    Close, CloseReason, Connection, Output as Engine, SocketEnd, SocketId,
};
use nuncio_engineio::{Frame, Message, Packet, RequestError};
use nuncio_hub::{Notice, Pushed, Sink as _, Writer};
use nuncio_model::{CloseCode, Now, RetryRule};
use nuncio_session::socketio::{Output, Session};
use nuncio_socketio::server::DisconnectReason;
use nuncio_websocket::{Event, FrameError, Inflater, Mask, State, encode_pong};

use super::link::{CLOSE_TIMEOUT, LINGER, Link, Phase, Stream, server_side};
use super::mailbox::{Letter, Mailbox};
use super::polling::{Polling, Probe};
use super::seats::Seats;
use super::{SocketIo, frames};
use crate::app::App;
use crate::clock;
use crate::driver::Shared;
use crate::io::{Direct, Woken};
use crate::sink::{Outbox, Wire};

/// The task of one connection. What others write goes past it, through the outbox, once the client has a WebSocket.
pub(super) struct Driver<A: App> {
    pub(super) shared: Arc<Shared<A>>,
    pub(super) endpoint: Arc<SocketIo>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) engine: Connection,
    pub(super) talk: Talk,
    pub(super) seats: Seats<A>,
    pub(super) link: Option<Link>,
    pub(super) polling: Option<Box<Polling>>,
    /// How requests reach it; a connection that began with a WebSocket gets none.
    pub(super) mailbox: Option<Registered>,
    pub(super) armed: Option<Instant>,
    pub(super) end: End,
}

/// What the messages are for.
#[expect(
    clippy::large_enum_variant,
    reason = "only the server of the conformance suite has the small one"
)]
pub(super) enum Talk {
    Session(Session),
    Echo,
}

/// An entry in the table of connections.
pub(super) struct Registered {
    pub(super) sid: nuncio_model::SocketId,
    pub(super) mailbox: Arc<Mailbox>,
}

/// How the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Not yet.
    Open,
    /// By this close code, where there is a WebSocket to send it on.
    With(Option<CloseCode>),
    /// Engine.IO is done: only a closing handshake may be left.
    Over,
}

/// What a thread needs to serve any connection; an idle connection owns none of it.
struct Scratch {
    buffer: Box<[u8]>,
    inflater: Inflater,
    outputs: Vec<Output>,
}

const READ_BYTES: usize = 64 * 1024;
/// Packets in the answer to one poll: with a ping or noop of Engine.IO at most 16, since python-engineio takes a larger payload for an attack and
/// leaves.
const POLL_PACKETS_MAX: usize = 15;
/// Deadlines further away than this are waited for in two steps, since far ones are rounded up.
const NEAR: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        buffer: vec![0; READ_BYTES].into(),
        inflater: Inflater::new(),
        outputs: Vec::new(),
    });
}

impl<A: App> Driver<A> {
    /// One turn: what others want, what the client says, what time wants, and what is to be written.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        let now = clock::now();
        self.handle_notices(cx, &mut scratch.outputs, now);
        // An upgrade comes before the requests that were sent after it.
        self.read(cx, scratch, now);
        self.handle_letters(scratch, now);
        self.engine.handle_timeout(now.instant);
        if let Talk::Session(session) = &mut self.talk {
            session.handle_timeout(now, &mut scratch.outputs);
        }
        self.pump(&mut scratch.outputs, now);
        self.unstash(scratch, now);
        self.read(cx, scratch, now);
        self.feed(&mut scratch.outputs, now);
        self.write(cx, &mut scratch.outputs, now);
        if self.is_done(now) {
            return Poll::Ready(());
        }
        if self.end == End::Open {
            self.seats.keep_one();
        }
        self.forget_polling();
        self.arm(now);
        Poll::Pending
    }

    fn handle_notices(&mut self, cx: &Context<'_>, outputs: &mut Vec<Output>, now: Now) {
        for notice in self.outbox.poll_inbox(cx.waker()) {
            if let Notice::Overflow = notice {
                self.shared.app.overflowed();
            }
            match &mut self.talk {
                Talk::Session(session) => tell(session, notice, outputs, now),
                Talk::Echo => match notice {
                    Notice::Drain { .. } => self.close(Some(CloseCode::RESTART), now),
                    Notice::Close { code, .. } => self.close(Some(code), now),
                    Notice::Overflow => self.close(Some(CloseCode::TRY_AGAIN), now),
                    Notice::Completed { .. }
                    | Notice::Retry { .. }
                    | Notice::TakenOver
                    | Notice::Removed { .. }
                    | Notice::Regranted(_) => {}
                },
            }
            self.apply(outputs, now);
        }
    }

    fn handle_letters(&mut self, scratch: &mut Scratch, now: Now) {
        let Some(Registered { mailbox, .. }) = &self.mailbox else {
            return;
        };
        for letter in mailbox.take() {
            let polling = self.polling.get_or_insert_default();
            match letter {
                Letter::Get(request, answer) => {
                    polling.expect(request, answer);
                    self.engine.handle_get(now.instant, request);
                }
                Letter::Post(request, content, answer) => {
                    polling.expect(request, answer);
                    // The body is read meanwhile; it is ignored when the request is refused.
                    let _ = self.engine.handle_post(now.instant, request, content);
                }
                Letter::Other(request, answer) => {
                    polling.expect(request, answer);
                    self.engine.handle_other_method(now.instant, request);
                }
                Letter::Body(request, content, Some(body)) => {
                    self.engine
                        .handle_post_body(now.instant, request, content, body);
                }
                Letter::Body(request, _, None) => {
                    self.engine.handle_post_too_large(now.instant, request);
                }
                Letter::Aborted(request) => self.engine.handle_aborted(now.instant, request),
                Letter::WebSocket(stream, early) => {
                    self.handle_websocket(stream, early, scratch, now);
                }
            }
            self.pump(&mut scratch.outputs, now);
        }
    }

    /// A second WebSocket is closed after its handshake: clients take a failed handshake for an error of the network.
    fn handle_websocket(&mut self, stream: Stream, early: Bytes, scratch: &mut Scratch, now: Now) {
        let connection = server_side(self.endpoint.engine.payload_bytes_max);
        let Some(id) = self.engine.handle_websocket(now.instant) else {
            let last = nuncio_websocket::encode_close(None, "", Mask::None);
            return stream.farewell(last);
        };
        let polling = self.polling.get_or_insert_default();
        polling.probe = Some(Probe::new(id, stream, connection));
        self.handle_bytes(id, &mut early.to_vec(), scratch, now);
    }

    /// Does what Engine.IO says. A handover is done as a whole: what Engine.IO still held goes out first, then what waits in the outbox.
    fn pump(&mut self, outputs: &mut Vec<Output>, now: Now) {
        self.apply(outputs, now);
        let mut handover = None;
        while handover.is_some() || !self.is_saturated() {
            let Some(output) = self.engine.poll_output() else {
                break;
            };
            match output {
                Engine::Message(message) => self.handle_message(message, outputs, now),
                Engine::Respond { request, response } => {
                    if let Some(polling) = &mut self.polling {
                        polling.answer(request, response);
                    }
                }
                Engine::Send { socket, frame } => self.send(socket, &frame, handover.as_mut()),
                Engine::CloseSocket { socket } => self.close_socket(socket, now),
                Engine::Upgraded { socket } => handover = self.begin_handover(socket),
                Engine::Closed(reason) => self.handle_end(reason, outputs, now),
            }
        }
        if let Some(Handover { stream, first }) = handover {
            self.hand_over(stream, first);
        }
    }

    fn handle_message(&mut self, message: Message, outputs: &mut Vec<Output>, now: Now) {
        let (Message::Text(bytes) | Message::Binary(bytes)) = &message;
        self.shared.app.received(bytes.len());
        match (&mut self.talk, message) {
            (Talk::Session(session), Message::Text(text)) => {
                session.handle_text(text, now, outputs)
            }
            (Talk::Session(session), Message::Binary(bytes)) => {
                session.handle_binary(bytes, now, outputs);
            }
            (Talk::Echo, message) => {
                self.push(frames::item_of(&Packet::Message(message).encode()));
            }
        }
        self.apply(outputs, now);
    }

    /// Carries out what the session wants done; its calls may want more.
    fn apply(&mut self, outputs: &mut Vec<Output>, now: Now) {
        let mut next = 0;
        while next < outputs.len() {
            let output = std::mem::replace(&mut outputs[next], Output::Release);
            next += 1;
            match output {
                Output::Send(encoded) => self.push(frames::item(encoded)),
                Output::Refused(code) => self.shared.app.refused(code),
                Output::Arrive { member, namespace } => self.seats.arrive(member, namespace),
                Output::Call {
                    member,
                    call,
                    request,
                } => {
                    let Talk::Session(session) = &mut self.talk else {
                        continue;
                    };
                    match self.seats.call(member, call.number, request, now) {
                        // What it wants next goes before what was waiting behind the call.
                        Some(result) => {
                            let rest = outputs.split_off(next);
                            session.complete(call, result, now, outputs);
                            outputs.extend(rest);
                        }
                        None => session.pend(call),
                    }
                }
                Output::Release => {
                    let pushed = self.outbox.release();
                    self.flush_if(pushed);
                }
                Output::Leave { member, reason } => self.seats.leave(member, reason, now),
                Output::Close { code, reason: _ } => self.close(code, now),
            }
        }
        outputs.clear();
    }

    /// Queues an item for the client, however it is connected.
    fn push(&self, item: Bytes) {
        self.shared.app.sent(item.len());
        let pushed = self.outbox.push_own(item);
        self.flush_if(pushed);
    }

    fn flush_if(&self, pushed: Pushed) {
        // Where only the task writes, it does so at the end of its turn.
        if pushed == Pushed::Due && self.outbox.sink().writer() == Writer::Anyone {
            self.shared.rooms.flushers().add(self.outbox.clone());
        }
    }

    /// Ends the connection. A client that is to come back over polling has its poll cut: some take an orderly end for good.
    fn close(&mut self, code: Option<CloseCode>, now: Now) {
        if self.end != End::Open {
            return;
        }
        self.end = End::With(code);
        let comes_back = code
            .is_some_and(|code| matches!(code.retry(), RetryRule::Backoff | RetryRule::Announced));
        match &mut self.polling {
            Some(polling) if self.link.is_none() && comes_back => polling.cut(),
            Some(_) | None => {}
        }
        if comes_back || self.link.is_some() {
            self.engine.close(now.instant, Close::Discard);
        } else {
            self.move_to_engine(usize::MAX);
            self.engine.close(now.instant, Close::Flush);
        }
    }

    /// A packet of Engine.IO itself, or what a client missed that upgraded.
    fn send(&mut self, socket: SocketId, frame: &Frame, handover: Option<&mut Handover>) {
        let item = frames::item_of(frame);
        match (handover, &mut self.polling) {
            (Some(handover), _) => handover.first.extend_from_slice(&item),
            (None, Some(polling)) if polling.is_probe(socket) => {
                if let Some(probe) = &mut polling.probe {
                    probe.out.extend_from_slice(&item);
                }
            }
            (None, _) => self.push(item),
        }
    }

    fn close_socket(&mut self, socket: SocketId, now: Now) {
        if let Some(polling) = &mut self.polling
            && polling.is_probe(socket)
        {
            return polling.probe.take().map_or((), Probe::close);
        }
        let code = match self.end {
            End::With(code) => code,
            End::Open | End::Over => None,
        };
        let Some(link) = self.link.as_mut().filter(|link| link.id == socket) else {
            return;
        };
        let code = code.and_then(|code| nuncio_websocket::CloseCode::new(code.0));
        if let Some(frame) = link.connection.close(code, "", Mask::None) {
            self.outbox.finish(frame);
        }
        link.phase = Phase::Closing(now.instant + CLOSE_TIMEOUT);
    }

    fn begin_handover(&mut self, socket: SocketId) -> Option<Handover> {
        let probe = self.polling.as_mut()?.probe.take()?;
        let Probe {
            stream,
            connection,
            out,
            ..
        } = probe;
        // Until the handover is done nothing reads or writes by it.
        self.link = Some(Link::new(socket, Box::new(Direct), connection));
        if let Some(Registered { mailbox, .. }) = &self.mailbox {
            mailbox.set_upgraded();
        }
        Some(Handover { stream, first: out })
    }

    fn hand_over(&mut self, stream: Stream, mut first: BytesMut) {
        for frame in self
            .polling
            .iter_mut()
            .flat_map(|polling| polling.take_frames())
        {
            first.extend_from_slice(&frames::item_of(&frame));
        }
        self.outbox.push_first(first.freeze());
        match (stream, self.outbox.sink()) {
            (Stream::Plain(stream), Wire::Late(late)) => {
                let _ = late.set(Box::new(stream));
                self.outbox.flush();
            }
            (Stream::Plain(stream), Wire::Direct(_) | Wire::Woken) => {
                self.carry_by(Box::new(stream));
            }
            (Stream::Other(stream), _) => self.carry_by(stream),
        }
    }

    fn carry_by(&mut self, stream: Box<dyn super::link::Duplex>) {
        if let Some(link) = &mut self.link {
            link.io = Box::new(Woken::new(stream));
        }
    }

    fn handle_end(&mut self, reason: CloseReason, outputs: &mut Vec<Output>, now: Now) {
        let is_lost = self
            .link
            .as_ref()
            .is_some_and(|link| link.phase == Phase::Done);
        if reason == CloseReason::TransportClose && !is_lost {
            self.seats.note_close(None);
        }
        self.end = End::Over;
        if let Talk::Session(session) = &mut self.talk {
            session.handle_end(disconnect_reason(reason), now, outputs);
        }
        self.apply(outputs, now);
    }

    fn is_saturated(&self) -> bool {
        match &self.talk {
            Talk::Session(session) => session.is_saturated(),
            Talk::Echo => false,
        }
    }

    fn unstash(&mut self, scratch: &mut Scratch, now: Now) {
        if self.is_saturated() {
            return;
        }
        if let Some(link) = &mut self.link
            && let Some(mut stash) = link.stash.take()
        {
            let id = link.id;
            self.handle_bytes(id, &mut stash, scratch, now);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch, now: Now) {
        let mut buffer = std::mem::take(&mut scratch.buffer);
        while let Some((id, read)) = self.poll_read(&mut buffer, cx) {
            match read {
                Ok(len) if len > 0 => self.handle_bytes(id, &mut buffer[..len], scratch, now),
                end => {
                    let end = end.map_or(SocketEnd::Failed, |_| SocketEnd::Closed);
                    self.lost(id, end, &mut scratch.outputs, now);
                }
            }
        }
        scratch.buffer = buffer;
    }

    /// Reads from the transport's WebSocket, or the one that wants to become it; `None` when there is nothing to read.
    fn poll_read(
        &mut self,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Option<(SocketId, std::io::Result<usize>)> {
        match (&mut self.link, &mut self.polling) {
            (Some(link), _) if link.phase == Phase::Done || link.stash.is_some() => None,
            (Some(link), _) => match link.io.poll_read(&self.outbox, buffer, cx) {
                Poll::Ready(read) => Some((link.id, read)),
                Poll::Pending => None,
            },
            (None, Some(polling)) => {
                let probe = polling.probe.as_mut()?;
                match probe.read(buffer, cx) {
                    Poll::Ready(len) => Some((probe.id, Ok(len))),
                    Poll::Pending => None,
                }
            }
            (None, None) => None,
        }
    }

    fn handle_bytes(
        &mut self,
        id: SocketId,
        mut input: &mut [u8],
        scratch: &mut Scratch,
        now: Now,
    ) {
        loop {
            if self.is_saturated() && !input.is_empty() {
                if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
                    link.stash = Some(Box::new(input.to_vec()));
                }
                return;
            }
            let Some(connection) = self.connection(id) else {
                return;
            };
            match connection.receive(&mut input, &mut scratch.inflater) {
                Ok(Some(event)) => self.handle_event(id, event, now),
                Ok(None) => return,
                Err(error) => self.fail(id, &error, now),
            }
            self.pump(&mut scratch.outputs, now);
        }
    }

    fn handle_event(&mut self, id: SocketId, event: Event<'_>, now: Now) {
        let frame = match event {
            Event::Text(text) => Frame::Text(text.into_owned().into()),
            Event::Binary(bytes) => Frame::Binary(bytes.into_owned().into()),
            Event::Ping(payload) => return self.pong(id, &payload),
            Event::Pong(_) => return,
            Event::Close { code, .. } => {
                self.seats.note_close(code);
                return self.end_socket(id, code, "", SocketEnd::Closed, now);
            }
        };
        self.engine.handle_frame(now.instant, id, frame);
    }

    fn pong(&mut self, id: SocketId, payload: &[u8]) {
        let may_send = self
            .connection(id)
            .is_some_and(|connection| connection.may_send());
        if !may_send {
            return;
        }
        let pong = encode_pong(payload, Mask::None);
        match self
            .polling
            .as_mut()
            .and_then(|polling| polling.probe.as_mut())
        {
            Some(probe) if probe.id == id => probe.out.extend_from_slice(&pong),
            Some(_) | None => self.push(pong),
        }
    }

    /// The peer broke a rule of RFC 6455: the close frame says which.
    fn fail(&mut self, id: SocketId, error: &FrameError, now: Now) {
        let code = Some(error.close_code());
        self.end_socket(id, code, &error.to_string(), SocketEnd::Failed, now);
    }

    /// A WebSocket gets its close frame, and Engine.IO is told of the end.
    fn end_socket(
        &mut self,
        id: SocketId,
        code: Option<nuncio_websocket::CloseCode>,
        reason: &str,
        end: SocketEnd,
        now: Now,
    ) {
        if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
            if let Some(frame) = link.connection.close(code, reason, Mask::None) {
                self.outbox.finish(frame);
            }
            link.phase = Phase::Closing(now.instant + CLOSE_TIMEOUT);
        } else if let Some(probe) = self
            .polling
            .as_mut()
            .and_then(|polling| polling.probe.take())
        {
            probe.close();
        }
        self.engine.handle_socket_end(now.instant, id, end);
    }

    /// The stream ended, or broke, before or after the closing handshake.
    fn lost(&mut self, id: SocketId, end: SocketEnd, outputs: &mut Vec<Output>, now: Now) {
        match self.link.as_mut().filter(|link| link.id == id) {
            Some(link) => link.phase = Phase::Done,
            None => {
                if let Some(polling) = &mut self.polling {
                    polling.probe = None;
                }
            }
        }
        self.engine.handle_socket_end(now.instant, id, end);
        self.pump(outputs, now);
    }

    fn connection(&mut self, id: SocketId) -> Option<&mut nuncio_websocket::Connection> {
        match (&mut self.link, &mut self.polling) {
            (Some(link), _) if link.id == id => Some(&mut link.connection),
            (_, Some(polling)) => {
                let probe = polling.probe.as_mut().filter(|probe| probe.id == id)?;
                Some(&mut probe.connection)
            }
            (_, None) => None,
        }
    }

    /// Answers a poll that waits with what is in the outbox.
    fn feed(&mut self, outputs: &mut Vec<Output>, now: Now) {
        if self.link.is_none() && self.engine.is_writable() {
            self.move_to_engine(POLL_PACKETS_MAX);
            self.pump(outputs, now);
        }
    }

    /// Moves packets from the outbox to Engine.IO, which sends them at once: with a poll that waits, or as the last thing.
    fn move_to_engine(&mut self, packets_max: usize) {
        let polling = self.polling.get_or_insert_default();
        for _ in 0..packets_max {
            let Some(frame) = polling.next_frame(&self.outbox) else {
                return;
            };
            // Only refused once the connection closes: the outbox has the bound.
            let _ = self.engine.send(frame);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, outputs: &mut Vec<Output>, now: Now) {
        let Some(link) = &mut self.link else {
            if let Some(polling) = &mut self.polling
                && let Some(probe) = &mut polling.probe
            {
                probe.write(cx);
            }
            return;
        };
        if link.phase == Phase::Done {
            return;
        }
        match link.io.poll_write(&self.outbox, cx) {
            Poll::Pending => return,
            Poll::Ready(Err(_)) => {
                let id = link.id;
                return self.lost(id, SocketEnd::Failed, outputs, now);
            }
            Poll::Ready(Ok(())) => {}
        }
        if let Phase::Closing(_) = link.phase {
            // The last flush of all is done here, at once.
            self.outbox.flush();
            if link.connection.state() == State::Closed
                && self.outbox.is_drained()
                && link.io.poll_shutdown(&self.outbox, cx).is_ready()
            {
                link.phase = Phase::Lingering(now.instant + LINGER);
            }
        }
    }

    /// What is over has nothing left to do but a closing handshake, until its deadline.
    fn is_done(&self, now: Now) -> bool {
        self.end == End::Over
            && match self.link.as_ref().map(|link| link.phase) {
                Some(Phase::Closing(deadline) | Phase::Lingering(deadline)) => {
                    deadline <= now.instant
                }
                Some(Phase::Open | Phase::Done) | None => true,
            }
    }

    /// A client that has upgraded keeps nothing of its polls.
    fn forget_polling(&mut self) {
        if self.link.is_some()
            && self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.is_empty())
        {
            self.polling = None;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let closing = match self.link.as_ref().map(|link| link.phase) {
            Some(Phase::Closing(deadline) | Phase::Lingering(deadline)) => Some(deadline),
            Some(Phase::Open | Phase::Done) | None => None,
        };
        let talk = match &self.talk {
            Talk::Session(session) => session.poll_timeout(),
            Talk::Echo => None,
        };
        [closing, talk, self.engine.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn arm(&mut self, now: Now) {
        let Some(deadline) = self.poll_timeout() else {
            return;
        };
        let left = deadline.saturating_duration_since(now.instant);
        let at = if left > 2 * NEAR {
            deadline - NEAR
        } else {
            deadline
        };
        if self
            .armed
            .is_none_or(|armed| at < armed || armed <= now.instant)
        {
            self.shared.timers.arm(at, now.instant, &self.outbox);
            self.armed = Some(at);
        }
    }
}

/// A WebSocket that becomes the transport, and what must be written on it first.
struct Handover {
    stream: Stream,
    first: BytesMut,
}

fn tell(session: &mut Session, notice: Notice, outputs: &mut Vec<Output>, now: Now) {
    match notice {
        Notice::Completed { call, result } => {
            session.complete_pending(call, result, now, outputs);
        }
        Notice::Close { code, reason } => session.handle_close(code, reason, now, outputs),
        Notice::Drain { .. } => session.handle_drain(now, outputs),
        Notice::Overflow => session.handle_overflow(now, outputs),
        Notice::Removed {
            namespace,
            room,
            code,
        } => session.handle_removed(&namespace, room, code, now, outputs),
        Notice::Regranted(identity) => session.regrant(&identity, now),
        // Only sessions with a resume token are taken over, and only who asks for one is told to ask again.
        Notice::Retry { .. } | Notice::TakenOver => {}
    }
}

const fn disconnect_reason(reason: CloseReason) -> DisconnectReason {
    match reason {
        CloseReason::TransportError => DisconnectReason::TransportError,
        CloseReason::TransportClose => DisconnectReason::TransportClose,
        CloseReason::PingTimeout => DisconnectReason::PingTimeout,
        CloseReason::ParseError => DisconnectReason::ParseError,
        CloseReason::ForcedClose => DisconnectReason::ForcedClose,
    }
}

impl<A: App> Future for Driver<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| self.turn(cx, scratch))
    }
}

impl<A: App> Drop for Driver<A> {
    /// Also when the session panicked or the runtime ends: no request waits for ever, no entry stays.
    fn drop(&mut self) {
        self.outbox.close();
        if let Some(Registered { sid, mailbox }) = &self.mailbox {
            self.endpoint.table.remove(sid);
            mailbox.close().into_iter().for_each(turn_away);
        }
    }
}

/// Answers what came too late.
fn turn_away(letter: Letter) {
    match letter {
        Letter::Get(_, answer) | Letter::Post(_, _, answer) | Letter::Other(_, answer) => {
            let _ = answer.send(RequestError::UnknownSid.response());
        }
        Letter::WebSocket(stream, _) => {
            stream.farewell(nuncio_websocket::encode_close(None, "", Mask::None));
        }
        Letter::Body(..) | Letter::Aborted(_) => {}
    }
}

impl<A: App> Unpin for Driver<A> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_keeps_little_in_its_machines() {
        let sizes = [
            size_of::<Connection>(),
            size_of::<Session>(),
            size_of::<Link>(),
        ];

        assert!(sizes.iter().sum::<usize>() <= 432, "{sizes:?}");
    }
}
