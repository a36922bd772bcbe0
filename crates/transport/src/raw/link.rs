//! The task of one connection: the codec, the closing handshake, and the program's handler.

use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nuncio_hub::Notice;
use nuncio_model::CloseCode;
use nuncio_websocket::{Connection, Event as Arrived, Inflater, Mask, State as Handshake};
use nuncio_websocket::{encode_ping, encode_pong};

use super::client::{Client, State};
use super::heartbeat::{Beat, Heartbeat};
use super::message::{Event, Message};
use super::{Endpoint, Handling};
use crate::app::{App, Closed, ClosedBy};
use crate::clock;
use crate::driver::Shared;
use crate::io::Io;
use crate::sink::Outbox;

/// A connection and its handler. The handler may go on after the connection has ended, and the other way round.
pub(super) struct Task<A: App, I: Io> {
    pub(super) link: Option<Link<A, I>>,
    pub(super) handling: Option<Handling>,
}

/// One connection.
pub(super) struct Link<A: App, I: Io> {
    pub(super) shared: Arc<Shared<A>>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) client: Client,
    pub(super) io: I,
    pub(super) outbox: Arc<Outbox>,
    pub(super) connection: Connection,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) since: Instant,
    pub(super) phase: Phase,
    /// How the client ended it, once everything before is received.
    pub(super) ending: Option<Box<Ending>>,
    pub(super) told: Told,
    pub(super) armed: Option<Instant>,
    /// Input that waits until the handler has received what came before it.
    pub(super) stash: Vec<u8>,
}

/// As the phases of a session's connection; each but the first ends at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The client has ended it, and the handler has yet to receive what came before: its answers go out before the close frame does.
    Ending(Instant),
    Closing(Instant),
    Lingering(Instant),
    Done,
}

/// What a client ends a connection with.
pub(super) enum Ending {
    /// A close frame.
    Close(Option<nuncio_websocket::CloseCode>, String),
    /// Something against RFC 6455.
    Fault(CloseCode, String),
}

/// Whether the end was told: once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    NotYet,
    Once,
}

/// How long a client may take for its half of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for one that reads too slowly already.
const SLOW_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the last bytes may take to arrive.
const LINGER: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 64 * 1024;

/// What a thread needs to serve any connection.
pub(super) struct Scratch {
    buffer: Box<[u8]>,
    inflater: Inflater,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        buffer: vec![0; READ_BYTES].into(),
        inflater: Inflater::new(),
    });
}

impl<A: App, I: Io> Link<A, I> {
    /// One turn: what others want, what time wants, what the client says, and what is to be written.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        let now = clock::now().instant;
        self.handle_notices(cx, now);
        self.handle_timeout(cx, now);
        self.read(cx, scratch, now);
        self.handle_ending(cx, now);
        self.write(cx, now);
        self.client.wake_senders(&self.outbox);
        if self.phase == Phase::Done {
            return Poll::Ready(());
        }
        self.arm(now);
        Poll::Pending
    }

    fn handle_notices(&mut self, cx: &Context<'_>, now: Instant) {
        for notice in self.outbox.poll_inbox(cx.waker()) {
            match notice {
                Notice::Close { code, reason } => self.close(code, &reason, CLOSE_TIMEOUT, now),
                Notice::Overflow => {
                    self.shared.app.overflowed();
                    self.close(CloseCode::TRY_AGAIN, "Slow consumer", SLOW_TIMEOUT, now);
                }
                Notice::Drain { .. } => self.farewell(now),
                // Only sessions have calls, rooms and grants.
                Notice::Completed { .. }
                | Notice::Retry { .. }
                | Notice::TakenOver
                | Notice::Removed { .. }
                | Notice::Regranted { .. }
                | Notice::Disconnect { .. }
                | Notice::Recheck => {}
            }
        }
        if self.client.state() == State::Terminated {
            self.lose("terminated".into(), ClosedBy::Server, cx, now);
        }
    }

    fn farewell(&mut self, now: Instant) {
        let endpoint = self.endpoint.clone();
        let farewell = &endpoint.options.farewell;
        if let Some(message) = &farewell.message {
            // Who is closing already hears nothing more.
            let _ = self.client.send(message.clone());
        }
        self.close(farewell.code, &farewell.reason, CLOSE_TIMEOUT, now);
    }

    fn handle_timeout(&mut self, cx: &Context<'_>, now: Instant) {
        match self.phase {
            Phase::Open => self.beat(cx, now),
            Phase::Closing(deadline) | Phase::Lingering(deadline) if deadline <= now => {
                self.lose("no close frame came back".into(), ClosedBy::Server, cx, now);
            }
            Phase::Ending(_) | Phase::Closing(_) | Phase::Lingering(_) | Phase::Done => {}
        }
    }

    /// Ends the connection as the client wants it, when its time has come.
    fn handle_ending(&mut self, cx: &Context<'_>, now: Instant) {
        if self.ending.is_none() {
            return;
        }
        let is_late = !matches!(self.phase, Phase::Ending(deadline) if now < deadline);
        if !is_late && !self.client.inbox().await_empty() {
            return;
        }
        match self.ending.take().map(|ending| *ending) {
            Some(Ending::Close(code, reason)) => self.handle_close(code, reason, cx, now),
            Some(Ending::Fault(code, reason)) => {
                self.close(code, &reason, CLOSE_TIMEOUT, now);
                self.tell(code, reason.into(), ClosedBy::Server, cx, now);
            }
            None => {}
        }
    }

    fn end(&mut self, ending: Ending, now: Instant) {
        self.ending = Some(Box::new(ending));
        if self.phase == Phase::Open {
            self.phase = Phase::Ending(now + CLOSE_TIMEOUT);
        }
    }

    fn beat(&mut self, cx: &Context<'_>, now: Instant) {
        let Some(heartbeat) = &mut self.heartbeat else {
            return;
        };
        if self.client.inbox().is_full() {
            // Nothing is read meanwhile: that the client says nothing is not its fault.
            heartbeat.handle_frame(now);
        }
        match heartbeat.handle_timeout(now) {
            Some(Beat::Ping) => {
                let _ = self.client.push(encode_ping(&[], Mask::None));
            }
            Some(Beat::Dead) => self.lose("no sign of life".into(), ClosedBy::Nobody, cx, now),
            None => {}
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch, now: Instant) {
        let mut stash = std::mem::take(&mut self.stash);
        self.handle_bytes(&mut stash, &mut scratch.inflater, cx, now);
        while self.phase != Phase::Done && self.ending.is_none() && !self.client.inbox().is_full() {
            match self.io.poll_read(&self.outbox, &mut scratch.buffer, cx) {
                Poll::Ready(Ok(len)) if len > 0 => {
                    let bytes = &mut scratch.buffer[..len];
                    self.handle_bytes(bytes, &mut scratch.inflater, cx, now);
                }
                Poll::Ready(end) => {
                    let reason = end.err().map_or(Cow::Borrowed("end of stream"), |error| {
                        error.to_string().into()
                    });
                    self.lose(reason, ClosedBy::Nobody, cx, now);
                }
                Poll::Pending => return,
            }
        }
    }

    fn handle_bytes(
        &mut self,
        mut input: &mut [u8],
        inflater: &mut Inflater,
        cx: &Context<'_>,
        now: Instant,
    ) {
        while !input.is_empty() {
            if self.client.inbox().is_full() {
                self.stash = input.to_vec();
                return;
            }
            match self.connection.receive(&mut input, inflater) {
                Ok(Some(event)) => self.handle_event(event, cx, now),
                Ok(None) => return,
                Err(error) => {
                    let code = CloseCode(error.close_code().as_u16());
                    self.end(Ending::Fault(code, error.to_string()), now);
                }
            }
        }
    }

    fn handle_event(&mut self, event: Arrived<'_>, cx: &Context<'_>, now: Instant) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.handle_frame(now);
        }
        let event = match event {
            Arrived::Text(text) => {
                self.shared.app.received(text.len());
                Event::Message(Message::Text(text.into_owned()))
            }
            Arrived::Binary(bytes) => {
                self.shared.app.received(bytes.len());
                Event::Message(Message::Binary(bytes.into_owned().into()))
            }
            Arrived::Ping(payload) => {
                let _ = self.client.push(encode_pong(&payload, Mask::None));
                Event::Ping(payload.into_owned().into())
            }
            Arrived::Pong(payload) => Event::Pong(payload.into_owned().into()),
            Arrived::Close { code, reason } => {
                return self.end(Ending::Close(code, reason.into_owned()), now);
            }
        };
        self.client.inbox().push(event, cx);
    }

    fn handle_close(
        &mut self,
        code: Option<nuncio_websocket::CloseCode>,
        reason: String,
        cx: &Context<'_>,
        now: Instant,
    ) {
        // The reason goes back too, as `ws` does it: it is what the client's own close event then shows.
        let by = match self.connection.close(code, &reason, Mask::None) {
            Some(frame) => {
                self.outbox.finish(frame);
                ClosedBy::Client
            }
            None => ClosedBy::Server,
        };
        self.phase = Phase::Closing(now + CLOSE_TIMEOUT);
        let code = code.map_or(CloseCode::NO_STATUS, |code| CloseCode(code.as_u16()));
        self.tell(code, reason.into(), by, cx, now);
    }

    /// Sends the close frame, behind what waits; the first one counts.
    fn close(&mut self, code: CloseCode, reason: &str, timeout: Duration, now: Instant) {
        self.client.advance(State::Closing);
        let code = nuncio_websocket::CloseCode::new(code.0);
        if let Some(frame) = self.connection.close(code, reason, Mask::None) {
            self.outbox.finish(frame);
            self.phase = Phase::Closing(now + timeout);
        }
    }

    /// The connection is gone, or given up.
    fn lose(&mut self, reason: Cow<'static, str>, by: ClosedBy, cx: &Context<'_>, now: Instant) {
        self.tell(CloseCode::ABNORMAL, reason, by, cx, now);
        self.phase = Phase::Done;
    }

    /// Tells the handler and the server that the connection is over, once.
    fn tell(
        &mut self,
        code: CloseCode,
        reason: Cow<'static, str>,
        by: ClosedBy,
        cx: &Context<'_>,
        now: Instant,
    ) {
        if std::mem::replace(&mut self.told, Told::Once) == Told::Once {
            return;
        }
        self.client.advance(State::Closed);
        self.endpoint.clients.remove(&self.client);
        let closed = Closed {
            code,
            reason,
            by,
            after: now.saturating_duration_since(self.since),
        };
        self.shared.app.raw_closed(&self.client, &closed);
        self.client.inbox().push(Event::Closed(closed), cx);
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.phase == Phase::Done {
            return;
        }
        match self.io.poll_write(&self.outbox, cx) {
            Poll::Pending => return,
            Poll::Ready(Err(error)) => {
                return self.lose(error.to_string().into(), ClosedBy::Nobody, cx, now);
            }
            Poll::Ready(Ok(())) => {}
        }
        if matches!(self.phase, Phase::Closing(_)) {
            self.outbox.flush();
            if self.connection.state() == Handshake::Closed
                && self.outbox.is_drained()
                && self.io.poll_shutdown(&self.outbox, cx).is_ready()
            {
                self.phase = Phase::Lingering(now + LINGER);
            }
        }
    }

    fn arm(&mut self, now: Instant) {
        let at = match self.phase {
            Phase::Ending(deadline) | Phase::Closing(deadline) | Phase::Lingering(deadline) => {
                Some(deadline)
            }
            Phase::Open => self.heartbeat.as_ref().map(Heartbeat::poll_timeout),
            Phase::Done => None,
        };
        let Some(at) = at else { return };
        if self.armed.is_none_or(|armed| at < armed || armed <= now) {
            self.shared.timers.arm(at, now, &self.outbox);
            self.armed = Some(at);
        }
    }
}

impl<A: App, I: Io> Future for Task<A, I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn(cx);
        if let Some(handling) = &mut self.handling
            && poll_handling(handling, cx).is_ready()
        {
            self.handling = None;
        }
        if self.link.as_ref().is_some_and(|link| link.ending.is_some()) {
            // The handler may have received what the end waited for.
            self.turn(cx);
        }
        if self.link.is_none() && self.handling.is_none() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<A: App, I: Io> Task<A, I> {
    fn turn(&mut self, cx: &mut Context<'_>) {
        if let Some(link) = &mut self.link
            && SCRATCH
                .with_borrow_mut(|scratch| link.turn(cx, scratch))
                .is_ready()
        {
            self.link = None;
        }
    }
}

/// A handler that panics ends its own connection, and no other: what it had is dropped while the panic goes on.
fn poll_handling(handling: &mut Handling, cx: &mut Context<'_>) -> Poll<()> {
    std::panic::catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)))
        .unwrap_or(Poll::Ready(()))
}

impl<A: App, I: Io> Drop for Link<A, I> {
    /// Also when the runtime ends: everybody hears of every end.
    fn drop(&mut self) {
        self.outbox.close();
        let cx = Context::from_waker(std::task::Waker::noop());
        let now = clock::now().instant;
        let code = CloseCode::ABNORMAL;
        self.tell(code, "the server ends".into(), ClosedBy::Nobody, &cx, now);
        self.client.wake_senders(&self.outbox);
    }
}

impl<A: App, I: Io> Unpin for Task<A, I> {}
