//! Emits that are kept before they are seen: their order, and a disk that cannot keep them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod disk;
mod order;
mod witness;

use std::time::{Duration, Instant};

use disk::{Disk, Failure};
use nuncio_hub::End;
use nuncio_model::{ErrorCode, Json, Target, Volatility};
use order::{Life, Member, event, question, rooms};
use witness::{answer, done, now};

#[test]
fn a_question_comes_between_what_was_emitted_before_and_after_it() {
    let (life, member) = life_on(&Disk::default());

    for first in (0..300).step_by(3) {
        let to_it = Target::Sockets(vec![member.id]);
        assert!(life.emit(to_it, Vec::new(), first));
        let asked = life
            .node
            .push_to(std::slice::from_ref(&member), &question(first + 1));
        assert_eq!(asked.unwrap(), 1);
        assert!(life.emit(rooms(&["a"]), Vec::new(), first + 2));
    }

    assert!(life.is_kept());
    let read = life.read(&member);
    let said: Vec<_> = read.iter().map(|(said, _)| *said).collect();
    assert_eq!(said, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_volatile_emit_comes_after_what_is_still_being_kept_and_has_its_place() {
    let (life, member) = life_on(&Disk::default());
    let to_it = Target::Sockets(vec![member.id]);

    assert!(life.emit(rooms(&["elsewhere"]), Vec::new(), 1));
    assert!(life.emit(rooms(&["elsewhere"]), Vec::new(), 2));
    let volatile = life.emission(to_it, event(3), Volatility::Volatile);
    assert_eq!(life.node.emit(volatile).unwrap(), None);

    assert!(life.is_kept());
    assert_eq!(life.read(&member), [(3, 2)]);
}

#[test]
fn an_emit_that_a_full_disk_cannot_keep_is_refused_and_reaches_nobody() {
    let disk = Disk::default();
    let (life, member) = life_on(&disk);
    let emit = |said| {
        let (done, wait) = done();
        let emit = life.emission(Target::Everyone, event(said), Volatility::Kept);
        life.node.emit_kept(emit, done);
        answer(wait)
    };
    assert_eq!(emit(1).unwrap(), None);
    disk.fail(Some(Failure::Full));

    assert_eq!(emit(2).unwrap_err().code, ErrorCode::Unavailable);
    let at_once = life.emission(Target::Everyone, event(3), Volatility::Kept);
    assert_eq!(
        life.node.emit(at_once).unwrap_err().code,
        ErrorCode::Unavailable
    );
    let (done, wait) = done();
    let content = Json::of(&4);
    life.node.private(&member, "ann", content, life.now, done);
    assert_eq!(answer(wait).unwrap_err().code, ErrorCode::Unavailable);
    assert!(!life.broker.is_healthy());

    disk.fail(None);
    let late = Instant::now() + Duration::from_secs(60);
    while emit(5).is_err() {
        assert!(Instant::now() < late, "the store does not recover");
        std::thread::yield_now();
    }
    assert_eq!(life.read(&member), [(1, 1), (5, 2)]);
}

#[test]
fn what_became_of_sessions_on_a_full_disk_is_kept_as_soon_as_it_is_well() {
    let disk = Disk::default();
    let (life, ann) = life_on(&disk);
    let gone = life.connect(2, "bob");
    assert!(life.is_kept());
    disk.fail(Some(Failure::Full));

    assert!(life.join(&ann, "b"));
    life.end(&gone, End::Ended);
    let new = life.connect(3, "eve");
    let passing = life.connect(4, "eve");
    life.end(&passing, End::Ended);
    assert!(!life.is_kept());

    disk.fail(None);
    let late = Instant::now() + Duration::from_secs(60);
    while !life.broker.is_healthy() {
        assert!(Instant::now() < late, "the store does not recover");
        std::thread::yield_now();
    }
    life.broker.flush();
    let (_, found) = Life::begin(&disk.after_power_failure(&mut || 0), usize::MAX, now()).unwrap();
    let rooms_of = |member: &Member| {
        let (_, record) = found.records.iter().find(|(id, _)| *id == member.id)?;
        Some(record.spans.len())
    };
    assert_eq!(rooms_of(&ann), Some(2));
    assert_eq!(rooms_of(&new), Some(0));
    assert_eq!(found.records.len(), 2);
}

/// A process, and a client of it that is in room a.
fn life_on(disk: &Disk) -> (Life, Member) {
    let (life, _) = Life::begin(disk, usize::MAX, now()).unwrap();
    let member = life.connect(1, "ann");
    assert!(life.join(&member, "a"));
    life.read(&member);
    (life, member)
}
