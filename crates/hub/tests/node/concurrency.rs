//! Publishers, members that come and go, and flushers, all at once on threads of their own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nuncio_hub::End;
use nuncio_model::Position;

use crate::hall::{FLUSHERS, Hall, Member, own, request, since};
use crate::view::View;

const PUBLISHERS: u64 = 4;
const PUBLICATIONS: u64 = 300;
const RETURNS: usize = 25;

#[test]
fn members_that_come_and_go_get_everything_once_and_in_order_under_concurrent_publishers() {
    let mut hall = Hall::open();
    let steady = hall.enter("steady");
    let mut steady_view = View::default();
    let start = hall.join(&steady, "lobby").position;
    steady_view.joins("lobby", 0, BTreeSet::from(["steady".to_owned()]));
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..PUBLICATIONS {
                        hall.publish("lobby", 0);
                    }
                })
            })
            .collect();
        for flusher in 0..FLUSHERS {
            let (hall, is_over) = (&hall, &is_over);
            scope.spawn(move || flush(hall, flusher, is_over));
        }
        let returning = ["ann", "bob", "ann"].map(|user| scope.spawn(|| come_and_go(&hall, user)));
        let leaving = scope.spawn(|| join_and_leave(&hall));
        for thread in publishers {
            thread.join().unwrap();
        }
        for thread in returning {
            thread.join().unwrap();
        }
        leaving.join().unwrap();
        is_over.store(true, Ordering::Release);
    });

    hall.wait(Duration::from_secs(6));
    steady_view.read_unordered(&hall.read(&steady));
    let seen = &steady_view.rooms["lobby"];
    assert_eq!(seen.seq, PUBLISHERS * PUBLICATIONS);
    assert_eq!(seen.epoch, start.epoch.to_string());
    assert_eq!(seen.users, BTreeSet::from(["steady".to_owned()]));
}

/// Loses its connection again and again, and comes back with the last position that it has read.
fn come_and_go(hall: &Hall, user: &str) {
    let mut seen: Option<Position> = None;
    for round in 0..RETURNS {
        let member = hall.enter(user);
        let asked = seen.map_or_else(|| request("lobby"), |seen| since("lobby", seen));
        let joined = hall.try_join(&member, asked).unwrap();
        let has = match seen {
            Some(seen) if joined.recovered => seen.seq,
            _ => joined.position.seq,
        };
        let mut view = View::default();
        view.joins(
            "lobby",
            has,
            hall.users("lobby")
                .into_iter()
                .map(|(user, _)| user)
                .collect(),
        );
        read(&member, &mut view);
        let end = if round % 3 == 0 {
            End::Lost
        } else {
            End::Ended
        };
        hall.end(&member, end);
        if let Some(last) = view.rooms.get("lobby") {
            let epoch = last.epoch.parse().unwrap();
            seen = Some(Position {
                epoch,
                seq: last.seq,
            });
        }
    }
}

/// Joins and leaves with one connection; nothing comes between.
fn join_and_leave(hall: &Hall) {
    let member = hall.enter("guest");
    for _ in 0..RETURNS {
        let joined = hall.join(&member, "lobby");
        let mut view = View::default();
        view.joins("lobby", joined.position.seq, BTreeSet::new());
        hall.leave(&member, "lobby");
        own(&hall.node, &member, "end\n".to_owned());
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "end") {
            lines.extend(member.outbox.sink().lines());
            thread::yield_now();
        }
        lines.pop();
        view.read_unordered(&lines);
    }
    hall.end(&member, End::Ended);
}

/// Reads until something live came, for a while.
fn read(member: &Member, view: &mut View) {
    for _ in 0..50 {
        view.read_unordered(&member.outbox.sink().lines());
        thread::yield_now();
    }
}

fn flush(hall: &Hall, flusher: usize, is_over: &AtomicBool) {
    let mut slice = Vec::new();
    while !is_over.load(Ordering::Acquire) {
        hall.node.rooms().settle(flusher);
        hall.node
            .rooms()
            .flushers()
            .flush_slice(flusher, &mut slice);
        thread::yield_now();
    }
}
