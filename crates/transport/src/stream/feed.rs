//! A feed: the body of a response that goes on as long as its client reads.
//!
//! There is no task of its own: the connection's task asks the body for its next part, and is woken by the outbox.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use nuncio_engineio::Transport;
use nuncio_hub::{Notice, Pushed};
use nuncio_model::{CloseCode, Now, Outcome, Refusal, Request};
use nuncio_protocol::stream::items;
use nuncio_session::{Feed, FeedOutput};

use crate::app::{About, App, Client, Closed, ClosedBy, FeedAdmission};
use crate::clock;
use crate::driver::Shared;
use crate::encoders::SSE;
use crate::sink::{Outbox, Wire};

/// The body of a feed's response.
pub(super) struct FeedBody<A: App> {
    shared: Arc<Shared<A>>,
    outbox: Arc<Outbox>,
    feed: Feed,
    /// Taken when the feed ends, which is told once.
    client: Option<Client>,
    /// What is to be written next.
    parts: VecDeque<Bytes>,
    armed: Option<Instant>,
}

/// The number of the one call that a feed makes.
const CALL: u32 = 1;
/// Bytes taken out of the outbox at once.
const TAKE_BYTES: usize = 16 * 1024;

impl<A: App> FeedBody<A> {
    /// Begins a feed. What comes of it is told in the stream.
    /// `retry` is how long the client is to wait before it comes back after a loss.
    pub(super) fn open(shared: Arc<Shared<A>>, retry: Duration, admission: FeedAdmission) -> Self {
        let now = clock::now();
        let FeedAdmission {
            namespace,
            watch,
            address,
            standing,
        } = admission;
        let bytes_max = shared.settings.connection.outbox_bytes_max;
        let outbox = Arc::new(Outbox::new(Wire::Woken, bytes_max));
        let client = Client {
            id: crate::random::socket_id(),
            outbox: outbox.clone(),
            socket: None,
            namespace,
            encoder: SSE,
            about: Box::new(About {
                standing,
                address,
                since: now.instant,
                transport: Transport::Polling,
            }),
        };
        shared.app.opened(&client, None);
        let rooms = watch.rooms.iter().map(|request| request.room.clone());
        let exp = watch.identity.as_ref().and_then(|identity| identity.exp);
        let spread = client.id.as_bytes()[0];
        let feed = Feed::new(shared.settings.clone(), rooms, exp, now, spread);
        let mut body = Self {
            shared,
            outbox,
            feed,
            client: Some(client),
            parts: VecDeque::new(),
            armed: None,
        };
        let mut outputs = Vec::new();
        body.feed.open(retry, &mut outputs);
        body.call(Request::Watch(Box::new(watch)), &mut outputs, now);
        body.apply(outputs, now);
        body
    }

    fn call(&mut self, request: Request, outputs: &mut Vec<FeedOutput>, now: Now) {
        let Some(client) = &mut self.client else {
            return;
        };
        if let Some(result) = self.shared.app.call(client, CALL, request, now) {
            self.complete(result, outputs);
        }
    }

    fn complete(&mut self, result: Result<Outcome, Refusal>, outputs: &mut Vec<FeedOutput>) {
        match result {
            Ok(Outcome::Watching(rooms)) => self.feed.joined(&rooms, outputs),
            Ok(outcome) => unreachable!("a feed was answered with {outcome:?}"),
            Err(refusal) => self
                .feed
                .handle_close(CloseCode::TRY_AGAIN, refusal.message, outputs),
        }
    }

    fn apply(&mut self, outputs: Vec<FeedOutput>, now: Now) {
        for output in outputs {
            match output {
                FeedOutput::Write(part) => self.parts.push_back(part),
                FeedOutput::Release => {
                    let pushed = self.outbox.release();
                    if pushed == Pushed::Due {
                        self.shared.rooms.flushers().add(self.outbox.clone());
                    }
                }
                FeedOutput::Close { code, reason } => {
                    self.end(code, reason, ClosedBy::Server, now);
                }
            }
        }
    }

    fn end(
        &mut self,
        code: CloseCode,
        reason: std::borrow::Cow<'static, str>,
        by: ClosedBy,
        now: Now,
    ) {
        let Some(client) = self.client.take() else {
            return;
        };
        self.outbox.close();
        let after = now.instant.saturating_duration_since(client.about.since);
        let closed = Closed {
            code,
            reason,
            by,
            after,
        };
        self.shared.app.closed(client, &closed, now);
    }

    /// What others want, what time wants, and what is said in the rooms.
    fn turn(&mut self, cx: &Context<'_>) {
        let now = clock::now();
        let mut outputs = Vec::new();
        for notice in self.outbox.poll_inbox(cx.waker()) {
            self.handle_notice(notice, &mut outputs, now);
        }
        self.feed.handle_timeout(now, &mut outputs);
        let mut taken = VecDeque::new();
        self.outbox.take(&mut taken, TAKE_BYTES);
        for item in taken.into_iter().flat_map(items) {
            self.feed.handle_item(&item, &mut outputs);
        }
        self.apply(outputs, now);
        self.arm(now);
    }

    fn handle_notice(&mut self, notice: Notice, outputs: &mut Vec<FeedOutput>, now: Now) {
        match notice {
            Notice::Completed { call: _, result } => self.complete(result, outputs),
            Notice::Retry { call: _, request } => self.call(request, outputs, now),
            Notice::Close { code, reason } => self.feed.handle_close(code, reason, outputs),
            Notice::Drain { after } => self.feed.handle_drain(after, outputs),
            Notice::TakenOver => {
                self.feed
                    .handle_close(CloseCode::RESUMED_ELSEWHERE, "Resumed elsewhere", outputs)
            }
            Notice::Overflow => {
                self.shared.app.overflowed();
                self.feed.handle_overflow(outputs);
            }
            Notice::Removed {
                namespace: _,
                room,
                code,
            } => self.feed.handle_removed(room, code, outputs),
            Notice::Regranted {
                namespace: _,
                grants,
            } => {
                let client = self.client.as_mut();
                if let Some(standing) = client.and_then(|client| client.about.standing.as_mut()) {
                    standing.grants = grants;
                }
            }
            Notice::Disconnect {
                namespace: _,
                code,
                reason,
            } => self.feed.handle_close(code, reason, outputs),
            Notice::Recheck => {
                let client = self.client.as_ref();
                if client.is_some_and(|client| self.shared.app.is_revoked(client)) {
                    self.feed
                        .handle_close(CloseCode::REVOKED, "Revoked", outputs);
                }
            }
        }
    }

    fn arm(&mut self, now: Now) {
        let Some(at) = self.feed.poll_timeout() else {
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

    fn poll_part(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if self.parts.is_empty() && self.client.is_some() {
            self.turn(cx);
        }
        match self.parts.pop_front() {
            Some(part) => Poll::Ready(Some(part)),
            None if self.client.is_none() => Poll::Ready(None),
            None => {
                self.parts = VecDeque::new();
                Poll::Pending
            }
        }
    }
}

impl<A: App> Body for FeedBody<A> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_part(cx)
            .map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

impl<A: App> Unpin for FeedBody<A> {}

impl<A: App> Drop for FeedBody<A> {
    /// The client has closed its side, or is lost: it makes no difference, since there is no session.
    fn drop(&mut self) {
        self.outbox.close();
        self.end(
            CloseCode::GOING_AWAY,
            "the stream was given up".into(),
            ClosedBy::Client,
            clock::now(),
        );
    }
}
