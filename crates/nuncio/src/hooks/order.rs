//! The order of a session's calls while some of them wait for a backend.

use std::collections::HashMap;

use nuncio_model::{RoomName, SocketId};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// The rooms that a call is about.
pub(super) type Rooms = SmallVec<[RoomName; 1]>;

/// Holds a call back while an earlier one of the same session to the same room waits for a backend. Sessions that wait for nothing are not in it.
///
/// ```text
/// session: publish a (asked) · publish b (asked) · typing a · publish a · join c
///                                                  └ wait ──────┘         └ goes on
/// ```
pub(super) struct Order<T> {
    shards: [Mutex<HashMap<SocketId, Calls<T>>>; SHARDS],
}

struct Calls<T> {
    next: u64,
    /// In the order in which they were made.
    calls: Vec<Call<T>>,
}

struct Call<T> {
    ticket: Ticket,
    rooms: Rooms,
    /// The call itself while it waits; taken by whoever carries it out.
    waits: Option<T>,
}

/// A call's place in the order, until [`Order::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// What becomes of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered<T> {
    /// It takes its place: to be asked about, then to leave.
    Asks(Ticket, T),
    /// Nothing holds it back, and it will hold back nothing.
    Free(T),
    /// It waits for an earlier one.
    Waits,
    /// Too many wait already.
    Full,
}

/// Whether a call is to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Yes,
    No,
}

const SHARDS: usize = 16;
/// Calls of one session to one room that may wait; so a room whose backend is slow leaves the session's other rooms some of its calls in flight.
pub(super) const WAITING_MAX: usize = 32;

impl<T> Order<T> {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn shard(&self, session: &SocketId) -> &Mutex<HashMap<SocketId, Calls<T>>> {
        &self.shards[session.as_bytes()[0] as usize % SHARDS]
    }

    /// Puts a call in its place. O(calls of the session that wait for a backend).
    pub(super) fn enter(
        &self,
        session: SocketId,
        rooms: Rooms,
        asked: Asked,
        call: T,
    ) -> Entered<T> {
        let mut shard = self.shard(&session).lock();
        let waiting = shard.get(&session).map_or(0, |calls| {
            let overlapping = calls.calls.iter().filter(|other| other.shares(&rooms));
            overlapping.count()
        });
        if waiting == 0 && asked == Asked::No {
            return Entered::Free(call);
        }
        if waiting > WAITING_MAX {
            return Entered::Full;
        }
        let calls = shard.entry(session).or_insert_with(|| Calls {
            next: 0,
            calls: Vec::new(),
        });
        let ticket = Ticket(calls.next);
        calls.next += 1;
        let (waits, entered) = if waiting == 0 {
            (None, Entered::Asks(ticket, call))
        } else {
            (Some(call), Entered::Waits)
        };
        calls.calls.push(Call {
            ticket,
            rooms,
            waits,
        });
        entered
    }

    /// Takes a call out that was carried out, and gives those that may go on now, in order. Each of them is in its place until it leaves too.
    pub(super) fn leave(&self, session: &SocketId, ticket: Ticket) -> Vec<(Ticket, T)> {
        let mut shard = self.shard(session).lock();
        let Some(calls) = shard.get_mut(session) else {
            return Vec::new();
        };
        calls.calls.retain(|call| call.ticket != ticket);
        let freed = calls.free();
        if calls.calls.is_empty() {
            shard.remove(session);
        }
        freed
    }

    /// Sessions with calls in it.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl<T> Calls<T> {
    fn free(&mut self) -> Vec<(Ticket, T)> {
        let mut freed = Vec::new();
        for index in 0..self.calls.len() {
            let (earlier, rest) = self.calls.split_at_mut(index);
            let call = &mut rest[0];
            if !earlier.iter().any(|other| other.shares(&call.rooms))
                && let Some(waited) = call.waits.take()
            {
                freed.push((call.ticket, waited));
            }
        }
        freed
    }
}

impl<T> Call<T> {
    fn shares(&self, rooms: &Rooms) -> bool {
        self.rooms.iter().any(|room| rooms.contains(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_waits_for_earlier_ones_of_its_session_to_its_room_only() {
        let order = Order::new();
        let first = asks(enter(&order, 1, &["a"], Asked::Yes, "first"));

        assert_eq!(
            enter(&order, 1, &["a"], Asked::No, "typing"),
            Entered::Waits
        );
        assert_eq!(
            enter(&order, 1, &["a"], Asked::Yes, "second"),
            Entered::Waits
        );
        asks(enter(&order, 1, &["b"], Asked::Yes, "other room"));
        asks(enter(&order, 2, &["a"], Asked::Yes, "other session"));
        assert_eq!(
            enter(&order, 1, &["c"], Asked::No, "free"),
            Entered::Free("free")
        );

        let freed = order.leave(&id(1), first);
        assert_eq!(calls(&freed), ["typing"]);
        let freed = order.leave(&id(1), freed[0].0);
        assert_eq!(calls(&freed), ["second"]);
        assert!(order.leave(&id(1), freed[0].0).is_empty());
    }

    #[test]
    fn a_call_to_several_rooms_waits_for_all_of_them_and_holds_back_all() {
        let order = Order::new();
        let a = asks(enter(&order, 1, &["a"], Asked::Yes, "a"));
        let b = asks(enter(&order, 1, &["b"], Asked::Yes, "b"));
        assert_eq!(
            enter(&order, 1, &["a", "b", "c"], Asked::Yes, "all"),
            Entered::Waits
        );
        assert_eq!(enter(&order, 1, &["c"], Asked::No, "c"), Entered::Waits);

        assert!(order.leave(&id(1), a).is_empty());
        let freed = order.leave(&id(1), b);

        assert_eq!(calls(&freed), ["all"]);
        assert_eq!(calls(&order.leave(&id(1), freed[0].0)), ["c"]);
    }

    #[test]
    fn calls_without_a_room_wait_for_nothing() {
        let order = Order::new();
        asks(enter(&order, 1, &["a"], Asked::Yes, "a"));

        asks(enter(&order, 1, &[], Asked::Yes, "one"));
        asks(enter(&order, 1, &[], Asked::Yes, "two"));
    }

    #[test]
    fn a_room_whose_backend_is_slow_takes_no_more_than_its_share() {
        let order = Order::new();
        for _ in 0..=WAITING_MAX {
            assert_ne!(enter(&order, 1, &["a"], Asked::Yes, "a"), Entered::Full);
        }

        assert_eq!(enter(&order, 1, &["a"], Asked::Yes, "a"), Entered::Full);
        asks(enter(&order, 1, &["b"], Asked::Yes, "b"));
    }

    #[test]
    fn nothing_is_left_of_a_session_whose_calls_are_done() {
        let order = Order::new();
        let mut open = vec![asks(enter(&order, 1, &["a"], Asked::Yes, "a"))];
        for _ in 0..5 {
            assert_eq!(enter(&order, 1, &["a"], Asked::Yes, "a"), Entered::Waits);
        }

        let mut left = 0;
        while let Some(ticket) = open.pop() {
            left += 1;
            let freed = order.leave(&id(1), ticket);
            open.extend(freed.iter().map(|(ticket, _)| *ticket));
        }

        assert_eq!((left, order.len()), (6, 0));
    }

    fn enter(
        order: &Order<&'static str>,
        session: u8,
        rooms: &[&str],
        asked: Asked,
        call: &'static str,
    ) -> Entered<&'static str> {
        let rooms = rooms.iter().map(|room| RoomName::parse(room).unwrap());
        order.enter(id(session), rooms.collect(), asked, call)
    }

    fn asks(entered: Entered<&str>) -> Ticket {
        match entered {
            Entered::Asks(ticket, _) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn calls(freed: &[(Ticket, &'static str)]) -> Vec<&'static str> {
        freed.iter().map(|(_, call)| *call).collect()
    }

    fn id(session: u8) -> SocketId {
        SocketId::from_random([session; 15])
    }
}
