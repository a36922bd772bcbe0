//! Carries one WebSocket session: bytes in, messages and deadlines to the session, its outputs back.

use std::borrow::Cow;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nuncio_hub::{Notice, Pushed};
use nuncio_model::{CloseCode, Grants, Now, Request};
use nuncio_session::{Output, Session, Settings};
use nuncio_websocket::{
    Connection, Event, FrameError, Inflater, Mask, State, encode_ping, encode_pong,
};

use crate::app::{App, Client, Closed, ClosedBy};
use crate::clock;
use crate::encoders::Encoders;
use crate::io::Io;
use crate::sink::{Outbox, Rooms};
use crate::timers::Timers;

/// What all drivers of a server share.
pub struct Shared<A> {
    /// The server.
    pub app: Arc<A>,
    /// Its rooms, for their flushers.
    pub rooms: Arc<Rooms>,
    /// Deadlines.
    pub timers: Arc<Timers>,
    /// What holds for all sessions.
    pub settings: Arc<Settings>,
    /// How messages are framed.
    pub encoders: Arc<Encoders>,
}

/// The task of one connection. It owns the session; what others write goes past it, through the outbox.
pub(crate) struct Driver<A: App, I> {
    shared: Arc<Shared<A>>,
    io: I,
    outbox: Arc<Outbox>,
    connection: Connection,
    session: Session,
    /// Taken when the connection ends, which is told once.
    client: Option<Client>,
    phase: Phase,
    armed: Option<Instant>,
    /// Input that waits until the session has fewer calls under way; almost always none.
    #[expect(
        clippy::box_collection,
        reason = "8 bytes instead of 24 in every idle connection"
    )]
    stash: Option<Box<Vec<u8>>>,
}

/// ```text
///        close frame queued        both close frames done      end of stream
/// Open ───────────────────> Closing ───────────────────> Lingering ──────> done
///    └── lost, terminated ───────────────────────────────────────────────────^
/// ```
/// Each phase but the first ends at its deadline.
#[derive(Clone, Copy)]
enum Phase {
    Open,
    /// The close frame is on its way, and the client's is awaited.
    Closing {
        deadline: Instant,
    },
    /// The end was sent; reading on keeps the kernel from resetting the connection before the client has read the close frame.
    Lingering {
        deadline: Instant,
    },
    Done,
}

/// How long a client may take for its half of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last bytes may take to arrive.
const LINGER: Duration = Duration::from_secs(2);

/// What a thread needs to serve any connection; an idle connection owns none of it.
pub(crate) struct Scratch {
    buffer: Box<[u8]>,
    inflater: Inflater,
    outputs: Vec<Output>,
}

const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        buffer: vec![0; READ_BYTES].into(),
        inflater: Inflater::new(),
        outputs: Vec::new(),
    });
}

impl<A: App, I: Io> Driver<A, I> {
    pub(crate) fn new(
        shared: Arc<Shared<A>>,
        io: I,
        connection: Connection,
        client: Client,
        now: Now,
    ) -> Self {
        let spread = client.id.as_bytes()[0];
        let session = Session::new(shared.settings.clone(), now, spread);
        let outbox = client.outbox.clone();
        Self {
            shared,
            io,
            outbox,
            connection,
            session,
            client: Some(client),
            phase: Phase::Open,
            armed: None,
            stash: None,
        }
    }

    /// Greets the client, lets it in if its request said who it is, and takes what came behind the request.
    pub(crate) fn start(
        &mut self,
        identity: Option<nuncio_model::Identity>,
        resume: Option<nuncio_model::Secret>,
        early: &mut [u8],
        now: Now,
    ) {
        SCRATCH.with_borrow_mut(|scratch| {
            let Some(client) = &mut self.client else {
                return;
            };
            self.session.open(client.id, &mut scratch.outputs);
            if let Some(identity) = identity {
                self.session.enter(identity, &mut scratch.outputs);
            }
            if let Some(token) = resume {
                self.session.resume(token, &mut scratch.outputs);
            }
            self.apply(&mut scratch.outputs, now);
            self.handle_bytes(early, scratch, now);
        });
    }

    fn handle_bytes(&mut self, mut input: &mut [u8], scratch: &mut Scratch, now: Now) {
        while self.stash.is_none() {
            if self.session.is_saturated() && !input.is_empty() && matches!(self.phase, Phase::Open)
            {
                self.stash = Some(Box::new(input.to_vec()));
                return;
            }
            match self.connection.receive(&mut input, &mut scratch.inflater) {
                Ok(Some(event)) => self.handle_event(event, &mut scratch.outputs, now),
                Ok(None) => return,
                Err(error) => self.fail(&error, now),
            }
            self.apply(&mut scratch.outputs, now);
        }
    }

    fn handle_event(&mut self, event: Event<'_>, outputs: &mut Vec<Output>, now: Now) {
        self.session.handle_frame();
        match event {
            Event::Text(text) => {
                self.shared.app.received(text.len());
                self.session.handle_message(&text, now, outputs);
            }
            Event::Binary(bytes) => {
                self.shared.app.received(bytes.len());
                self.session.handle_binary(bytes.len(), now, outputs);
            }
            Event::Ping(payload) => {
                if self.connection.may_send() {
                    self.send(encode_pong(&payload, Mask::None));
                }
            }
            Event::Pong(_) => {}
            Event::Close { code, reason } => {
                if let Some(frame) = self.connection.close(code, "", Mask::None) {
                    self.outbox.finish(frame);
                }
                let code = code.map_or(CloseCode::NO_STATUS, |code| CloseCode(code.as_u16()));
                self.end(code, reason.into_owned().into(), ClosedBy::Client, now);
            }
        }
    }

    /// The peer broke a rule of RFC 6455: the close frame says which.
    fn fail(&mut self, error: &FrameError, now: Now) {
        let code = error.close_code();
        let reason = error.to_string();
        if let Some(frame) = self.connection.close(Some(code), &reason, Mask::None) {
            self.outbox.finish(frame);
        }
        self.end(
            CloseCode(code.as_u16()),
            reason.into(),
            ClosedBy::Server,
            now,
        );
    }

    /// Carries out what the session wants done; its calls may want more.
    fn apply(&mut self, outputs: &mut Vec<Output>, now: Now) {
        let mut next = 0;
        while next < outputs.len() {
            let output = std::mem::replace(&mut outputs[next], Output::Release);
            next += 1;
            match output {
                Output::Send(text) => {
                    let Some(client) = &self.client else { continue };
                    self.send(self.shared.encoders.frame(client.encoder, &text));
                }
                Output::Refuse(code, text) => {
                    self.shared.app.refused(code);
                    let Some(client) = &self.client else { continue };
                    self.send(self.shared.encoders.frame(client.encoder, &text));
                }
                Output::Ping => self.send(encode_ping(&[], Mask::None)),
                Output::Call(call, request) => {
                    let Some(client) = &mut self.client else {
                        continue;
                    };
                    match self.shared.app.call(client, call.number, request, now) {
                        // What it wants next goes before what was waiting behind the call.
                        Some(result) => {
                            let rest = outputs.split_off(next);
                            self.session.complete(call, result, now, outputs);
                            outputs.extend(rest);
                        }
                        None => self.session.pend(call),
                    }
                }
                Output::Release => {
                    let pushed = self.outbox.release();
                    self.flush_if(pushed);
                }
                Output::Close { last, code, reason } => self.close(last, code, reason, now),
                Output::Terminate => {
                    self.end(
                        CloseCode::ABNORMAL,
                        "no sign of life".into(),
                        ClosedBy::Nobody,
                        now,
                    );
                    self.phase = Phase::Done;
                }
            }
        }
        outputs.clear();
    }

    fn send(&self, frame: Bytes) {
        self.shared.app.sent(frame.len());
        let pushed = self.outbox.push_own(frame);
        self.flush_if(pushed);
    }

    fn flush_if(&self, pushed: Pushed) {
        if pushed == Pushed::Due {
            self.shared.rooms.flushers().add(self.outbox.clone());
        }
    }

    fn close(&mut self, last: Option<Bytes>, code: CloseCode, reason: Cow<'static, str>, now: Now) {
        let mut frames = BytesMut::new();
        if let (Some(last), Some(client)) = (last, &self.client) {
            frames.extend_from_slice(&self.shared.encoders.frame(client.encoder, &last));
        }
        let sent = nuncio_websocket::CloseCode::new(code.0);
        if let Some(frame) = self.connection.close(sent, &reason, Mask::None) {
            frames.extend_from_slice(&frame);
            self.outbox.finish(frames.freeze());
        }
        self.end(code, reason, ClosedBy::Server, now);
    }

    /// Tells the server that the client is gone, once.
    fn end(&mut self, code: CloseCode, reason: Cow<'static, str>, by: ClosedBy, now: Now) {
        let Some(client) = self.client.take() else {
            return;
        };
        let after = now.instant.saturating_duration_since(client.about.since);
        self.phase = Phase::Closing {
            deadline: now.instant + CLOSE_TIMEOUT,
        };
        self.stash = None;
        self.shared.app.closed(
            client,
            &Closed {
                code,
                reason,
                by,
                after,
            },
            now,
        );
    }

    fn handle_notices(&mut self, cx: &Context<'_>, outputs: &mut Vec<Output>, now: Now) {
        for notice in self.outbox.poll_inbox(cx.waker()) {
            match notice {
                Notice::Completed { call, result } => {
                    self.session.complete_pending(call, result, now, outputs)
                }
                Notice::Retry { call, request } => self.retry(call, request, outputs, now),
                Notice::Close { code, reason } => self.session.handle_close(code, reason, outputs),
                Notice::Drain { after } => self.session.handle_drain(after, outputs),
                Notice::TakenOver => self.session.handle_close(
                    CloseCode::RESUMED_ELSEWHERE,
                    "Resumed elsewhere",
                    outputs,
                ),
                Notice::Overflow => {
                    self.shared.app.overflowed();
                    self.session.handle_overflow(outputs);
                }
                Notice::Removed {
                    namespace: _,
                    room,
                    code,
                } => self.session.handle_removed(room, code, outputs),
                Notice::Regranted {
                    namespace: _,
                    grants,
                } => self.regrant(grants),
                Notice::Disconnect {
                    namespace: _,
                    code,
                    reason,
                } => self.session.handle_close(code, reason, outputs),
                Notice::Recheck => self.recheck(outputs),
            }
        }
    }

    /// A parked session keeps its new grants, so the client's standing has them too.
    fn regrant(&mut self, grants: Arc<Grants>) {
        let client = self.client.as_mut();
        if let Some(standing) = client.and_then(|client| client.about.standing.as_mut()) {
            standing.grants = grants.clone();
            self.session.handle_grants(grants);
        }
    }

    fn recheck(&mut self, outputs: &mut Vec<Output>) {
        let client = self.client.as_ref();
        if client.is_some_and(|client| self.shared.app.is_revoked(client)) {
            self.session
                .handle_close(CloseCode::REVOKED, "Revoked", outputs);
        }
    }

    fn retry(&mut self, call: u32, request: Request, outputs: &mut Vec<Output>, now: Now) {
        let Some(client) = &mut self.client else {
            return;
        };
        if let Some(result) = self.shared.app.call(client, call, request, now) {
            self.session.complete_pending(call, result, now, outputs);
        }
    }

    /// One turn: what others want, what time wants, what the client says, and what is to be written.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        let now = clock::now();
        self.handle_notices(cx, &mut scratch.outputs, now);
        self.apply(&mut scratch.outputs, now);
        self.session.handle_timeout(now, &mut scratch.outputs);
        self.apply(&mut scratch.outputs, now);
        self.unstash(scratch, now);
        self.read(cx, scratch, now);
        self.write(cx, now);
        if self.is_done(now) {
            return Poll::Ready(());
        }
        self.arm(now);
        Poll::Pending
    }

    fn unstash(&mut self, scratch: &mut Scratch, now: Now) {
        if !self.session.is_saturated()
            && let Some(mut stash) = self.stash.take()
        {
            self.handle_bytes(&mut stash, scratch, now);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch, now: Now) {
        while self.stash.is_none() && !matches!(self.phase, Phase::Done) {
            let mut buffer = std::mem::take(&mut scratch.buffer);
            let read = self.io.poll_read(&self.outbox, &mut buffer, cx);
            let pending = read.is_pending();
            match read {
                Poll::Ready(Ok(len)) if len > 0 => {
                    self.handle_bytes(&mut buffer[..len], scratch, now)
                }
                Poll::Ready(end) => self.lost(end.err(), now),
                Poll::Pending => {}
            }
            scratch.buffer = buffer;
            if pending {
                return;
            }
        }
    }

    /// The stream ended, or broke, before or after the closing handshake.
    fn lost(&mut self, error: Option<std::io::Error>, now: Now) {
        let reason = error.map_or(Cow::Borrowed("end of stream"), |error| {
            error.to_string().into()
        });
        self.end(CloseCode::ABNORMAL, reason, ClosedBy::Nobody, now);
        self.phase = Phase::Done;
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Now) {
        if matches!(self.phase, Phase::Done) {
            return;
        }
        match self.io.poll_write(&self.outbox, cx) {
            Poll::Pending => return,
            Poll::Ready(Err(error)) => return self.lost(Some(error), now),
            Poll::Ready(Ok(())) => {}
        }
        if matches!(self.phase, Phase::Closing { .. }) {
            // The last flush of all is done here, at once.
            self.outbox.flush();
            if self.connection.state() == State::Closed
                && self.outbox.is_drained()
                && let Poll::Ready(_) = self.io.poll_shutdown(&self.outbox, cx)
            {
                self.phase = Phase::Lingering {
                    deadline: now.instant + LINGER,
                };
            }
        }
    }

    const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closing { deadline } | Phase::Lingering { deadline } => Some(deadline),
            Phase::Open | Phase::Done => None,
        }
    }

    fn is_done(&self, now: Now) -> bool {
        matches!(self.phase, Phase::Done)
            || self
                .deadline()
                .is_some_and(|deadline| deadline <= now.instant)
    }

    fn arm(&mut self, now: Now) {
        let Some(at) = self.deadline().or_else(|| self.session.poll_timeout()) else {
            return;
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

impl<A: App, I: Io> Future for Driver<A, I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| self.turn(cx, scratch))
    }
}

impl<A: App, I> Drop for Driver<A, I> {
    /// Also when the session panicked or the runtime ends: the server hears of every end.
    fn drop(&mut self) {
        self.outbox.close();
        if let Some(client) = self.client.take() {
            let now = clock::now();
            let after = now.instant.saturating_duration_since(client.about.since);
            let closed = Closed {
                code: CloseCode::ABNORMAL,
                reason: "the session ended by a fault".into(),
                by: ClosedBy::Nobody,
                after,
            };
            self.shared.app.closed(client, &closed, now);
        }
    }
}

impl<A: App, I: Unpin> Unpin for Driver<A, I> {}
