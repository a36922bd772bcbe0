//! Emits reach each socket of their target once, but the excepted.

use nuncio_hub::End;
use nuncio_model::{RoomName, Target, Volatility};

use crate::hall::{Hall, Member, contents, rooms};

#[test]
fn everyone_gets_what_is_for_everyone_in_a_room_or_not() {
    let (hall, [ann, bob, eve]) = hall_of_three();

    assert_eq!(hall.emit(Target::Everyone, vec![], 1), Some(3));

    assert_eq!(got(&hall, [&ann, &bob, &eve]), [1, 1, 1]);
}

#[test]
fn who_is_in_several_of_the_rooms_gets_it_once() {
    let (hall, [ann, bob, eve]) = hall_of_three();

    assert_eq!(hall.emit(rooms(&["a", "b"]), vec![], 1), Some(2));

    assert_eq!(got(&hall, [&ann, &bob, &eve]), [1, 1, 0]);
}

#[test]
fn one_room_is_left_to_the_flush_but_for_who_is_excepted() {
    let (hall, [ann, bob, eve]) = hall_of_three();

    let except = vec![Target::Sockets(vec![ann.id])];
    assert_eq!(hall.emit(rooms(&["b"]), except, 1), None);

    assert_eq!(got(&hall, [&ann, &bob, &eve]), [0, 1, 0]);
}

#[test]
fn rooms_users_and_sockets_may_be_excepted() {
    for (except, gets) in [
        (rooms(&["a"]), [0, 1, 1]),
        (rooms(&["a", "b"]), [0, 0, 1]),
        (Target::User(crate::hall::name("bob")), [1, 0, 1]),
        (Target::Everyone, [0, 0, 0]),
    ] {
        let (hall, [ann, bob, eve]) = hall_of_three();

        hall.emit(Target::Everyone, vec![except.clone()], 1);

        assert_eq!(got(&hall, [&ann, &bob, &eve]), gets, "{except:?}");
    }
}

#[test]
fn a_user_gets_it_in_all_its_sessions() {
    let (hall, [ann, bob, eve]) = hall_of_three();
    let ann_again = hall.enter("ann");

    assert_eq!(
        hall.emit(Target::User(ann.user.clone()), vec![], 1),
        Some(2)
    );

    assert_eq!(got(&hall, [&ann, &ann_again, &bob]), [1, 1, 0]);
    assert_eq!(got(&hall, [&eve, &eve, &eve]), [0, 0, 0]);
}

#[test]
fn sockets_named_twice_get_it_once_and_those_that_are_gone_not_at_all() {
    let (hall, [ann, bob, eve]) = hall_of_three();
    hall.end(&eve, End::Ended);

    let ids = vec![ann.id, bob.id, ann.id, eve.id];
    assert_eq!(hall.emit(Target::Sockets(ids), vec![], 1), Some(2));

    assert_eq!(got(&hall, [&ann, &bob, &eve]), [1, 1, 0]);
}

#[test]
fn a_sockets_id_is_a_room_of_its_own() {
    let (hall, [ann, bob, eve]) = hall_of_three();

    let private = RoomName::parse(&eve.id.to_string()).unwrap();
    assert_eq!(hall.emit(Target::Rooms(vec![private]), vec![], 1), Some(1));

    assert_eq!(got(&hall, [&ann, &bob, &eve]), [0, 0, 1]);
}

#[test]
fn a_volatile_emit_is_skipped_for_who_has_something_waiting() {
    let (hall, [ann, bob, eve]) = hall_of_three();
    bob.outbox.sink().throttle(0);
    hall.publish("a", 1);
    hall.publish("b", 2);
    hall.flush();

    let taken = hall.emit_with(Target::Everyone, vec![], 3, Volatility::Volatile);
    hall.flush();
    bob.outbox.sink().throttle(usize::MAX);
    bob.outbox.flush_blocked();

    assert_eq!(taken, Some(2));
    assert_eq!(contents(&hall.read(&bob)), ["2"]);
    assert_eq!(contents(&hall.read(&ann)), ["1", "2", "3"]);
    assert_eq!(contents(&hall.read(&eve)), ["3"]);
}

#[test]
fn a_private_message_reaches_a_session_or_all_sessions_of_a_user() {
    let (hall, [ann, bob, eve]) = hall_of_three();
    let bob_again = hall.enter("bob");
    let send = |to: &str| hall.private(&ann, to, 7);

    assert_eq!(send("bob"), 2);
    assert_eq!(send(&eve.id.to_string()), 1);
    assert_eq!(send("nobody"), 0);

    for member in [&bob, &bob_again, &eve] {
        assert_eq!(hall.read(member), ["private 7"]);
    }
    assert!(hall.read(&ann).is_empty());
}

/// `ann` is in rooms a and b, `bob` in b, `eve` in none; what their joins brought is read.
fn hall_of_three() -> (Hall, [Member; 3]) {
    let hall = Hall::open();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|user| hall.enter(user));
    for (member, room) in [(&ann, "a"), (&ann, "b"), (&bob, "b")] {
        hall.join(member, room);
    }
    for member in [&ann, &bob, &eve] {
        hall.read(member);
    }
    (hall, [ann, bob, eve])
}

/// How many messages each of them got.
fn got(hall: &Hall, members: [&Member; 3]) -> [usize; 3] {
    members.map(|member| contents(&hall.read(member)).len())
}
