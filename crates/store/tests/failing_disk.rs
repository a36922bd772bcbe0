//! A disk that is full, or fails otherwise: publishes are refused, reads go on, and writing comes back by itself.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod disk;
mod witness;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use disk::{Disk, Failure};
use nuncio_hub::Since;
use nuncio_model::{ErrorCode, Position};
use nuncio_store::{Observer, Store, StoreBroker, StoreConfig};
use witness::{Caller, Witness, keyed, limits, now, policies, seqs, submission, texts};

struct Node {
    disk: Disk,
    rooms: Arc<Witness>,
    broker: StoreBroker<Witness>,
    recovered: Receiver<()>,
}

#[test]
fn a_full_disk_refuses_publishes_says_so_and_recovers_by_itself() {
    for failure in [Failure::Full, Failure::NoGrowth] {
        let node = Node::new();
        let before = fill(&node, failure);

        let refusal = node.caller().publish("r", "refused at once").unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unavailable);
        assert!(refusal.message.contains("full"), "{refusal}");
        assert!(!node.broker.is_healthy());

        node.recover();
        assert!(node.broker.is_healthy());
        let after = node.caller().publish("r", "after").unwrap();
        assert_eq!(
            after.position,
            Position {
                seq: before + 1,
                ..after.position
            }
        );
        assert_eq!(
            seqs(&node.rooms.delivered("r")),
            (1..=before + 1).collect::<Vec<_>>()
        );
        node.agrees_with_its_disk(&["r"]);
    }
}

#[test]
fn reads_go_on_while_the_disk_is_full_from_memory_and_from_disk() {
    let node = Node::new();
    node.caller().publish("cold", "kept").unwrap();
    let node = node.restarted();
    node.caller().publish("warm", "kept too").unwrap();
    node.break_with(Failure::Full);

    let warm = node.caller().history("warm").unwrap();
    let cold = node.caller().attach("cold", Since::Newest(10)).unwrap();
    let none = node.caller().history("new").unwrap();

    assert_eq!(texts(&warm.publications), ["kept too"]);
    assert_eq!(texts(&cold.replay), ["kept"]);
    assert_eq!(none.position.seq, 0);
    assert!(!node.broker.is_healthy());
}

#[test]
fn what_a_failed_sync_left_behind_is_undone() {
    let node = Node::new();
    let first = node
        .caller()
        .submit(keyed("r", "first", "k1", now()))
        .unwrap();
    node.disk.fail(Some(Failure::Sync));

    let waits: Vec<_> = ["r", "r", "fresh"]
        .map(|room| node.caller().begin(submission(room, "refused", now())))
        .into();
    for wait in waits {
        assert_eq!(
            witness::answer(wait).unwrap_err().code,
            ErrorCode::Unavailable
        );
    }
    node.recover();
    let second = node.caller().publish("r", "second").unwrap();
    let fresh = node.caller().publish("fresh", "first here").unwrap();

    assert_eq!(
        second.position,
        Position {
            seq: 2,
            ..first.position
        }
    );
    assert_eq!(fresh.position.seq, 1);
    assert_eq!(texts(&node.rooms.delivered("r")), ["first", "second"]);
    let again = node
        .caller()
        .submit(keyed("r", "first", "k1", now()))
        .unwrap();
    assert_eq!(again, first);
    node.agrees_with_its_disk(&["r", "fresh"]);
}

#[test]
fn a_repeated_key_is_answered_although_the_disk_is_full() {
    let node = Node::new();
    let first = node.caller().submit(keyed("r", "a", "k", now())).unwrap();
    node.break_with(Failure::Full);

    assert_eq!(
        node.caller().submit(keyed("r", "a", "k", now())).unwrap(),
        first
    );
}

#[test]
fn a_clear_that_the_disk_refused_leaves_memory_and_disk_alike() {
    for failure in [Failure::Full, Failure::Sync] {
        let node = Node::new();
        node.caller().publish("r", "a").unwrap();
        node.disk.fail(Some(failure));

        assert_eq!(
            node.caller().clear("r").unwrap_err().code,
            ErrorCode::Unavailable
        );

        node.recover();
        node.caller().publish("r", "b").unwrap();
        node.agrees_with_its_disk(&["r"]);
    }
}

#[test]
fn a_dead_disk_serves_what_is_in_memory_and_refuses_the_rest() {
    let node = Node::new();
    node.caller().publish("cold", "there").unwrap();
    let node = node.restarted();
    node.caller().publish("warm", "in memory").unwrap();
    node.break_with(Failure::Dead);

    assert_eq!(
        texts(&node.caller().history("warm").unwrap().publications),
        ["in memory"]
    );
    assert_eq!(
        node.caller().history("cold").unwrap_err().code,
        ErrorCode::Unavailable
    );
    assert_eq!(
        node.caller().publish("cold", "no").unwrap_err().code,
        ErrorCode::Unavailable
    );

    node.recover();
    assert_eq!(
        texts(&node.caller().history("cold").unwrap().publications),
        ["there"]
    );
}

#[test]
fn a_reader_that_meets_a_failed_database_reads_from_the_next_one() {
    let node = Node::new();
    node.caller().publish("cold", "there").unwrap();
    let node = node.restarted();
    node.disk.fail(Some(Failure::Dead));
    assert_eq!(
        node.caller().history("other").unwrap_err().code,
        ErrorCode::Unavailable
    );

    node.recover();

    assert_eq!(
        texts(&node.caller().history("cold").unwrap().publications),
        ["there"]
    );
}

#[test]
fn closing_a_broken_store_answers_everything() {
    let node = Node::new();
    node.caller().publish("r", "a").unwrap();
    node.break_with(Failure::Full);
    let wait = node.caller().begin(submission("r", "refused", now()));

    node.broker.close();

    assert!(witness::answer(wait).is_err());
    assert!(node.caller().publish("r", "late").is_err());
    assert!(node.caller().history("cold").is_err(), "no reader is left");
    assert_eq!(
        texts(&node.caller().history("r").unwrap().publications),
        ["a"]
    );
}

impl Node {
    fn new() -> Self {
        Self::on(Disk::default())
    }

    fn on(disk: Disk) -> Self {
        let rooms = Arc::new(Witness::default());
        let (recovery, recovered) = channel();
        let mut config = StoreConfig::new("disk");
        // So that every read of a room is a read of the disk.
        config.page_cache_bytes = 0;
        let store = Store::open_on(Arc::new(disk.clone()), config).unwrap();
        let broker = store.into_broker(
            rooms.clone(),
            policies(limits(100_000)),
            3,
            Arc::new(Recovery(recovery)),
        );
        Self {
            disk,
            rooms,
            broker,
            recovered,
        }
    }

    fn restarted(self) -> Self {
        self.broker.close();
        Self::on(self.disk)
    }

    fn caller(&self) -> Caller<'_> {
        Caller(&self.broker)
    }

    /// Lets a write fail.
    fn break_with(&self, failure: Failure) {
        self.disk.fail(Some(failure));
        assert_eq!(
            self.caller().publish("victim", "refused").unwrap_err().code,
            ErrorCode::Unavailable
        );
        // The refusal comes before the store is opened for reading; a flush comes after.
        self.broker.flush();
    }

    /// Heals the disk and waits for the store to notice.
    fn recover(&self) {
        self.disk.fail(None);
        self.recovered
            .recv_timeout(Duration::from_secs(60))
            .expect("the store tries again by itself");
    }

    /// After a restart, everything is as it was.
    fn agrees_with_its_disk(&self, rooms: &[&str]) {
        let known: Vec<_> = rooms
            .iter()
            .map(|room| self.caller().history(room).unwrap())
            .collect();
        self.broker.close();
        let next = Self::on(self.disk.clone());
        for (room, known) in rooms.iter().zip(known) {
            assert_eq!(next.caller().history(room).unwrap(), known);
        }
    }
}

struct Recovery(Sender<()>);

impl Observer for Recovery {
    fn committed(&self, _messages: usize, _took: Duration) {}

    fn recovered(&self) {
        let _ = self.0.send(());
    }
}

/// Publishes until the disk is full; returns how many messages were accepted.
fn fill(node: &Node, failure: Failure) -> u64 {
    let text = "x".repeat(50_000);
    node.caller().publish("r", &text).unwrap();
    node.disk.fail(Some(failure));
    let accepted = (0..10_000)
        .take_while(|_| node.caller().publish("r", &text).is_ok())
        .count();
    assert!(accepted < 10_000, "a full disk is noticed");
    1 + accepted as u64
}
