//! What a restart finds, and what the cache hides.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod witness;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nuncio_hub::{Broker, Durability, Policies, RoomPolicy, Since};
use nuncio_model::{ErrorCode, HistoryLimits, HistoryQuery, Pattern, Position};
use nuncio_store::{Store, StoreBroker, StoreConfig, StoreError};
use redb::{Database, TableDefinition};
use tempfile::TempDir;
use witness::{
    Caller, Witness, answer, done, key, keyed, limits, name, now, policies, seqs, submission, texts,
};

#[test]
fn a_restart_goes_on_with_the_same_seq_and_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let broker = open(&directory, limits(100));
    let first = Caller(&broker).publish("r", "a").unwrap();
    let quiet = Caller(&broker)
        .attach("quiet", Since::Now)
        .unwrap()
        .position;
    drop(broker);

    let broker = open(&directory, limits(100));
    let caller = Caller(&broker);
    let attached = caller
        .attach(
            "r",
            Since::Position(Position {
                seq: 0,
                ..first.position
            }),
        )
        .unwrap();
    let second = caller.publish("r", "b").unwrap();

    assert_eq!(
        (attached.recovered, texts(&attached.replay)),
        (true, vec!["a".to_owned()])
    );
    assert_eq!(
        second.position,
        Position {
            seq: 2,
            ..first.position
        }
    );
    assert_eq!(
        caller.attach("quiet", Since::Now).unwrap().position,
        quiet,
        "a look is no publication"
    );
}

#[test]
fn keys_survive_restarts_even_of_messages_that_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut answers = Vec::new();
    for life in 0..4 {
        let broker = open(&directory, limits(2));
        for n in 0..5 {
            let text = format!("{life}-{n}");
            answers.push((
                text.clone(),
                Caller(&broker)
                    .submit(keyed("r", &text, &text, now()))
                    .unwrap(),
            ));
        }
    }

    let broker = open(&directory, limits(2));
    let caller = Caller(&broker);
    for (text, first) in answers {
        assert_eq!(
            caller.submit(keyed("r", &text, &text, now())).unwrap(),
            first
        );
    }
    assert_eq!(seqs(&caller.history("r").unwrap().publications), [19, 20]);
    let late = now().after(Duration::from_secs(301));
    broker.handle_timeout(late);
    assert_eq!(
        caller
            .submit(keyed("r", "again", "0-0", late))
            .unwrap()
            .position
            .seq,
        21,
        "keys live five minutes"
    );
}

#[test]
fn a_cleared_room_stays_empty_and_keeps_its_numbering_and_keys() {
    let directory = tempfile::tempdir().unwrap();
    let broker = open(&directory, limits(100));
    let first = Caller(&broker).submit(keyed("r", "a", "k", now())).unwrap();
    drop(broker);
    let broker = open(&directory, limits(100));
    Caller(&broker).publish("r", "b").unwrap();
    Caller(&broker).clear("r").unwrap();
    drop(broker);

    let broker = open(&directory, limits(100));
    let page = Caller(&broker).history("r").unwrap();

    assert_eq!((page.position.seq, page.publications.len()), (2, 0));
    assert_eq!(
        Caller(&broker).submit(keyed("r", "a", "k", now())).unwrap(),
        first
    );
    assert_eq!(Caller(&broker).publish("r", "c").unwrap().position.seq, 3);
}

#[test]
fn a_room_without_history_keeps_its_numbering() {
    let directory = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let broker = open(&directory, limits(0));
        assert_eq!(
            Caller(&broker).publish("r", "x").unwrap().position.seq,
            life * 2 + 1
        );
        assert_eq!(
            Caller(&broker).publish("r", "y").unwrap().position.seq,
            life * 2 + 2
        );
        assert_eq!(Caller(&broker).history("r").unwrap().publications, []);
    }
}

#[test]
fn a_silent_room_loses_its_old_messages_on_disk_too() {
    let directory = tempfile::tempdir().unwrap();
    let broker = open(&directory, limits(100));
    Caller(&broker).publish("silent", "old").unwrap();
    drop(broker);
    let broker = open(&directory, limits(100));

    broker.handle_timeout(now().after(Duration::from_secs(25 * 60 * 60)));
    broker.flush();
    drop(broker);

    // Limits that would still show it, were it there.
    let forever = HistoryLimits {
        age_max: Duration::from_secs(u32::MAX.into()),
        ..limits(100)
    };
    let broker = open(&directory, forever);
    let page = Caller(&broker).history("silent").unwrap();
    assert_eq!((page.position.seq, page.publications.len()), (1, 0));
}

#[test]
fn rooms_are_evicted_and_come_back_and_attached_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = StoreConfig::new(directory.path());
    config.cache_bytes_max = 64 * 1024;
    let broker = start(config, policies(limits(100)), Arc::default());
    let caller = Caller(&broker);
    caller.attach("attached", Since::Now).unwrap();
    let text = "x".repeat(4096);
    for n in 0..200 {
        caller
            .publish(&format!("r{n}"), &format!("{n}{text}"))
            .unwrap();
    }
    let loads = broker.counters().loads;
    caller.attach("attached", Since::Now).unwrap();
    assert_eq!(broker.counters().loads, loads, "it never left");

    for n in 0..200 {
        let page = caller.history(&format!("r{n}")).unwrap();
        assert_eq!(texts(&page.publications), [format!("{n}{text}")]);
    }

    let counters = broker.counters();
    assert!(counters.evictions > 100, "{counters:?}");
    assert!(
        counters.cached_bytes < 600 * 1024,
        "the bound, and what waits in the journal: {counters:?}"
    );
}

#[test]
fn operations_of_a_cold_room_keep_their_order() {
    let directory = tempfile::tempdir().unwrap();
    for life in 1..=20 {
        let broker = open(&directory, limits(10_000));
        let caller = Caller(&broker);
        let a = caller.begin(submission("r", "a", now()));
        let (attached, wait) = done();
        broker.attach(&key("r"), Since::Newest(1), now(), attached);
        let b = caller.begin(submission("r", "b", now()));
        let position = answer(wait).unwrap().position;

        let (a, b) = (answer(a).unwrap(), answer(b).unwrap());
        assert_eq!((a.position.seq, b.position.seq), (2 * life - 1, 2 * life));
        assert!(
            position.seq < a.position.seq,
            "reads do not wait for writes"
        );
    }
}

#[test]
fn a_full_queue_refuses_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = StoreConfig::new(directory.path());
    (config.queue_max, config.queue_bytes_max) = (10, 1000);
    let broker = start(config, policies(limits(100)), Arc::default());

    let waits: Vec<_> = (0..100)
        .map(|_| Caller(&broker).begin(submission("r", "x", now())))
        .collect();
    let answers: Vec<_> = waits.into_iter().map(answer).collect();

    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(
        refused
            .iter()
            .all(|refusal| refusal.code == ErrorCode::Unavailable)
    );
    assert!(!refused.is_empty(), "a hundred at once are more than ten");
    assert!(refused.len() <= 90);
    assert_eq!(broker.counters().queued, 0, "every place is given back");
    assert!(
        Caller(&broker).publish("r", &"y".repeat(5000)).is_ok(),
        "a large message gets through alone"
    );
}

#[test]
fn rooms_in_memory_are_not_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let memory = vec![(Pattern::new("tmp:*"), RoomPolicy::new(Durability::Memory))];
    let policies = Arc::new(Policies::new(memory, RoomPolicy::new(Durability::Durable)));
    let witness = Arc::new(Witness::default());
    let broker = start(
        StoreConfig::new(directory.path()),
        policies.clone(),
        witness.clone(),
    );
    let first = Caller(&broker).publish("tmp:a", "x").unwrap();
    assert_eq!(texts(&witness.delivered("tmp:a")), ["x"]);
    assert_eq!(broker.counters().commits, 0);
    drop(broker);

    let broker = start(StoreConfig::new(directory.path()), policies, Arc::default());

    let again = Caller(&broker).publish("tmp:a", "x").unwrap();
    assert_ne!(again.position.epoch, first.position.epoch);
}

#[test]
fn closing_commits_what_is_queued() {
    let directory = tempfile::tempdir().unwrap();
    let broker = open(&directory, limits(10_000));
    let waits: Vec<_> = (0..500)
        .map(|n| Caller(&broker).begin(submission(&format!("r{}", n % 50), "x", now())))
        .collect();

    broker.close();

    assert!(waits.into_iter().map(answer).all(|answer| answer.is_ok()));
    assert!(Caller(&broker).publish("r0", "late").is_err());
    drop(broker);
    let broker = open(&directory, limits(10_000));
    let kept: usize = (0..50)
        .map(|n| {
            Caller(&broker)
                .history(&format!("r{n}"))
                .unwrap()
                .publications
                .len()
        })
        .sum();
    assert_eq!(kept, 500);
}

#[test]
fn history_is_trimmed_by_age_when_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let broker = open(&directory, limits(100));
    Caller(&broker).publish("r", "old").unwrap();
    drop(broker);

    let broker = open(&directory, limits(100));
    let query = HistoryQuery {
        room: name("r"),
        before: None,
        after: None,
        limit: None,
    };
    let tomorrow = now().after(Duration::from_secs(24 * 60 * 60 + 1));

    let page = Caller(&broker).page_at("r", &query, tomorrow).unwrap();
    assert_eq!((page.position.seq, page.publications.len()), (1, 0));
}

#[test]
fn a_directory_in_use_is_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open(StoreConfig::new(directory.path())).unwrap();

    let error = Store::open(StoreConfig::new(directory.path())).unwrap_err();

    assert!(
        matches!(&error, StoreError::InUse { path } if path == directory.path()),
        "{error}"
    );
    drop(first);
    assert!(Store::open(StoreConfig::new(directory.path())).is_ok());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(StoreConfig::new(directory.path())).unwrap());
    let file = directory.path().join("history.redb");
    set_format(&file, 2);

    let error = Store::open(StoreConfig::new(directory.path())).unwrap_err();

    assert!(
        matches!(&error, StoreError::NewerFormat { path, found: 2, known: 1 } if *path == file),
        "{error}"
    );
    set_format(&file, 1);
    assert!(Store::open(StoreConfig::new(directory.path())).is_ok());
}

#[test]
fn what_is_not_a_store_is_refused_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history.redb");
    let foreign = TableDefinition::<u64, u64>::new("accounts");
    for content in [&b"not a database"[..], &[0xA5; 100_000]] {
        fs::write(&file, content).unwrap();
        assert_corrupt(&directory, &file);
        assert_eq!(
            fs::read(&file).unwrap(),
            content,
            "it may be somebody's only copy"
        );
    }
    fs::remove_file(&file).unwrap();
    let database = Database::create(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(foreign).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_corrupt(&directory, &file);
}

#[test]
fn a_truncated_file_is_refused_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let broker = open(&directory, limits(100));
    for n in 0..100 {
        Caller(&broker)
            .publish(&format!("r{n}"), &"x".repeat(1000))
            .unwrap();
    }
    drop(broker);
    let file = directory.path().join("history.redb");

    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(5000)
        .unwrap();

    assert_corrupt(&directory, &file);
}

fn assert_corrupt(directory: &TempDir, file: &Path) {
    let error = Store::open(StoreConfig::new(directory.path())).unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { path, .. } if path == file),
        "{error}"
    );
    assert!(error.to_string().contains("history.redb"), "{error}");
}

fn set_format(file: &Path, format: u64) {
    let database = Database::create(file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(TableDefinition::<&str, u64>::new("meta"))
        .unwrap()
        .insert("format", format)
        .unwrap();
    transaction.commit().unwrap();
}

fn open(directory: &TempDir, history: HistoryLimits) -> StoreBroker<Witness> {
    start(
        StoreConfig::new(directory.path()),
        policies(history),
        Arc::default(),
    )
}

fn start(
    config: StoreConfig,
    policies: Arc<Policies>,
    witness: Arc<Witness>,
) -> StoreBroker<Witness> {
    Store::open(config)
        .unwrap()
        .into_broker(witness, policies, rand(), Arc::new(()))
}

/// Another seed for each life, as a server has.
fn rand() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
