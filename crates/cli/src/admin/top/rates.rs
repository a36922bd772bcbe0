//! Rates out of counters. It knows no clock: when each snapshot was taken is an argument.

use std::collections::HashMap;
use std::time::Instant;

use super::snapshot::{Counters, Node, Room, Snapshot};

/// The newest snapshot, and what changed since the one before.
#[derive(Debug, Default)]
pub(super) struct Rates {
    now: Option<(Snapshot, Instant)>,
    before: Option<(Snapshot, Instant)>,
}

/// Something a second, of a node; `None` where there is nothing to compare with.
pub(super) type Rate = Option<f64>;

impl Rates {
    /// Takes a snapshot.
    pub(super) fn observe(&mut self, snapshot: Snapshot, at: Instant) {
        self.before = self.now.replace((snapshot, at));
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.now.as_ref().map(|(snapshot, _)| snapshot)
    }

    /// How fast a counter rises, over all nodes. A node that started anew since the last snapshot counts from its start.
    pub(super) fn of(&self, counter: impl Fn(&Counters) -> u64) -> Rate {
        let (now, seconds) = (self.snapshot()?, self.seconds()?);
        let before = self.before.as_ref().map(|(snapshot, _)| snapshot)?;
        let risen = now.nodes.iter().enumerate().map(|(index, node)| {
            let earlier = before
                .nodes
                .get(index)
                .filter(|earlier| is_same_life(earlier, node));
            let earlier = earlier.map_or(0, |earlier| counter(&earlier.counters));
            counter(&node.counters).saturating_sub(earlier)
        });
        Some(risen.sum::<u64>() as f64 / seconds)
    }

    /// Messages a second in each room of the newest snapshot, in its order. A room that was not seen before, or whose numbering began anew, has no rate.
    pub(super) fn rooms(&self) -> Vec<Rate> {
        let Some(now) = self.snapshot() else {
            return Vec::new();
        };
        let before = self.before.iter().flat_map(|(snapshot, _)| &snapshot.rooms);
        let before: HashMap<_, _> = before.map(|room| (key(room), room.seq)).collect();
        let seconds = self.seconds();
        let rates = now.rooms.iter().map(|room| {
            let risen = room.seq.checked_sub(*before.get(&key(room))?)?;
            Some(risen as f64 / seconds?)
        });
        rates.collect()
    }

    fn seconds(&self) -> Option<f64> {
        let ((_, now), (_, before)) = self.now.as_ref().zip(self.before.as_ref())?;
        let seconds = now.checked_duration_since(*before)?.as_secs_f64();
        (seconds > 0.0).then_some(seconds)
    }
}

/// A node whose clock went back has started anew, and its counters with it.
fn is_same_life(earlier: &Node, node: &Node) -> bool {
    node.uptime >= earlier.uptime
}

fn key(room: &Room) -> (&str, &str, &str) {
    (&room.ns, &room.room_id, &room.epoch)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn snapshot(uptime: u64, messages_in: u64, rooms: &[(&str, &str, u64)]) -> Snapshot {
        let counters = Counters {
            messages_in,
            ..Counters::default()
        };
        let node = Node {
            uptime,
            counters,
            ..Node::default()
        };
        let room = |&(room_id, epoch, seq): &(&str, &str, u64)| Room {
            ns: "/".to_owned(),
            room_id: room_id.to_owned(),
            epoch: epoch.to_owned(),
            seq,
            ..Room::default()
        };
        Snapshot {
            nodes: vec![node],
            rooms: rooms.iter().map(room).collect(),
        }
    }

    fn rates(snapshots: impl IntoIterator<Item = Snapshot>) -> Rates {
        let (mut rates, start) = (Rates::default(), Instant::now());
        for (index, snapshot) in snapshots.into_iter().enumerate() {
            rates.observe(snapshot, start + Duration::from_secs(2) * index as u32);
        }
        rates
    }

    fn messages_in(rates: &Rates) -> Rate {
        rates.of(|counters| counters.messages_in)
    }

    #[test]
    fn a_rate_is_what_a_counter_rose_by_in_a_second() {
        let one = rates([snapshot(0, 100, &[])]);
        let two = rates([snapshot(0, 100, &[]), snapshot(2000, 150, &[])]);

        assert_eq!(messages_in(&one), None);
        assert_eq!(messages_in(&two), Some(25.0));
    }

    #[test]
    fn a_server_that_started_anew_has_no_negative_rate() {
        let restarted = rates([snapshot(90_000, 1_000_000, &[]), snapshot(1000, 10, &[])]);

        assert_eq!(messages_in(&restarted), Some(5.0));
    }

    #[test]
    fn two_snapshots_at_once_make_no_rate() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        rates.observe(snapshot(0, 1, &[]), now);
        rates.observe(snapshot(0, 9, &[]), now);

        assert_eq!(messages_in(&rates), None);
    }

    #[test]
    fn a_room_has_the_rate_of_its_numbers_as_long_as_they_go_on() {
        let rates = rates([
            snapshot(0, 0, &[("a", "e", 10), ("b", "e", 10)]),
            snapshot(2000, 0, &[("b", "other", 3), ("a", "e", 30), ("c", "e", 9)]),
        ]);

        assert_eq!(rates.rooms(), [None, Some(10.0), None]);
    }
}
