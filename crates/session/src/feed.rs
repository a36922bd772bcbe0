//! A feed: what a client is told that watches rooms over server-sent events, and says nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_model::{
    CloseCode, ErrorCode, Joined, Now, Position, PositionReason, Publication, Push, Refusal,
    RoomName,
};
use nuncio_protocol::encode;
use nuncio_protocol::stream::{self, Item, Places};

use crate::expiry::{Expires, Expiry};
use crate::settings::Settings;

/// One feed, owned by whoever writes its stream.
///
/// Every event with a position has an `id:` that says where all rooms of the feed stand, so that whoever comes back with the last one it has seen misses and
/// repeats nothing.
#[derive(Debug)]
pub struct Feed {
    settings: Arc<Settings>,
    places: Places,
    expiry: Expiry,
    /// When the next comment is due.
    beat: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Everything is said.
    Closed,
}

/// One thing for the driver to do, in the order given.
pub enum FeedOutput {
    /// Write a part of the stream.
    Write(Bytes),
    /// The rooms' first messages are written: what others caused meanwhile may follow.
    Release,
    /// End the stream; nothing else comes after it.
    Close {
        /// What a WebSocket would be closed with; the client was told.
        code: CloseCode,
        /// Its reason.
        reason: Cow<'static, str>,
    },
}

impl Feed {
    /// A feed of rooms that are about to be entered, until the token ends (`exp`, in seconds since the Unix epoch). `spread` (0 to 255) differs between clients, so that
    /// their heartbeats do not come together.
    pub fn new(
        settings: Arc<Settings>,
        rooms: impl IntoIterator<Item = RoomName>,
        exp: Option<u64>,
        now: Now,
        spread: u8,
    ) -> Self {
        let first = settings.connection.heartbeat_interval * (u32::from(spread) + 1) / 256;
        Self {
            settings,
            places: Places::new(rooms),
            expiry: Expiry::new(exp, now),
            beat: now.instant + first,
            state: State::Open,
        }
    }

    /// Begins the stream: `retry` is how long the client is to wait before it comes back after a loss.
    pub fn open(&self, retry: Duration, out: &mut Vec<FeedOutput>) {
        out.push(FeedOutput::Write(stream::retry(retry)));
    }

    /// The rooms were entered, or refused: where each stands, then what was missed in them.
    pub fn joined(
        &mut self,
        rooms: &[Result<Joined, (RoomName, Refusal)>],
        out: &mut Vec<FeedOutput>,
    ) {
        if self.state == State::Closed {
            return;
        }
        let entered = || rooms.iter().filter_map(|room| room.as_ref().ok());
        for joined in entered() {
            self.places.set(&joined.room, told_so_far(joined));
        }
        for joined in entered() {
            let push = Push::Position {
                room: joined.room.clone(),
                position: joined.position,
                recovered: joined.recovered,
                reason: PositionReason::Joined,
            };
            out.push(FeedOutput::Write(self.places.id()));
            tell(&encode::push(&push), out);
        }
        for (room, refusal) in rooms.iter().filter_map(|room| room.as_ref().err()) {
            self.handle_removed(room.clone(), refusal.code, out);
        }
        for publication in entered().flat_map(|joined| &joined.replay) {
            self.replay(publication, out);
        }
        out.push(FeedOutput::Release);
        if entered().next().is_none() {
            self.close(CloseCode::TRY_AGAIN, "Try again later", out);
        }
    }

    fn replay(&mut self, publication: &Publication, out: &mut Vec<FeedOutput>) {
        self.places.set(&publication.room, publication.position);
        out.push(FeedOutput::Write(self.places.id()));
        tell(&encode::publication(publication), out);
    }

    /// Something was said in a room, or to the user.
    pub fn handle_item(&mut self, item: &Item, out: &mut Vec<FeedOutput>) {
        if self.state == State::Closed {
            return;
        }
        if let Some((room, position)) = item.place()
            && self.places.set(room, position)
        {
            out.push(FeedOutput::Write(self.places.id()));
        }
        out.push(FeedOutput::Write(item.event().clone()));
    }

    /// The server took the client out of a room.
    pub fn handle_removed(&self, room: RoomName, code: ErrorCode, out: &mut Vec<FeedOutput>) {
        if self.state == State::Open {
            tell(&encode::push(&Push::Removed { room, code }), out);
        }
    }

    /// The server shuts down: the client is told when to come back.
    pub fn handle_drain(&mut self, after: Duration, out: &mut Vec<FeedOutput>) {
        self.close_after(after, CloseCode::RESTART, "Server shutting down", out);
    }

    /// The client reads too slowly: it is told to come back and recover.
    pub fn handle_overflow(&mut self, out: &mut Vec<FeedOutput>) {
        let after = Duration::from_secs(1);
        self.close_after(after, CloseCode::TRY_AGAIN, "Slow consumer", out);
    }

    /// The feed is to end with this code.
    pub fn handle_close(
        &mut self,
        code: CloseCode,
        reason: impl Into<Cow<'static, str>>,
        out: &mut Vec<FeedOutput>,
    ) {
        self.close(code, reason, out);
    }

    fn close_after(
        &mut self,
        after: Duration,
        code: CloseCode,
        reason: &'static str,
        out: &mut Vec<FeedOutput>,
    ) {
        if self.state == State::Open {
            out.push(FeedOutput::Write(stream::retry(after)));
            tell(&encode::push(&Push::Reconnect { after, reason }), out);
        }
        self.close(code, reason, out);
    }

    fn close(
        &mut self,
        code: CloseCode,
        reason: impl Into<Cow<'static, str>>,
        out: &mut Vec<FeedOutput>,
    ) {
        if self.state == State::Open {
            self.state = State::Closed;
            let reason = reason.into();
            tell(&stream::close(code, &reason), out);
            out.push(FeedOutput::Close { code, reason });
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<FeedOutput>) {
        if self.state == State::Closed {
            return;
        }
        match self.expiry.handle_timeout(now) {
            Some(Expires::Soon(exp)) => tell(&encode::push(&Push::Expiring { exp }), out),
            Some(Expires::Now) => {
                return self.close(CloseCode::TOKEN_EXPIRED, "Token expired", out);
            }
            None => {}
        }
        if self.beat <= now.instant {
            self.beat = now.instant + self.settings.connection.heartbeat_interval;
            out.push(FeedOutput::Write(stream::COMMENT));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; never after the end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.expiry.poll_timeout();
        match self.state {
            State::Open => Some(expiry.map_or(self.beat, |at| at.min(self.beat))),
            State::Closed => None,
        }
    }
}

/// Up to where the client has a room before its replay is written.
fn told_so_far(joined: &Joined) -> Position {
    joined
        .replay
        .first()
        .map_or(joined.position, |first| Position {
            seq: first.position.seq - 1,
            ..first.position
        })
}

fn tell(text: &[u8], out: &mut Vec<FeedOutput>) {
    out.push(FeedOutput::Write(stream::event(text)));
}

/// Shows how much is written, not what.
impl fmt::Debug for FeedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(part) => write!(f, "Write({} bytes)", part.len()),
            Self::Release => f.write_str("Release"),
            Self::Close { code, reason } => write!(f, "Close({code} {reason:?})"),
        }
    }
}
