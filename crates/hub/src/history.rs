//! The log of one room: its numbering, its newest publications, its idempotency keys.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_model::{
    Epoch, HistoryLimits, HistoryQuery, IdempotencyKey, MessageId, Position, Publication,
    Published, UserId,
};

use crate::broker::{Attached, Page, Since, Submission};

/// One room's numbering and what is kept of it. Whoever owns it locks it; brokers that keep publications elsewhere use it as their cache.
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    seq: u64,
    publications: VecDeque<Arc<Publication>>,
    bytes: usize,
    keys: HashMap<Intention, Published, FixedState>,
    key_order: VecDeque<Intention>,
}

/// Whose key, and which.
type Intention = (Option<UserId>, IdempotencyKey);

/// Idempotency keys remembered in one room, so that they bound memory too; beyond it the oldest go before their time.
const KEYS_MAX: usize = 10_000;

impl Log {
    /// An empty log that begins at `position`: `seq` 0 of a fresh epoch for a new room.
    pub fn new(position: Position) -> Self {
        Self {
            epoch: position.epoch,
            seq: position.seq,
            publications: VecDeque::new(),
            bytes: 0,
            keys: HashMap::with_hasher(FixedState::with_seed(position.epoch.to_bits())),
            key_order: VecDeque::new(),
        }
    }

    /// Makes the publication that comes next, without taking it in: a durable broker stores it first.
    pub fn next(&self, submission: Submission, id: MessageId) -> Publication {
        Publication {
            id,
            namespace: submission.namespace,
            room: submission.request.room,
            position: Position {
                epoch: self.epoch,
                seq: self.seq + 1,
            },
            ts: submission.now.unix_ms,
            author: submission.author,
            body: submission.request.body,
        }
    }

    /// Takes in the publication that comes next and trims the oldest.
    ///
    /// # Panics
    /// When its `seq` is not the next one: a broker that skips a number would hide a lost message.
    pub fn push(
        &mut self,
        publication: Arc<Publication>,
        key: Option<IdempotencyKey>,
        limits: &HistoryLimits,
    ) {
        assert_eq!(
            publication.position,
            Position {
                epoch: self.epoch,
                seq: self.seq + 1
            },
            "a log takes the next publication only"
        );
        self.seq += 1;
        if let Some(key) = key {
            let published = Published {
                id: publication.id,
                position: publication.position,
                ts: publication.ts,
            };
            let intention = (publication.author.clone(), key);
            self.keys.insert(intention.clone(), published);
            self.key_order.push_back(intention);
        }
        self.bytes += publication.body.len();
        let now_ms = publication.ts;
        self.publications.push_back(publication);
        self.trim(now_ms, limits);
    }

    /// Drops what the limits no longer allow. O(what is dropped).
    pub fn trim(&mut self, now_ms: u64, limits: &HistoryLimits) {
        let oldest_ms = now_ms.saturating_sub(limits.age_max.as_millis() as u64);
        while let Some(oldest) = self.publications.front() {
            let over =
                self.publications.len() > limits.messages_max || self.bytes > limits.bytes_max;
            if !over && oldest.ts >= oldest_ms {
                break;
            }
            self.bytes -= oldest.body.len();
            self.publications.pop_front();
        }
        let oldest_ms = now_ms.saturating_sub(limits.idempotency_ttl.as_millis() as u64);
        while let Some(oldest) = self.key_order.front() {
            if self.key_order.len() <= KEYS_MAX && self.keys[oldest].ts >= oldest_ms {
                break;
            }
            self.keys.remove(oldest);
            self.key_order.pop_front();
        }
    }

    /// Forgets all publications; the numbering goes on.
    pub fn clear(&mut self) {
        self.publications.clear();
        self.bytes = 0;
    }

    /// The answer that the first use of this key got.
    pub fn repeat_of(&self, author: Option<&UserId>, key: &IdempotencyKey) -> Option<Published> {
        self.keys.get(&(author.cloned(), key.clone())).copied()
    }

    /// What a member that comes in now is told.
    pub fn attach(&self, since: Since) -> Attached {
        let position = self.position();
        match since {
            Since::Now => Attached {
                position,
                recovered: true,
                replay: Vec::new(),
            },
            Since::Newest(count) => Attached {
                position,
                recovered: true,
                replay: self.newest(count as usize),
            },
            Since::Position(seen) => match self.after(seen) {
                Some(replay) => Attached {
                    position,
                    recovered: true,
                    replay,
                },
                None => Attached {
                    position,
                    recovered: false,
                    replay: Vec::new(),
                },
            },
        }
    }

    /// One page, in order of `seq`.
    pub fn page(&self, query: &HistoryQuery) -> Page {
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let from = query.after.map_or(0, |after| self.index_after(after));
        let to = query.before.map_or(self.publications.len(), |before| {
            self.index_after(before.saturating_sub(1))
        });
        let (from, to) = (from, to.max(from));
        let (from, to) = match query.after {
            Some(_) => (from, to.min(from.saturating_add(limit))),
            None => (from.max(to.saturating_sub(limit)), to),
        };
        Page {
            position: self.position(),
            publications: self.publications.range(from..to).cloned().collect(),
        }
    }

    /// The newest position.
    pub const fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            seq: self.seq,
        }
    }

    /// Whether nothing would be lost by forgetting this log, but its numbering.
    pub fn is_empty(&self) -> bool {
        self.publications.is_empty() && self.keys.is_empty()
    }

    /// Bytes of content kept.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// All publications after `seen`, or `None` when some of them are gone or `seen` is not a position of this log.
    fn after(&self, seen: Position) -> Option<Vec<Arc<Publication>>> {
        if seen.epoch != self.epoch || seen.seq > self.seq {
            return None;
        }
        let missed = usize::try_from(self.seq - seen.seq).ok()?;
        (missed <= self.publications.len()).then(|| self.newest(missed))
    }

    fn newest(&self, count: usize) -> Vec<Arc<Publication>> {
        let from = self.publications.len().saturating_sub(count);
        self.publications.range(from..).cloned().collect()
    }

    /// Index of the first kept publication with a `seq` above `seq`.
    fn index_after(&self, seq: u64) -> usize {
        let before_first = self.seq - self.publications.len() as u64;
        usize::try_from(seq.saturating_sub(before_first))
            .unwrap_or(usize::MAX)
            .min(self.publications.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nuncio_model::{Body, Json, Namespace, RoomName};
    use std::time::Duration;

    #[test]
    fn since_replays_exactly_the_missed_ones() {
        let log = log_of(5, &HistoryLimits::default());

        let attached = log.attach(Since::Position(position(3)));

        assert!(attached.recovered);
        assert_eq!(seqs(&attached.replay), [4, 5]);
        assert_eq!(attached.position.seq, 5);
    }

    #[test]
    fn a_position_whose_successors_are_trimmed_is_not_recovered() {
        let log = log_of(
            5,
            &HistoryLimits {
                messages_max: 2,
                ..HistoryLimits::default()
            },
        );

        assert_eq!(
            seqs(&log.attach(Since::Position(position(3))).replay),
            [4, 5]
        );
        assert!(!log.attach(Since::Position(position(2))).recovered);
    }

    #[test]
    fn a_position_of_another_epoch_or_of_the_future_is_not_recovered() {
        let log = log_of(5, &HistoryLimits::default());
        let other = Position {
            epoch: Epoch::from_random(99),
            seq: 3,
        };

        assert!(!log.attach(Since::Position(other)).recovered);
        assert!(!log.attach(Since::Position(position(6))).recovered);
    }

    #[test]
    fn the_current_position_is_recovered_even_without_history() {
        let log = log_of(
            5,
            &HistoryLimits {
                messages_max: 0,
                ..HistoryLimits::default()
            },
        );

        assert!(log.attach(Since::Position(position(5))).recovered);
        assert!(!log.attach(Since::Position(position(4))).recovered);
    }

    #[test]
    fn bytes_and_age_trim_too() {
        let by_bytes = log_of(
            5,
            &HistoryLimits {
                bytes_max: 2,
                ..HistoryLimits::default()
            },
        );
        let by_age = log_of(
            5,
            &HistoryLimits {
                age_max: Duration::from_millis(2),
                ..HistoryLimits::default()
            },
        );

        assert_eq!(
            seqs(&by_bytes.page(&query(None, None, None)).publications),
            [4, 5]
        );
        assert_eq!(
            seqs(&by_age.page(&query(None, None, None)).publications),
            [3, 4, 5]
        );
    }

    #[test]
    fn pages_go_both_ways_with_exclusive_bounds() {
        let log = log_of(
            9,
            &HistoryLimits {
                messages_max: 7,
                ..HistoryLimits::default()
            },
        );
        let page =
            |before, after, limit| seqs(&log.page(&query(before, after, limit)).publications);

        assert_eq!(page(None, None, Some(2)), [8, 9]);
        assert_eq!(page(Some(8), None, Some(2)), [6, 7]);
        assert_eq!(page(None, Some(3), Some(2)), [4, 5]);
        assert_eq!(page(Some(6), Some(3), None), [4, 5]);
        assert_eq!(page(Some(3), None, None), [0; 0]);
        assert_eq!(page(Some(2), Some(8), None), [0; 0]);
        assert_eq!(page(None, Some(u64::MAX), None), [0; 0]);
    }

    #[test]
    fn a_repeated_key_of_the_same_user_gets_the_first_answer() {
        let mut log = Log::new(position(0));
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let key = IdempotencyKey::parse("k").unwrap();
        let first = Arc::new(Publication {
            author: Some(ann.clone()),
            ..publication(&log, 1)
        });
        log.push(first.clone(), Some(key.clone()), &HistoryLimits::default());

        assert_eq!(log.repeat_of(Some(&ann), &key).unwrap().id, first.id);
        assert_eq!(log.repeat_of(Some(&bob), &key), None);

        log.trim(1 + 300_001, &HistoryLimits::default());
        assert_eq!(
            log.repeat_of(Some(&ann), &key),
            None,
            "keys live five minutes"
        );
    }

    fn log_of(count: u64, limits: &HistoryLimits) -> Log {
        let mut log = Log::new(position(0));
        for ts in 1..=count {
            let next = Arc::new(publication(&log, ts));
            log.push(next, None, limits);
        }
        log
    }

    fn publication(log: &Log, ts: u64) -> Publication {
        Publication {
            id: MessageId::new(ts, 0),
            namespace: Namespace::default(),
            room: RoomName::parse("r").unwrap(),
            position: Position {
                seq: log.seq + 1,
                ..log.position()
            },
            ts,
            author: None,
            body: Body::Chat {
                content: Json::parse("1").unwrap(),
            },
        }
    }

    fn position(seq: u64) -> Position {
        Position {
            epoch: Epoch::from_random(1),
            seq,
        }
    }

    fn query(before: Option<u64>, after: Option<u64>, limit: Option<u32>) -> HistoryQuery {
        HistoryQuery {
            room: RoomName::parse("r").unwrap(),
            before,
            after,
            limit,
        }
    }

    fn seqs(publications: &[Arc<Publication>]) -> Vec<u64> {
        publications
            .iter()
            .map(|publication| publication.position.seq)
            .collect()
    }
}
