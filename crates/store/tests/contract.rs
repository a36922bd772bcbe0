//! What every broker promises (`nuncio_hub::Broker`), held against the one in memory and the one on disk.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod witness;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use nuncio_hub::{Broker, MemoryBroker, Since};
use nuncio_model::{Position, PositionReason, Publication};
use nuncio_store::{Store, StoreConfig};
use tempfile::TempDir;
use witness::{
    Caller, Witness, answer, done, key, keyed, limits, now, policies, seqs, submission, texts,
};

/// A broker and what it delivers to.
struct Node {
    broker: Box<dyn Broker>,
    rooms: Arc<Witness>,
    _directory: Option<TempDir>,
}

/// Where a member came in, what was replayed to it, and what it gets live.
type Joined = (
    Position,
    Vec<Arc<Publication>>,
    Arc<Mutex<Vec<Arc<Publication>>>>,
);

#[test]
fn each_room_has_one_dense_order_under_concurrent_publishers() {
    for node in nodes(1000) {
        let published = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (node, published) = (&node, &published);
                scope.spawn(move || {
                    let caller = node.caller();
                    let waits: Vec<_> = (0..100)
                        .map(|n| {
                            (
                                n % 3,
                                caller.begin(submission(
                                    &format!("r{}", n % 3),
                                    &format!("{thread}-{n}"),
                                    now(),
                                )),
                            )
                        })
                        .collect();
                    for (room, wait) in waits {
                        let landed = answer(wait).unwrap();
                        let delivered = node.rooms.delivered(&format!("r{room}"));
                        let it = delivered
                            .iter()
                            .find(|publication| publication.id == landed.id);
                        assert_eq!(
                            it.expect("delivered before it is acknowledged").position,
                            landed.position
                        );
                        published.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });

        assert_eq!(published.into_inner(), 800);
        for (room, count) in [("r0", 272), ("r1", 264), ("r2", 264)] {
            let delivered = node.rooms.delivered(room);
            assert_eq!(seqs(&delivered), (1..=count).collect::<Vec<_>>());
            assert_eq!(node.caller().history(room).unwrap().publications, delivered);
            for thread in 0..8 {
                assert_ascending(&texts(&delivered), thread);
            }
        }
    }
}

#[test]
fn who_attaches_amid_publishing_gets_everything_exactly_once() {
    for node in nodes(10_000) {
        let members = Mutex::new(Vec::new());
        let start = node.caller().attach("busy", Since::Now).unwrap().position;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..150 {
                        node.caller().publish("busy", &n.to_string()).unwrap();
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..40 {
                        members.lock().unwrap().push(node.join("busy", start));
                    }
                });
            }
        });

        for (position, replay, live) in members.into_inner().unwrap() {
            let got = [seqs(&replay), seqs(&live.lock().unwrap())].concat();
            assert_eq!(got, (1..=600).collect::<Vec<_>>());
            assert_eq!(replay.len() as u64, position.seq);
        }
    }
}

#[test]
fn a_repeated_key_is_delivered_once_and_answered_alike() {
    for node in nodes(100) {
        let caller = node.caller();
        let waits: Vec<_> = (0..20)
            .map(|n| caller.begin(keyed("r", &n.to_string(), &format!("key{}", n % 2), now())))
            .collect();
        let answers: Vec<_> = waits
            .into_iter()
            .map(|wait| answer(wait).unwrap())
            .collect();
        let later = caller.submit(keyed("r", "later", "key0", now())).unwrap();

        let ids: HashSet<_> = answers.iter().map(|published| published.id).collect();
        assert_eq!(ids.len(), 2);
        assert_eq!(later, answers[0]);
        assert_eq!(texts(&node.rooms.delivered("r")), ["0", "1"]);
    }
}

#[test]
fn history_is_paged_both_ways_and_trimmed_by_the_limits() {
    for node in nodes(7) {
        let caller = node.caller();
        for n in 1..=9 {
            caller.publish("r", &n.to_string()).unwrap();
        }
        let page = |before, after, limit| {
            seqs(&caller.page("r", before, after, limit).unwrap().publications)
        };

        assert_eq!(page(None, None, None), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(page(None, None, Some(2)), [8, 9]);
        assert_eq!(page(Some(8), None, Some(2)), [6, 7]);
        assert_eq!(page(None, Some(3), Some(2)), [4, 5]);
        assert_eq!(page(Some(3), None, None), [0; 0]);
    }
}

#[test]
fn since_replays_what_was_missed_or_says_that_it_cannot() {
    for node in nodes(3) {
        let caller = node.caller();
        for n in 1..=5 {
            caller.publish("r", &n.to_string()).unwrap();
        }
        let position = caller.history("r").unwrap().position;
        let attach = |seq| {
            caller
                .attach("r", Since::Position(Position { seq, ..position }))
                .unwrap()
        };

        assert_eq!(
            (attach(3).recovered, seqs(&attach(3).replay)),
            (true, vec![4, 5])
        );
        assert_eq!(
            (attach(1).recovered, seqs(&attach(1).replay)),
            (false, vec![])
        );
        assert_eq!(
            (attach(5).recovered, seqs(&attach(5).replay)),
            (true, vec![])
        );
        assert_eq!(
            seqs(&caller.attach("r", Since::Newest(2)).unwrap().replay),
            [4, 5]
        );
        assert_eq!(attach(3).position, Position { seq: 5, ..position });
    }
}

#[test]
fn a_cleared_room_forgets_its_messages_and_keeps_its_numbering() {
    for node in nodes(100) {
        let caller = node.caller();
        let first = caller.submit(keyed("r", "a", "k", now())).unwrap();
        caller.publish("r", "b").unwrap();

        let cleared = caller.clear("r").unwrap();
        let after = caller.history("r").unwrap();
        let repeat = caller.submit(keyed("r", "a", "k", now())).unwrap();
        let next = caller.publish("r", "c").unwrap();

        assert_eq!(
            (cleared.seq, after.position, after.publications.len()),
            (2, cleared, 0)
        );
        assert_eq!(node.rooms.broken("r"), [(cleared, PositionReason::Cleared)]);
        assert_eq!(repeat, first, "keys outlive the messages");
        assert_eq!(next.position, Position { seq: 3, ..cleared });
    }
}

#[test]
fn an_attached_room_keeps_its_epoch_while_nothing_is_said_in_it() {
    for node in nodes(100) {
        let caller = node.caller();

        let attached = caller.attach("quiet", Since::Now).unwrap();
        node.broker.handle_timeout(now());
        let published = caller.publish("quiet", "hush").unwrap();

        assert_eq!(
            published.position,
            Position {
                seq: 1,
                ..attached.position
            }
        );
    }
}

impl Node {
    fn caller(&self) -> Caller<'_> {
        Caller(&*self.broker)
    }

    /// Joins as a session does: it becomes a member in `done`, under the lock of the log.
    fn join(&self, room: &'static str, start: Position) -> Joined {
        let (joined, wait) = done();
        let rooms = self.rooms.clone();
        let attached = Box::new(move |result: Result<nuncio_hub::Attached, _>| {
            joined(
                result.map(|attached| (attached.position, attached.replay, rooms.add_member(room))),
            );
        });
        self.broker
            .attach(&key(room), Since::Position(start), now(), attached);
        answer(wait).unwrap()
    }
}

/// One node of each kind, with rooms of so many messages.
fn nodes(messages_max: usize) -> Vec<Node> {
    let policies = policies(limits(messages_max));
    let in_memory = Arc::new(Witness::default());
    let on_disk = Arc::new(Witness::default());
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::new(directory.path())).unwrap();
    vec![
        Node {
            broker: Box::new(MemoryBroker::new(in_memory.clone(), policies.clone(), 7)),
            rooms: in_memory,
            _directory: None,
        },
        Node {
            broker: Box::new(store.into_broker(on_disk.clone(), policies, 7, Arc::new(()))),
            rooms: on_disk,
            _directory: Some(directory),
        },
    ]
}

/// The messages of one publisher come in the order in which it published them.
fn assert_ascending(texts: &[String], thread: usize) {
    let own = texts
        .iter()
        .filter_map(|text| text.strip_prefix(&format!("{thread}-")));
    let own: Vec<u32> = own.map(|n| n.parse().unwrap()).collect();
    assert!(own.is_sorted(), "{own:?}");
}
