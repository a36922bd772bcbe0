//! Carries one Engine.IO connection, with all that is on it.

mod deadline;
mod socket;

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_engineio::server::{Close, CloseReason, Connection, Output as Engine};
use nuncio_engineio::{Message, Packet, RequestError};
use nuncio_hub::{Notice, Pushed, Sink as _, Writer};
use nuncio_model::{CloseCode, Now, RetryRule};
use nuncio_session::socketio::{Output, Session};
use nuncio_socketio::Parser;
use nuncio_socketio::server::DisconnectReason;
use nuncio_websocket::{Inflater, Mask};

use socket::Handover;

use super::link::{Link, Phase};
use super::mailbox::{Letter, Mailbox};
use super::polling::Polling;
use super::seats::Seats;
use super::{Form, SocketIo, frames};
use crate::app::App;
use crate::clock;
use crate::driver::Shared;
use crate::sink::Outbox;

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
/// How long a connection by polling is kept that is given up to a newer one: so long a request may be on its way in which the client said goodbye.
const GOODBYE: Duration = Duration::from_millis(100);
/// Packets in the answer to one poll: with a ping or noop of Engine.IO at most 16, since python-engineio takes a larger payload for an attack and
/// leaves.
const POLL_PACKETS_MAX: usize = 15;

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
        let taken_over = self.handle_notices(cx, &mut scratch.outputs, now);
        // An upgrade comes before the requests that were sent after it.
        self.read(cx, scratch, now);
        self.handle_letters(scratch, now);
        self.engine.handle_timeout(now.instant);
        // Nothing that a session says unasked comes before the handshake of its WebSocket.
        self.pump(&mut scratch.outputs, now);
        if let Talk::Session(session) = &mut self.talk {
            session.handle_timeout(now, &mut scratch.outputs);
        }
        if let Some(notice) = taken_over {
            self.give_up(notice, &mut scratch.outputs, now);
        }
        self.handle_given_up(&mut scratch.outputs, now);
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

    /// Does what others want, but for giving the connection up to a newer one, which is returned.
    fn handle_notices(
        &mut self,
        cx: &Context<'_>,
        outputs: &mut Vec<Output>,
        now: Now,
    ) -> Option<Notice> {
        let mut taken_over = None;
        for notice in self.outbox.poll_inbox(cx.waker()) {
            if let Notice::TakenOver = notice {
                taken_over = Some(notice);
                continue;
            }
            if let Notice::Overflow = notice {
                self.shared.app.overflowed();
            }
            match &mut self.talk {
                Talk::Session(session) => {
                    for notice in self.seats.handle_notice(notice) {
                        let Notice::Retry { call, request } = notice else {
                            tell(session, notice, outputs, now);
                            continue;
                        };
                        let member = session.member_of(call);
                        let answer =
                            member.and_then(|member| self.seats.call(member, call, request, now));
                        if let Some(result) = answer {
                            session.complete_pending(call, result, now, outputs);
                        }
                    }
                }
                Talk::Echo => match notice {
                    Notice::Drain { .. } => self.close(Some(CloseCode::RESTART), now),
                    Notice::Close { code, .. } | Notice::Disconnect { code, .. } => {
                        self.close(Some(code), now);
                    }
                    Notice::Overflow => self.close(Some(CloseCode::TRY_AGAIN), now),
                    Notice::Completed { .. }
                    | Notice::Retry { .. }
                    | Notice::TakenOver
                    | Notice::Removed { .. }
                    | Notice::Regranted { .. }
                    | Notice::Recheck => {}
                },
            }
            self.apply(outputs, now);
        }
        taken_over
    }

    /// A newer connection wants the sessions of this one. What the client sent last here may be its goodbye, after which nobody gets them: all that came
    /// by WebSocket has been read by now, a request may have been overtaken.
    fn give_up(&mut self, notice: Notice, outputs: &mut Vec<Output>, now: Now) {
        match (&mut self.polling, &mut self.talk) {
            (Some(polling), _) => {
                let at = now.instant + GOODBYE;
                polling.given_up_at.get_or_insert(at);
            }
            (None, Talk::Session(session)) => tell(session, notice, outputs, now),
            (None, Talk::Echo) => {}
        }
    }

    fn handle_given_up(&mut self, outputs: &mut Vec<Output>, now: Now) {
        if let Some(polling) = &mut self.polling
            && polling.given_up_at.is_some_and(|at| at <= now.instant)
            && let Talk::Session(session) = &mut self.talk
        {
            polling.given_up_at = None;
            tell(session, Notice::TakenOver, outputs, now);
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
                Letter::WebSocket(opened) => self.handle_websocket(opened, scratch, now),
            }
            self.pump(&mut scratch.outputs, now);
        }
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
                let Form {
                    protocol, binary, ..
                } = self.form();
                let frame = Packet::Message(message).encode();
                self.push(frames::item_of(&frame.for_websocket(protocol, binary)));
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
                Output::Send(packet) => {
                    self.push(self.shared.encoders.socketio(self.form(), packet))
                }
                Output::Refused(code) => self.shared.app.refused(code),
                Output::Arrive { member, namespace } => {
                    let encoder = self.form().encoder();
                    self.seats.arrive(member, namespace, encoder);
                }
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

    /// How the client is written to at this moment.
    fn form(&self) -> Form {
        let deflate = self
            .link
            .as_ref()
            .and_then(|link| link.connection.deflate());
        Form {
            protocol: self.engine.protocol(),
            binary: self.engine.binary_support(),
            parser: match &self.talk {
                Talk::Session(session) => session.parser(),
                Talk::Echo => Parser::Default,
            },
            window: deflate.map(|params| params.server_window),
        }
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
            let Some(frame) = polling.next_frame(&self.outbox, self.engine.protocol()) else {
                return;
            };
            // Only refused once the connection closes: the outbox has the bound.
            let _ = self.engine.send(frame);
        }
    }
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
        Notice::Regranted { namespace, grants } => session.handle_grants(&namespace, &grants),
        Notice::Disconnect {
            namespace,
            code,
            reason,
        } => session.handle_disconnect(&namespace, code, reason, now, outputs),
        // The seats know whose tokens are revoked, and have made it a disconnect for each.
        Notice::Recheck => {}
        Notice::TakenOver => session.handle_taken_over(now, outputs),
        // Who is told to ask again has been told by now.
        Notice::Retry { .. } => {}
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
        Letter::WebSocket(opened) => {
            opened
                .stream
                .farewell(nuncio_websocket::encode_close(None, "", Mask::None));
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
