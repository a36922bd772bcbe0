//! What is known of a session whose connection state may be recovered.

use bytes::Bytes;
use nuncio_model::{Namespace, RoomName, SocketId, UserId};

use super::Entry;

/// A session: enough to give it back to its client, also after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the client proves by that it is its own; with the socket's id it is the private id.
    pub secret: [u8; 16],
    /// Its namespace.
    pub namespace: Namespace,
    /// Who it is.
    pub user: UserId,
    /// The token that it stands on, as far as a revocation may name it.
    pub token: TokenMark,
    /// The place in the order where it began.
    pub start: u64,
    /// Before this place it is not known in which rooms it was.
    pub known_from: u64,
    /// When it was in which room.
    pub spans: Vec<Span>,
    /// What the application keeps with it.
    pub data: Option<Bytes>,
}

/// What a revocation may name a token by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenMark {
    /// When it was issued, in seconds since the Unix epoch.
    pub issued_at: Option<u64>,
    /// Its id.
    pub id: Option<Box<str>>,
}

/// A stay in a room: messages after `from`, until and with `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The room.
    pub room: RoomName,
    /// The place in the order of the join.
    pub from: u64,
    /// That of the leave.
    pub until: Option<u64>,
}

/// Stays that are over, of which a client may still miss messages. Beyond it the oldest go, and with them what was said before their end.
pub(crate) const CLOSED_SPANS_MAX: usize = 64;

impl Record {
    /// The rooms that it is in.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        let open = self.spans.iter().filter(|span| span.until.is_none());
        open.map(|span| &span.room)
    }

    /// Whether a message was for this session.
    pub(crate) fn gets(&self, socket: &SocketId, entry: &Entry) -> bool {
        entry.namespace == self.namespace
            && entry.reaches(socket, &self.user, |room| self.was_in(room, entry.ordinal))
    }

    fn was_in(&self, room: &RoomName, ordinal: u64) -> bool {
        self.spans.iter().any(|span| {
            span.room == *room
                && span.from < ordinal
                && span.until.is_none_or(|until| ordinal <= until)
        })
    }

    pub(crate) fn join(&mut self, room: RoomName, from: u64) {
        if self.rooms().all(|known| *known != room) {
            let until = None;
            if self.spans.is_empty() {
                // Most clients are in one room, and a list that grows by itself begins with four places.
                self.spans.reserve_exact(1);
            }
            self.spans.push(Span { room, from, until });
        }
    }

    /// Ends a stay. Those that ended before `oldest` are forgotten: nothing of them is left to be missed.
    pub(crate) fn leave(&mut self, room: &RoomName, at: u64, oldest: u64) {
        for span in &mut self.spans {
            if span.room == *room && span.until.is_none() {
                span.until = Some(at);
            }
        }
        self.spans
            .retain(|span| span.until.is_none_or(|until| until >= oldest));
        let closed = self.spans.iter().filter(|span| span.until.is_some());
        if closed.count() <= CLOSED_SPANS_MAX {
            return;
        }
        let first = self.spans.iter().position(|span| span.until.is_some());
        let forgotten = first.and_then(|first| self.spans.remove(first).until);
        self.known_from = self.known_from.max(forgotten.unwrap_or(0));
    }

    /// Forgets what is not allowed any more: the rooms, and what was said there.
    pub(crate) fn restrict(&mut self, allows: impl Fn(&RoomName) -> bool) {
        self.spans.retain(|span| allows(&span.room));
    }
}
