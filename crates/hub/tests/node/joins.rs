//! Joining: no gap, no duplicate, whenever the join completes.

use std::sync::Arc;

use nuncio_hub::End;
use nuncio_model::{ErrorCode, Position};

use crate::hall::{Hall, contents, newest, request, since};

#[test]
fn a_member_that_comes_back_gets_exactly_what_it_missed_and_then_what_follows() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    let seen = hall.publish("lobby", 1).position;
    hall.end(&ann, End::Lost);
    for content in 2..=4 {
        hall.publish("lobby", content);
    }

    let ann = hall.enter("ann");
    let joined = hall.try_join(&ann, since("lobby", seen)).unwrap();
    hall.publish("lobby", 5);

    assert!(joined.recovered);
    assert_eq!(joined.position.seq, 4);
    assert_eq!(contents(&hall.read(&ann)), ["2", "3", "4", "5"]);
}

#[test]
fn what_is_published_while_a_join_is_under_way_comes_after_its_reply() {
    let hall = Hall::open();
    let (ann, bob) = (hall.enter("ann"), hall.enter("bob"));
    hall.join(&ann, "a");
    hall.read(&ann);
    hall.door.close();

    assert!(hall.join_many(&ann, vec![newest("b", 10)], 100).is_none());
    hall.publish("b", 1);
    hall.publish("a", 2);
    hall.flush();
    assert!(ann.outbox.sink().lines().is_empty(), "all of it waits");
    hall.door.open();
    hall.join(&bob, "b");
    hall.publish("b", 3);

    let lines = hall.read(&ann);
    assert!(lines[0].starts_with("in b "), "{lines:?}");
    assert!(lines[1].starts_with("replay say b "), "{lines:?}");
    assert_eq!(contents(&lines), ["1", "2", "3"]);
}

#[test]
fn several_rooms_are_joined_in_the_order_of_the_list_and_some_may_be_refused() {
    let hall = Hall::open();
    let ann = hall.enter("ann");

    let outcome = hall.join_many(&ann, vec![request("a"), request("b"), request("c")], 2);

    let outcome = outcome.unwrap();
    let rooms: Vec<_> = outcome
        .iter()
        .map(|room| match room {
            Ok(joined) => joined.room.to_string(),
            Err((room, refusal)) => format!("{room}: {refusal}"),
        })
        .collect();
    let refused = r#"c: ROOM_LIMIT: room "c" is one too many: a session may be in 2 rooms"#;
    assert_eq!(rooms, ["a", "b", refused]);
    assert_eq!(ann.rooms().len(), 2);
}

#[test]
fn an_empty_list_of_rooms_is_answered_too() {
    let hall = Hall::open();
    let ann = hall.enter("ann");

    assert!(hall.join_many(&ann, vec![], 100).unwrap().is_empty());
}

#[test]
fn joining_again_changes_nothing() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.publish("lobby", 1);

    let again = hall.join(&ann, "lobby");
    hall.publish("lobby", 2);

    assert!(again.recovered && again.replay.is_empty());
    assert_eq!(again.position.seq, 1);
    assert_eq!(hall.node.members(&hall.key("lobby")), [ann.id]);
    assert_eq!(hall.users("lobby"), [("ann".to_owned(), 1)]);
    assert_eq!(contents(&hall.read(&ann)), ["1", "2"]);
    assert!(hall.leave(&ann, "lobby"), "once");
    assert!(!hall.leave(&ann, "lobby"));
}

#[test]
fn a_member_that_joins_again_gets_the_history_it_asks_for() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    let start = hall.join(&ann, "lobby").position;
    for content in 1..=3 {
        hall.publish("lobby", content);
    }
    assert_eq!(contents(&hall.read(&ann)), ["1", "2", "3"]);

    hall.try_join(&ann, newest("lobby", 2)).unwrap();
    assert_eq!(contents(&hall.read(&ann)), ["2", "3"]);

    let seen = Position { seq: 1, ..start };
    let again = hall.try_join(&ann, since("lobby", seen)).unwrap();
    assert!(again.recovered);
    assert_eq!(contents(&hall.read(&ann)), ["2", "3"]);
}

#[test]
fn what_waits_for_a_member_that_joins_again_is_not_also_replayed_as_new() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    let start = hall.join(&ann, "lobby").position;
    hall.publish("lobby", 1);
    hall.door.close();

    hall.join_many(&ann, vec![since("lobby", start)], 100);
    hall.publish("lobby", 2);
    hall.door.open();

    let lines = hall.read(&ann);
    let epoch = start.epoch;
    assert_eq!(
        lines[1..],
        [
            format!("say lobby {epoch} 1 1"),
            format!("in lobby {epoch} 1 true"),
            format!("replay say lobby {epoch} 1 1"),
            format!("say lobby {epoch} 2 2"),
        ],
        "after the first reply"
    );
}

#[test]
fn leaving_a_room_that_one_is_not_in_does_nothing() {
    let hall = Hall::open();
    let ann = hall.enter("ann");

    assert!(!hall.leave(&ann, "lobby"));
}

#[test]
fn a_join_that_completes_after_the_socket_is_gone_leaves_nothing_behind() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.door.close();
    hall.join_many(&ann, vec![request("lobby")], 100);

    hall.end(&ann, End::Ended);
    hall.door.open();

    assert!(hall.node.rooms().is_empty());
    assert!(hall.users("lobby").is_empty());
}

#[test]
fn a_socket_that_goes_in_the_middle_of_its_join_leaves_nothing_behind() {
    let hall = Hall::open();
    let (ann, bob) = (hall.enter("ann"), hall.enter("bob"));
    hall.join(&bob, "lobby");
    hall.publish("lobby", 1);
    // The join hands over what waits, which encodes it: the connection breaks at that moment.
    let (node, gone, now) = (hall.node.clone(), ann.clone(), hall.now);
    hall.lines.watch(move |_| {
        node.disconnect(&gone, End::Ended, now);
    });

    let refusal = hall.try_join(&ann, request("lobby")).unwrap_err();

    assert_eq!(refusal.code, ErrorCode::NotFound);
    assert_eq!(hall.node.members(&hall.key("lobby")), [bob.id]);
    assert_eq!(hall.users("lobby"), [("bob".to_owned(), 1)]);
}

#[test]
fn a_socket_that_is_disconnected_twice_is_gone_once() {
    let hall = Hall::open();
    let (ann, bob) = (hall.enter("ann"), hall.enter("bob"));
    hall.join(&ann, "lobby");

    let rooms = hall.node.disconnect(&ann, End::Ended, hall.now);
    assert_eq!(rooms, [hall.key("lobby").room]);
    assert!(hall.node.disconnect(&ann, End::Lost, hall.now).is_empty());

    assert_eq!(hall.node.sockets_len(), 1);
    assert!(Arc::ptr_eq(&hall.node.sockets(None)[0], &bob));
}

#[test]
fn a_quiet_room_that_everyone_left_begins_anew() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    let before = hall.join(&ann, "lobby").position;
    hall.leave(&ann, "lobby");
    assert!(hall.node.rooms().is_empty());
    assert!(hall.broker.is_empty());

    let after = hall.try_join(&ann, since("lobby", before)).unwrap();

    assert_ne!(after.position.epoch, before.epoch);
    assert!(!after.recovered, "the client is told of the new epoch");
}

#[test]
fn a_room_with_history_goes_on_where_it_was() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    let before = hall.publish("lobby", 1).position;
    hall.leave(&ann, "lobby");
    assert!(hall.node.rooms().is_empty());

    let after = hall.try_join(&ann, since("lobby", before)).unwrap();

    assert_eq!((after.position, after.recovered), (before, true));
}

#[test]
fn a_room_that_the_server_joins_is_announced_once_and_before_what_is_said_there() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    let before = hall.publish("lobby", 1).position;
    hall.door.close();

    for _ in 0..2 {
        let rooms = vec![hall.key("lobby").room];
        hall.node.bring(&ann, rooms, 100, hall.now, drop);
        hall.door.open();
    }
    hall.publish("lobby", 2);

    let lines = hall.read(&ann);
    let position = format!("position lobby {} 1 true joined", before.epoch);
    assert_eq!(lines[0], position);
    assert_eq!(contents(&lines), ["2"], "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_room_that_the_server_cannot_join_holds_nothing_back() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.join(&ann, "a");
    hall.read(&ann);

    hall.node
        .bring(&ann, vec![hall.key("b").room], 1, hall.now, |outcome| {
            assert_eq!(
                outcome[0].as_ref().unwrap_err().1.code,
                ErrorCode::RoomLimit
            );
        });
    hall.publish("a", 1);

    assert_eq!(contents(&hall.read(&ann)), ["1"]);
}
