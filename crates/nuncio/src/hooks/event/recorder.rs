//! Takes events in as they happen, under other people's locks, and keeps them until they are written.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nuncio_hub::{Member, Observer, RoomKey};
use nuncio_model::{Namespace, Publication, SocketId, UserId};
use nuncio_transport::{Closed, clock};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::happened::{Ending, Happened, Presence, What};
use crate::config::{EventKind, EventRule};

/// The events that are not in the log yet, in order. Bounded: when the disk does not keep up, new ones are dropped and counted, but for the ends of
/// connections whose beginning was taken in.
pub(crate) struct Recorder {
    rules: Vec<EventRule>,
    queue: Mutex<Queue>,
    arrived: Notify,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    happened: VecDeque<Happened>,
    bytes: usize,
    /// Sessions whose connection was not taken in.
    unrecorded: HashSet<SocketId>,
    ending: bool,
}

/// Bytes that may wait for the disk.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What [`Recorder::take`] found.
pub(super) enum Taken {
    Some(Vec<Happened>),
    /// Nothing waits.
    None,
    /// Nothing waits, and nothing will come.
    Ended,
}

impl Recorder {
    pub(super) fn new(rules: Vec<EventRule>) -> Self {
        Self {
            rules,
            queue: Mutex::default(),
            arrived: Notify::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// A client is in.
    pub(crate) fn connected(&self, presence: Presence) {
        self.note(What::Connected(presence));
    }

    /// Its connection is over.
    pub(crate) fn disconnected(&self, presence: Presence, closed: &Closed) {
        self.note(What::Disconnected(presence, Ending::of(closed)));
    }

    /// What waits, at most `max` events of it.
    pub(super) fn take(&self, max: usize) -> Taken {
        let mut queue = self.queue.lock();
        if queue.happened.is_empty() {
            return if queue.ending {
                Taken::Ended
            } else {
                Taken::None
            };
        }
        let count = queue.happened.len().min(max);
        let taken: Vec<_> = queue.happened.drain(..count).collect();
        queue.bytes -= taken
            .iter()
            .map(|happened| happened.what.bytes())
            .sum::<usize>();
        Taken::Some(taken)
    }

    /// Waits until something came.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        self.queue.lock().ending = true;
        self.arrived.notify_one();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.queue.lock().ending
    }

    /// Events that were not taken in because too many waited for the disk.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn note(&self, what: What) {
        let (namespace, room) = what.place();
        if !self.wants(what.kind(), namespace, room) {
            return;
        }
        let at_ms = clock::now().unix_ms;
        let mut queue = self.queue.lock();
        let is_full = queue.bytes >= BYTES_MAX;
        match &what {
            What::Disconnected(presence, _) if queue.unrecorded.remove(&presence.session) => {
                return;
            }
            What::Disconnected(..) => {}
            What::Connected(presence) if is_full => {
                queue.unrecorded.insert(presence.session);
                drop(queue);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            _ if is_full => {
                drop(queue);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            _ => {}
        }
        queue.bytes += what.bytes();
        queue.happened.push_back(Happened { at_ms, what });
        drop(queue);
        self.arrived.notify_one();
    }

    /// Whether somebody is told of it. Beginning and end of a connection are recorded both, or the end could not be told once.
    fn wants(&self, kind: EventKind, namespace: &Namespace, room: Option<&str>) -> bool {
        self.rules.iter().any(|rule| {
            let told = |kind| rule.events.contains(&kind);
            let is_told = match kind {
                EventKind::Connected | EventKind::Disconnected => {
                    told(EventKind::Connected) || told(EventKind::Disconnected)
                }
                other => told(other),
            };
            is_told
                && rule.namespace.matches(namespace)
                && room.is_none_or(|room| rule.rooms.matches(room))
        })
    }
}

impl Observer for Recorder {
    fn joined(&self, room: &RoomKey, member: Member<'_>) {
        self.note(What::Joined(
            room.clone(),
            member.socket,
            member.user.clone(),
        ));
    }

    fn left(&self, room: &RoomKey, member: Member<'_>) {
        self.note(What::Left(room.clone(), member.socket, member.user.clone()));
    }

    fn occupied(&self, room: &RoomKey) {
        self.note(What::Occupied(room.clone()));
    }

    fn vacated(&self, room: &RoomKey) {
        self.note(What::Vacated(room.clone()));
    }

    fn online(&self, namespace: &Namespace, user: &UserId) {
        self.note(What::Online(namespace.clone(), user.clone()));
    }

    fn offline(&self, namespace: &Namespace, user: &UserId) {
        self.note(What::Offline(namespace.clone(), user.clone()));
    }

    fn published(&self, publication: &Arc<Publication>) {
        self.note(What::Published(publication.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use super::*;
    use nuncio_model::CloseCode;
    use nuncio_transport::ClosedBy;

    #[test]
    fn only_what_somebody_is_told_is_taken_in() {
        let recorder = Recorder::new(vec![rule(
            r#"url = "http://a"
            events = ["connected", "joined"]
            rooms = "chat:*""#,
        )]);

        recorder.joined(&key("chat:a"), member(&ann()));
        recorder.joined(&key("news"), member(&ann()));
        recorder.left(&key("chat:a"), member(&ann()));
        recorder.connected(presence(1));
        recorder.disconnected(presence(1), &closed());

        assert_eq!(kinds(&recorder), ["joined", "connected", "disconnected"]);
    }

    #[test]
    fn when_the_disk_does_not_keep_up_each_connection_is_told_whole_or_not_at_all() {
        let recorder = Recorder::new(vec![rule(r#"url = "http://a""#)]);
        recorder.connected(presence(1));
        let mut beyond = 0;
        while recorder.dropped() == 0 {
            recorder.occupied(&key("a"));
            beyond += 1;
        }

        recorder.connected(presence(2));
        recorder.disconnected(presence(2), &closed());
        recorder.disconnected(presence(1), &closed());

        let kinds = kinds(&recorder);
        assert_eq!(
            kinds.len(),
            beyond + 1,
            "one was dropped, the first connection has both"
        );
        assert_eq!((kinds[0], kinds[beyond]), ("connected", "disconnected"));
        assert_eq!(recorder.dropped(), 2);
        assert!(recorder.queue.lock().unrecorded.is_empty());
        assert_eq!(recorder.queue.lock().bytes, 0);
    }

    fn kinds(recorder: &Recorder) -> Vec<&'static str> {
        let Taken::Some(taken) = recorder.take(usize::MAX) else {
            panic!("nothing was taken in");
        };
        taken
            .iter()
            .map(|happened| happened.what.kind().as_str())
            .collect()
    }

    fn rule(text: &str) -> EventRule {
        toml::from_str(text).unwrap()
    }

    fn key(room: &str) -> RoomKey {
        RoomKey {
            namespace: Namespace::default(),
            room: nuncio_model::RoomName::parse(room).unwrap(),
        }
    }

    fn ann() -> UserId {
        UserId::parse("ann").unwrap()
    }

    fn member(user: &UserId) -> Member<'_> {
        Member {
            socket: SocketId::from_random([1; 15]),
            user,
        }
    }

    fn presence(session: u8) -> Presence {
        Presence {
            namespace: Namespace::default(),
            session: SocketId::from_random([session; 15]),
            user: ann(),
            transport: "websocket",
            address: [127, 0, 0, 1].into(),
            resumed: false,
        }
    }

    fn closed() -> Closed {
        Closed {
            code: CloseCode::NORMAL,
            reason: Cow::Borrowed(""),
            by: ClosedBy::Client,
            after: Duration::from_secs(1),
        }
    }
}
