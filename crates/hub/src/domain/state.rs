//! What the lock of a domain guards: the numbering, the messages, the sessions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_model::{Epoch, Namespace, Now, Offset, ResumeToken, RoomName, SocketId, UserId};

use super::log::DomainLog;
use super::{DomainConfig, Entry, Record, Restored, TokenMark};

pub(crate) struct State {
    pub(crate) epoch: Epoch,
    /// The last ordinal given.
    pub(crate) last: u64,
    pub(crate) log: DomainLog,
    /// Messages that are numbered and not handed over yet.
    pub(crate) pending: Vec<Arc<Entry>>,
    /// Boxed: a map is up to half empty.
    pub(crate) records: HashMap<SocketId, Box<Kept>, FixedState>,
    /// Sessions without a connection in the order of their loss; those that came back are passed over.
    lost: VecDeque<(Instant, SocketId)>,
    lost_len: usize,
    lost_max: usize,
    /// The clock, as it was told last: a message's age need not be exact.
    now: Now,
}

/// A session of this process.
pub(crate) struct Kept {
    pub(crate) record: Record,
    /// Since when it has no connection.
    lost: Option<Instant>,
    /// How often it was claimed: of two that claim it, the newest gets it.
    claims: u64,
}

/// Who wants a session back.
pub(crate) struct Claimant<'a> {
    pub(crate) pid: &'a ResumeToken,
    pub(crate) namespace: &'a Namespace,
    pub(crate) user: &'a UserId,
    /// What it saw last, as it says.
    pub(crate) offset: Option<Offset>,
}

/// A session that is being given back.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) number: u64,
    pub(crate) after: u64,
    pub(crate) rooms: Vec<RoomName>,
}

impl State {
    pub(crate) fn new(config: &DomainConfig, restored: Restored, now: Now) -> Self {
        let Restored {
            epoch,
            last,
            dropped,
            entries,
            records,
        } = restored;
        let mut log = DomainLog::new(config.log_bytes_max, config.lost_ttl + config.silence_max);
        if let Some(dropped) = dropped {
            log.begin_after(dropped, now.instant);
        }
        for entry in entries {
            log.push(now.instant, entry);
        }
        let mut state = Self {
            epoch,
            last,
            log,
            pending: Vec::new(),
            records: HashMap::with_hasher(FixedState::with_seed(epoch.to_bits())),
            lost: VecDeque::new(),
            lost_len: 0,
            lost_max: config.lost_max,
            now,
        };
        for (socket, record) in records {
            state.begin(socket, record);
            state.lose(socket, now.instant);
        }
        state
    }

    /// The place after the newest message.
    pub(crate) const fn offset(&self) -> Offset {
        Offset {
            epoch: self.epoch,
            ordinal: self.last,
        }
    }

    /// Takes the next message in.
    pub(crate) fn append(&mut self, entry: Arc<Entry>) {
        debug_assert!(entry.ordinal > self.last, "ordinals grow");
        self.last = entry.ordinal;
        self.log.push(self.now.instant, entry.clone());
        self.pending.push(entry);
    }

    /// A session begins.
    pub(crate) fn begin(&mut self, socket: SocketId, record: Record) {
        let kept = Kept {
            record,
            lost: None,
            claims: 0,
        };
        self.records.insert(socket, Box::new(kept));
    }

    pub(crate) fn joined(&mut self, socket: &SocketId, room: RoomName) {
        let last = self.last;
        if let Some(kept) = self.records.get_mut(socket) {
            kept.record.join(room, last);
        }
    }

    pub(crate) fn left(&mut self, socket: &SocketId, room: &RoomName) {
        let (last, oldest) = (self.last, self.log.first().unwrap_or(self.last));
        if let Some(kept) = self.records.get_mut(socket) {
            kept.record.leave(room, last, oldest);
        }
    }

    /// A session's connection is lost. The oldest of those beyond the bound are forgotten, and returned.
    pub(crate) fn lose(&mut self, socket: SocketId, now: Instant) -> Vec<SocketId> {
        let mut forgotten = Vec::new();
        if let Some(kept) = self.records.get_mut(&socket)
            && kept.lost.is_none()
        {
            kept.lost = Some(now);
            self.lost.push_back((now, socket));
            self.lost_len += 1;
        }
        while self.lost_len > self.lost_max {
            forgotten.extend(self.forget_oldest());
        }
        forgotten
    }

    /// A session is over.
    pub(crate) fn forget(&mut self, socket: &SocketId) {
        if let Some(kept) = self.records.remove(socket) {
            self.lost_len -= usize::from(kept.lost.is_some());
        }
    }

    /// Whether a claim could succeed: it is the session's own client that asks, and in time.
    pub(crate) fn knows(&self, claimant: &Claimant<'_>, now: Instant, ttl: Duration) -> bool {
        let Some(kept) = self.records.get(&claimant.pid.socket) else {
            return false;
        };
        kept.is_of(claimant) && kept.lost.is_none_or(|lost| now < lost + ttl)
    }

    /// The token that a session stands on.
    pub(crate) fn token_of(&self, socket: &SocketId) -> Option<&TokenMark> {
        self.records.get(socket).map(|kept| &kept.record.token)
    }

    /// Takes a session out of the lost ones, for a client that it [knows](Self::knows); `None` when something is gone that the client may have missed.
    pub(crate) fn claim(&mut self, claimant: &Claimant<'_>, silence: Duration) -> Option<Claim> {
        let kept = self.records.get_mut(&claimant.pid.socket)?;
        let own = claimant
            .offset
            .filter(|offset| offset.epoch == self.epoch && offset.ordinal <= self.last);
        let start = kept.record.start;
        let after = own.map_or(start, |offset| offset.ordinal.max(start));
        let lost = kept.lost.unwrap_or(self.now.instant);
        if after < kept.record.known_from || !self.log.is_whole(after, lost, silence) {
            return None;
        }
        self.lost_len -= usize::from(kept.lost.take().is_some());
        kept.claims += 1;
        Some(Claim {
            number: kept.claims,
            after,
            rooms: kept.record.rooms().cloned().collect(),
        })
    }

    /// Whether nobody else has claimed the session since.
    pub(crate) fn is_claimed(&self, socket: &SocketId, number: u64) -> bool {
        let kept = self.records.get(socket);
        kept.is_some_and(|kept| kept.claims == number && kept.lost.is_none())
    }

    /// Drops what is too old. Returns the sessions that are over.
    pub(crate) fn handle_timeout(&mut self, now: Now, ttl: Duration) -> Vec<SocketId> {
        self.now = now;
        self.log.trim(now.instant);
        let mut forgotten = Vec::new();
        while let Some((at, _)) = self.lost.front()
            && *at + ttl <= now.instant
        {
            forgotten.extend(self.forget_oldest());
        }
        if self.lost.is_empty() {
            self.lost = VecDeque::new();
        }
        forgotten
    }

    fn forget_oldest(&mut self) -> Option<SocketId> {
        let (at, socket) = self.lost.pop_front()?;
        let kept = self.records.get(&socket)?;
        // It may have come back since, and have been lost again.
        (kept.lost == Some(at)).then(|| self.forget(&socket))?;
        Some(socket)
    }
}

impl Kept {
    fn is_of(&self, claimant: &Claimant<'_>) -> bool {
        let own = ResumeToken {
            socket: claimant.pid.socket,
            secret: self.record.secret,
        };
        own.matches(claimant.pid)
            && self.record.namespace == *claimant.namespace
            && self.record.user == *claimant.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_may_be_recovered_costs_its_socket_little_more() {
        assert_eq!(size_of::<Kept>(), 176);
    }
}
