//! What is known of each room: whether it is joined, and what the application has seen of it.

use nuncio_model::{Epoch, Position};
use nuncio_protocol::client::RoomPosition;

/// Where to begin in a room that is joined for the first time. Later joins continue by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JoinFrom {
    /// With what is published from now on.
    #[default]
    Now,
    /// With so many of the newest messages.
    History(u32),
    /// After this position, which the application kept from an earlier run.
    Since(Position),
}

/// One room that the application wants to be in.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) from: JoinFrom,
    pub(super) membership: Membership,
    seen: Option<Seen>,
}

/// ```text
///   Wanted --- room:join sent ---> Joining --- reply ---> Joined
///     ^                               |                      |
///     +---------- the session is lost, or no reply ----------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Wanted,
    Joining,
    Joined,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    position: Position,
    /// Asked-for history up to this `seq` may still come; how much of it there is only the server knows.
    history_until: Option<u64>,
}

/// What to do with a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one.
    Deliver,
    /// It was seen, or comes again after the join.
    Drop,
    /// It is not the next one: tell of the gap, then deliver it.
    Gap,
}

impl Room {
    pub(super) const fn new(from: JoinFrom) -> Self {
        let seen = match from {
            JoinFrom::Since(position) => Some(Seen::at(position)),
            JoinFrom::Now | JoinFrom::History(_) => None,
        };
        Self {
            from,
            membership: Membership::Wanted,
            seen,
        }
    }

    /// The token joined it.
    pub(super) const fn joined_by_token(position: Position) -> Self {
        Self {
            from: JoinFrom::Now,
            membership: Membership::Joined,
            seen: Some(Seen::at(position)),
        }
    }

    /// What was seen last.
    pub(super) fn position(&self) -> Option<Position> {
        self.seen.map(|seen| seen.position)
    }

    /// How many of the newest messages a join asks for.
    pub(super) const fn history(&self) -> Option<u32> {
        match (self.from, self.seen) {
            (JoinFrom::History(count), None) => Some(count),
            (JoinFrom::History(_) | JoinFrom::Now | JoinFrom::Since(_), _) => None,
        }
    }

    /// The room was joined, or resumed. Answers whether something is missing.
    pub(super) fn handle_joined(&mut self, room: &RoomPosition) -> bool {
        let position = room.position();
        self.membership = Membership::Joined;
        match self.seen {
            None => self.seen = Some(self.first_seen(position)),
            // What was missed follows and is counted as it comes.
            Some(_) if room.recovered => {}
            Some(_) => {
                self.seen = Some(Seen::at(position));
                return true;
            }
        }
        false
    }

    /// With history the newest messages follow the reply, though nobody says how many the room has. Until one came the position
    /// is the one before the first that may come: after a cut in between, the server replays from there or says that it cannot.
    fn first_seen(&self, position: Position) -> Seen {
        let count = match self.from {
            JoinFrom::History(count) => u64::from(count).min(position.seq),
            JoinFrom::Now | JoinFrom::Since(_) => 0,
        };
        let Position { epoch, seq } = position;
        Seen {
            position: Position {
                epoch,
                seq: seq - count,
            },
            history_until: (count > 0).then_some(seq),
        }
    }

    /// The server says where the room goes on. Answers whether something is missing.
    pub(super) fn handle_position(&mut self, room: &RoomPosition) -> bool {
        let position = room.position();
        let Some(seen) = self.seen.filter(|_| self.membership == Membership::Joined) else {
            return false;
        };
        if room.recovered {
            if seen.position.epoch != position.epoch {
                let epoch = position.epoch;
                self.seen = Some(Seen::at(Position { epoch, seq: 0 }));
            }
            return false;
        }
        self.seen = Some(Seen::at(position));
        seen.position != position
    }

    /// Looks at the number of a publication, and takes it as seen unless it is dropped.
    pub(super) fn handle_publication(&mut self, epoch: Option<Epoch>, seq: u64) -> Verdict {
        let Some(seen) = self
            .seen
            .as_mut()
            .filter(|_| self.membership == Membership::Joined)
        else {
            return Verdict::Drop;
        };
        if let Some(epoch) = epoch.filter(|epoch| *epoch != seen.position.epoch) {
            *seen = Seen::at(Position { epoch, seq });
            return Verdict::Gap;
        }
        let last = seen.position.seq;
        if seq <= last {
            return Verdict::Drop;
        }
        let in_history = seen.history_until.filter(|until| *until > last);
        let is_next = match in_history {
            Some(until) => seq <= until || seq == until + 1,
            None => seq == last + 1,
        };
        seen.position.seq = seq;
        if seen.history_until.is_some_and(|until| seq >= until) {
            seen.history_until = None;
        }
        if is_next {
            Verdict::Deliver
        } else {
            Verdict::Gap
        }
    }

    /// The session is gone, or the reply to the join: it must be joined again.
    pub(super) const fn handle_lost(&mut self) {
        self.membership = Membership::Wanted;
    }
}

impl Seen {
    const fn at(position: Position) -> Self {
        Self {
            position,
            history_until: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn history_may_be_shorter_than_asked_for_and_then_numbers_go_on_without_a_gap() {
        let mut room = joined(JoinFrom::History(20), 41);

        let verdicts = [39, 40, 41, 42, 44].map(|seq| room.handle_publication(None, seq));

        use Verdict::{Deliver, Gap};
        assert_eq!(verdicts, [Deliver, Deliver, Deliver, Deliver, Gap]);
    }

    #[test]
    fn a_live_message_after_no_history_at_all_is_not_a_gap() {
        let mut room = joined(JoinFrom::History(20), 41);

        assert_eq!(room.handle_publication(None, 42), Verdict::Deliver);
    }

    #[test]
    fn what_comes_between_the_join_and_its_reply_is_dropped_for_it_comes_again() {
        let mut room = joined(JoinFrom::Now, 3);
        room.handle_lost();
        room.membership = Membership::Joining;

        assert_eq!(room.handle_publication(None, 6), Verdict::Drop);
        assert!(!room.handle_joined(&at(6, true)));
        let verdicts = [4, 5, 6, 7].map(|seq| room.handle_publication(None, seq));
        assert_eq!(verdicts, [Verdict::Deliver; 4]);
    }

    #[test]
    fn a_position_that_tells_nothing_new_is_no_gap() {
        let mut room = joined(JoinFrom::Now, 3);

        assert!(!room.handle_position(&at(3, false)));
        assert!(room.handle_position(&at(5, false)));
        assert_eq!(room.handle_publication(None, 6), Verdict::Deliver);
    }

    proptest! {
        #[test]
        fn whatever_comes_in_any_order_each_is_delivered_once_in_order_and_no_gap_is_silent(
            seqs in proptest::collection::vec(1u64..20, 0..60),
        ) {
            let mut room = joined(JoinFrom::Now, 0);
            let mut last = 0;
            for seq in seqs {
                match room.handle_publication(None, seq) {
                    Verdict::Deliver => prop_assert_eq!(seq, last + 1),
                    Verdict::Gap => prop_assert!(seq > last + 1),
                    Verdict::Drop => {
                        prop_assert!(seq <= last);
                        continue;
                    }
                }
                last = seq;
            }
        }
    }

    fn joined(from: JoinFrom, seq: u64) -> Room {
        let mut room = Room::new(from);
        room.handle_joined(&at(seq, true));
        room
    }

    fn at(seq: u64, recovered: bool) -> RoomPosition {
        RoomPosition {
            room: nuncio_model::RoomName::parse("lobby").unwrap(),
            epoch: Epoch::from_random(7),
            seq,
            recovered,
        }
    }
}
