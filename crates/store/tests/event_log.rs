//! The event log: nothing twice, nothing lost, and whatever has begun ends once, over restarts, full disks and power failures.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use disk::{Disk, Failure, random_from};
use nuncio_store::{Begun, Entry, EventLog, Logged};
use tempfile::TempDir;

const ROOMY: usize = 1 << 20;

#[test]
fn every_reader_gets_every_event_in_order_and_what_all_have_is_dropped() {
    let log = EventLog::in_memory(ROOMY, lost);
    assert_eq!(log.set_readers(&["a", "b"]).unwrap(), [1, 1]);

    log.append(&[event("one"), event("two"), event("three")], 0)
        .unwrap();

    assert_eq!(
        texts(&log.read(1, 100, ROOMY).unwrap()),
        ["one", "two", "three"]
    );
    assert_eq!(texts(&log.read(2, 1, ROOMY).unwrap()), ["two"]);
    log.advance("a", 4).unwrap();
    assert_eq!(texts(&log.read(1, 100, ROOMY).unwrap()).len(), 3);
    log.advance("b", 3).unwrap();
    assert_eq!(texts(&log.read(1, 100, ROOMY).unwrap()), ["three"]);
    assert_eq!(log.totals().waiting.load(Ordering::Relaxed), 1);
    log.advance("b", 4).unwrap();
    assert_eq!(log.totals().bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_page_has_one_event_at_least_and_no_more_bytes_than_asked_for() {
    let log = EventLog::in_memory(ROOMY, lost);
    log.set_readers(&["a"]).unwrap();
    log.append(&[event("12345"), event("67890"), event("x")], 0)
        .unwrap();

    assert_eq!(texts(&log.read(1, 100, 1).unwrap()), ["12345"]);
    assert_eq!(texts(&log.read(1, 100, 10).unwrap()), ["12345", "67890"]);
}

#[test]
fn a_restart_goes_on_with_the_numbers_the_readers_and_the_salt() {
    let folder = TempDir::new().unwrap();
    let log = EventLog::open(folder.path(), ROOMY, lost).unwrap();
    log.set_readers(&["a"]).unwrap();
    log.append(&[event("one"), event("two")], 0).unwrap();
    log.advance("a", 2).unwrap();
    let salt = log.salt();
    drop(log);

    let log = EventLog::open(folder.path(), ROOMY, lost).unwrap();

    assert_eq!(log.salt(), salt);
    assert_eq!(log.set_readers(&["a", "new"]).unwrap(), [2, 3]);
    log.append(&[event("three")], 0).unwrap();
    let numbers: Vec<_> = log.read(0, 100, ROOMY).unwrap();
    assert_eq!(
        numbers.iter().map(|event| event.number).collect::<Vec<_>>(),
        [2, 3]
    );
}

#[test]
fn a_reader_that_is_not_named_any_more_holds_nothing_back() {
    let log = EventLog::in_memory(ROOMY, lost);
    log.set_readers(&["a", "gone"]).unwrap();
    log.append(&[event("one")], 0).unwrap();
    log.advance("a", 2).unwrap();

    log.set_readers(&["a"]).unwrap();

    assert!(log.read(1, 100, ROOMY).unwrap().is_empty());
}

#[test]
fn an_end_refers_to_its_beginning_and_comes_once() {
    let log = EventLog::in_memory(ROOMY, lost);
    log.set_readers(&["a"]).unwrap();

    log.append(
        &[
            event("before"),
            begin("ann"),
            end("ann"),
            end("ann"),
            end("bob"),
        ],
        0,
    )
    .unwrap();

    let read = log.read(1, 100, ROOMY).unwrap();
    assert_eq!(texts(&read), ["before", "+ann", "-ann"]);
    assert_eq!(
        read.iter().map(|event| event.begun).collect::<Vec<_>>(),
        [None, Some(2), Some(2)]
    );
}

#[test]
fn what_a_process_left_behind_is_ended_by_the_next_with_the_time_it_was_last_alive() {
    let folder = TempDir::new().unwrap();
    let log = EventLog::open(folder.path(), ROOMY, lost).unwrap();
    log.set_readers(&["a"]).unwrap();
    log.append(&[begin("ann"), begin("bob"), end("ann")], 1000)
        .unwrap();
    log.touch(1500).unwrap();
    drop(log);

    let log = EventLog::open(folder.path(), ROOMY, lost).unwrap();
    let all = || log.read(1, 100, ROOMY).unwrap();

    assert_eq!(
        texts(&all()),
        ["+ann", "+bob", "-ann", "lost +bob after 1493"]
    );
    log.append(&[end("bob")], 0).unwrap();
    assert_eq!(all().len(), 4);
}

#[test]
fn what_begins_again_under_the_same_key_ends_the_one_before() {
    let log = EventLog::in_memory(ROOMY, lost);
    log.set_readers(&["a"]).unwrap();
    log.append(&[begin("ann")], 57).unwrap();

    log.append(&[begin("ann"), end("ann")], 57).unwrap();

    let read = log.read(1, 100, ROOMY).unwrap();
    assert_eq!(texts(&read), ["+ann", "lost +ann after 50", "+ann", "-ann"]);
    assert_eq!(read[1].begun, Some(1));
    assert_eq!(read[3].begun, Some(3));
}

#[test]
fn a_full_log_takes_nothing_new_but_the_ends_of_what_it_has() {
    let log = EventLog::in_memory(100, lost);
    log.set_readers(&["a"]).unwrap();
    let long = "x".repeat(200);

    log.append(
        &[
            begin("ann"),
            event(&long),
            event("lost"),
            begin("bob"),
            end("bob"),
            end("ann"),
        ],
        0,
    )
    .unwrap();

    assert_eq!(
        texts(&log.read(1, 100, ROOMY).unwrap()),
        ["+ann", &*long, "-ann"]
    );
    assert_eq!(log.totals().dropped.load(Ordering::Relaxed), 2);
    log.advance("a", 4).unwrap();
    log.append(&[event("again")], 0).unwrap();
    assert_eq!(texts(&log.read(1, 100, ROOMY).unwrap()), ["again"]);
}

#[test]
fn a_batch_that_is_tried_again_is_there_once_whether_or_not_the_first_try_was() {
    for failure in [Failure::Sync, Failure::Full, Failure::Dead] {
        let disk = Disk::default();
        let log = EventLog::open_on(Arc::new(disk.clone()), ROOMY, lost).unwrap();
        log.set_readers(&["a"]).unwrap();
        let batch = [begin("ann"), event("hello"), end("ann")];

        disk.fail(Some(failure));
        assert!(log.append(&batch, 0).is_err(), "{failure:?}");
        assert!(log.append(&batch, 0).is_err(), "{failure:?}");
        disk.fail(None);
        log.append(&batch, 0).unwrap();
        log.append(&[event("more")], 0).unwrap();

        assert_eq!(
            texts(&log.read(1, 100, ROOMY).unwrap()),
            ["+ann", "hello", "-ann", "more"],
            "{failure:?}"
        );
    }
}

#[test]
fn after_a_power_failure_at_any_access_each_beginning_that_was_read_has_one_end() {
    for accesses in (1..400).step_by(7) {
        let mut random = random_from(accesses);
        let disk = Disk::default();
        let log = EventLog::open_on(Arc::new(disk.clone()), ROOMY, lost).unwrap();
        log.set_readers(&["a"]).unwrap();
        disk.cut_power_after(accesses);
        let (mut read, mut acknowledged) = (Vec::new(), 0);
        for round in 0.. {
            let batch = [
                begin(&format!("s{round}")),
                event(&format!("e{round}")),
                end(&format!("s{}", round / 2)),
            ];
            if log.append(&batch, 0).is_err() {
                break;
            }
            acknowledged = round + 1;
            let Ok(page) = log.read(1 + read.len() as u64, 5, ROOMY) else {
                break;
            };
            read.extend(page);
            if disk.is_dark() {
                break;
            }
        }
        drop(log);

        let disk = disk.after_power_failure(&mut random);
        let log = EventLog::open_on(Arc::new(disk), ROOMY, lost).unwrap();
        let all = log.read(1, usize::MAX, usize::MAX).unwrap();

        assert_eq!(read[..], all[..read.len()], "what was read is still there");
        let mut ends = BTreeMap::<u64, u32>::new();
        for event in &all {
            if let Some(begun) = event.begun {
                *ends.entry(begun).or_default() += u32::from(event.number != begun);
            }
        }
        assert!(ends.len() >= acknowledged, "{ends:?}");
        assert!(ends.values().all(|&ends| ends == 1), "{ends:?}");
    }
}

fn event(text: &str) -> Entry {
    Entry::Event(Bytes::copy_from_slice(text.as_bytes()))
}

fn begin(key: &str) -> Entry {
    Entry::Begin {
        key: key.into(),
        event: format!("+{key}").into(),
        at_ms: 7,
    }
}

fn end(key: &str) -> Entry {
    Entry::End {
        key: key.into(),
        event: format!("-{key}").into(),
    }
}

fn lost(begun: &Begun, alive_ms: u64) -> Bytes {
    let event = std::str::from_utf8(&begun.event).unwrap();
    format!(
        "lost {event} after {}",
        alive_ms.saturating_sub(begun.at_ms)
    )
    .into()
}

fn texts(events: &[Logged]) -> Vec<&str> {
    let texts = events.iter();
    texts
        .map(|event| std::str::from_utf8(&event.event).unwrap())
        .collect()
}
