//! The task of a session without a WebSocket: it lives as long as the session is connected, also between two polls.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nuncio_hub::{Notice, Pushed};
use nuncio_model::{CloseCode, ErrorCode, Grants, Now, Refusal, ResumeToken};
use nuncio_protocol::stream;
use nuncio_session::{Output, Session};

use super::Streams;
use super::kept::Kept;
use super::mailbox::{Answer, Mailbox, RequestId};
use super::pipe::Pipe;
use super::reply::{Reply, status_of};
use crate::app::{App, Client, Closed, ClosedBy};
use crate::clock;
use crate::driver::Shared;
use crate::sink::Outbox;

mod carry;
mod letters;

pub(super) struct Driver<A: App> {
    pub(super) shared: Arc<Shared<A>>,
    pub(super) endpoint: Arc<Streams>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) session: Session,
    /// Taken when the session ends, which is told once.
    pub(super) client: Option<Client>,
    pub(super) carrier: Carrier,
    pub(super) kept: Kept,
    /// The newest body that was taken.
    pub(super) taken: u64,
    /// What was sent and waits until the session has fewer calls under way; almost always nothing.
    pub(super) sending: Option<Box<Sending>>,
    /// Under which the table has the session.
    pub(super) token: Option<ResumeToken>,
    pub(super) armed: Option<Instant>,
    pub(super) phase: Phase,
}

/// What the client can be reached by at present.
pub(super) enum Carrier {
    /// Nothing: it is between two polls, or its stream broke. At this instant it is lost.
    Nothing(Instant),
    /// The request that opened the session, until it is decided who the client is.
    Opening(Box<Opening>),
    /// A poll, which is answered at this instant at the latest.
    Poll(RequestId, Answer, Instant),
    /// A stream of events.
    Stream(Arc<Pipe>),
}

pub(super) struct Opening {
    pub(super) answer: Answer,
    pub(super) id: RequestId,
    /// Why the client is not let in.
    pub(super) refused: Option<Reply>,
}

/// Messages of a body that are not handled yet.
pub(super) struct Sending {
    pub(super) number: u64,
    pub(super) messages: std::vec::IntoIter<Box<str>>,
    pub(super) close: Option<CloseCode>,
    /// Whom to tell that all were taken; nobody for the message that opens the session.
    pub(super) answer: Option<Answer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Everything is said; until then the client may fetch it.
    Closing(Instant),
    Done,
}

/// How long a client may take to fetch the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

impl<A: App> Driver<A> {
    /// Carries out what the session wants done; its calls may want more.
    pub(super) fn apply(&mut self, outputs: &mut Vec<Output>, now: Now) {
        let mut next = 0;
        while next < outputs.len() {
            let output = std::mem::replace(&mut outputs[next], Output::Release);
            next += 1;
            match output {
                Output::Send(text) => self.send(&text),
                Output::Refuse(code, text) => {
                    self.shared.app.refused(code);
                    if let Carrier::Opening(opening) = &mut self.carrier {
                        let body = stream::error_body_of(&text).unwrap_or_default();
                        opening.refused = Some(Reply::Refused(status_of(code), body));
                    }
                    self.send(&text);
                }
                Output::Ping => self.beat(),
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
                Output::Terminate => self.lose("no sign of life", now),
            }
        }
        outputs.clear();
        self.register();
    }

    fn send(&self, text: &[u8]) {
        self.shared.app.sent(text.len());
        let pushed = self.outbox.push_own(stream::item(None, text));
        self.flush_if(pushed);
    }

    fn flush_if(&self, pushed: Pushed) {
        if pushed == Pushed::Due {
            self.shared.rooms.flushers().add(self.outbox.clone());
        }
    }

    /// The heartbeat: a stream gets a comment. Whether the client lives shows in its requests, so it always counts as answered.
    fn beat(&mut self) {
        self.session.handle_frame();
        if let Carrier::Stream(pipe) = &self.carrier {
            pipe.push([stream::COMMENT]);
            self.kept.age();
        }
    }

    /// Makes the session known under its resume token, which is another after each resume.
    fn register(&mut self) {
        let socket = self
            .client
            .as_ref()
            .and_then(|client| client.socket.as_ref());
        let token = socket.map(|socket| ResumeToken {
            socket: socket.id,
            secret: socket.secret,
        });
        if let Some(token) = token
            && !self.token.is_some_and(|known| known.matches(&token))
        {
            self.forget();
            self.endpoint.table.insert(token, self.mailbox.clone());
            self.token = Some(token);
        }
    }

    fn forget(&mut self) {
        if let Some(token) = self.token.take() {
            self.endpoint.table.remove(&token);
        }
    }

    fn close(&mut self, last: Option<Bytes>, code: CloseCode, reason: Cow<'static, str>, now: Now) {
        if let Carrier::Opening(opening) = &mut self.carrier {
            let refusal = Refusal::new(refusal_of(code), &*reason);
            opening
                .refused
                .get_or_insert_with(|| Reply::refused(&refusal));
        }
        let mut items = BytesMut::new();
        if let Some(last) = last {
            items.extend_from_slice(&stream::item(None, &last));
        }
        items.extend_from_slice(&stream::item(None, &stream::close(code, &reason)));
        self.outbox.finish(items.freeze());
        self.end(code, reason, ClosedBy::Server, now);
        self.phase = Phase::Closing(now.instant + CLOSE_TIMEOUT);
    }

    /// The client is gone without a word.
    fn lose(&mut self, reason: &'static str, now: Now) {
        self.end(CloseCode::ABNORMAL, reason.into(), ClosedBy::Nobody, now);
        self.phase = Phase::Done;
    }

    /// Tells the server that the client is gone, once.
    fn end(&mut self, code: CloseCode, reason: Cow<'static, str>, by: ClosedBy, now: Now) {
        let Some(client) = self.client.take() else {
            return;
        };
        let after = now.instant.saturating_duration_since(client.about.since);
        let closed = Closed {
            code,
            reason,
            by,
            after,
        };
        // What was sent is answered all the same: it was taken up to here.
        if let Some(sending) = self.sending.take()
            && let Some(answer) = sending.answer
        {
            let _ = answer.send(Reply::Taken(sending.number));
        }
        self.shared.app.closed(client, &closed, now);
    }

    fn handle_notices(&mut self, cx: &Context<'_>, outputs: &mut Vec<Output>, now: Now) {
        for notice in self.outbox.poll_inbox(cx.waker()) {
            match notice {
                Notice::Completed { call, result } => {
                    self.session.complete_pending(call, result, now, outputs);
                }
                Notice::Retry { call, request } => {
                    let Some(client) = &mut self.client else {
                        continue;
                    };
                    if let Some(result) = self.shared.app.call(client, call, request, now) {
                        self.session.complete_pending(call, result, now, outputs);
                    }
                }
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

    /// One turn: what others want, what time wants, what the client asks for, and what it is given.
    fn turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        let now = clock::now();
        let mut outputs = Vec::new();
        self.handle_notices(cx, &mut outputs, now);
        self.apply(&mut outputs, now);
        self.session.handle_timeout(now, &mut outputs);
        self.apply(&mut outputs, now);
        self.read(&mut outputs, now);
        self.carry(now);
        if self.phase == Phase::Done {
            return Poll::Ready(());
        }
        self.arm(now);
        Poll::Pending
    }

    fn arm(&mut self, now: Now) {
        let ends = match (self.phase, &self.carrier) {
            (Phase::Closing(at), _) => Some(at),
            (Phase::Open, Carrier::Nothing(at) | Carrier::Poll(_, _, at)) => Some(*at),
            (Phase::Open, Carrier::Opening(_) | Carrier::Stream(_)) | (Phase::Done, _) => None,
        };
        let Some(at) = ends.into_iter().chain(self.session.poll_timeout()).min() else {
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

/// What a request is told whose session was closed before anybody was behind it.
const fn refusal_of(code: CloseCode) -> ErrorCode {
    match code {
        CloseCode::RESTART | CloseCode::TRY_AGAIN => ErrorCode::Unavailable,
        CloseCode::INTERNAL => ErrorCode::Internal,
        _ => ErrorCode::NotAuthenticated,
    }
}

impl<A: App> Future for Driver<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn(cx)
    }
}

impl<A: App> Drop for Driver<A> {
    /// Also when the session panicked or the runtime ends: the server hears of every end.
    fn drop(&mut self) {
        self.outbox.close();
        self.mailbox.close();
        self.forget();
        if let Carrier::Stream(pipe) = &self.carrier {
            pipe.finish();
        }
        self.end(
            CloseCode::ABNORMAL,
            "the session ended by a fault".into(),
            ClosedBy::Nobody,
            clock::now(),
        );
    }
}

impl<A: App> Unpin for Driver<A> {}
