//! A room's publications reach every member once, in one order, and cost one write for all that waits.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nuncio_hub::{Deliver, EncoderId, Notice};
use nuncio_model::{Epoch, Position, Target};

use crate::hall::{Hall, contents, event, rooms};

#[test]
fn every_member_gets_a_rooms_messages_in_their_order() {
    let hall = Hall::open();
    let members: Vec<_> = (0..5).map(|user| hall.enter(&format!("u{user}"))).collect();
    for member in &members {
        hall.join(member, "lobby");
        hall.read(member);
    }

    for content in 1..=20 {
        hall.publish("lobby", content);
        if content % 7 == 0 {
            hall.flush();
        }
    }

    let all: Vec<_> = (1..=20).map(|content| content.to_string()).collect();
    for member in &members {
        assert_eq!(contents(&hall.read(member)), all);
    }
}

#[test]
fn a_message_is_encoded_once_for_each_encoder_however_many_members_there_are() {
    let hall = Hall::open();
    for (user, encoder) in [("a", 0), ("b", 0), ("c", 3), ("d", 3), ("e", 3)] {
        let member = hall.client(user, encoder, 1000);
        hall.node.connect(&member).unwrap();
        hall.join(&member, "lobby");
    }
    hall.flush();
    let before = [0, 3, 5].map(|encoder| hall.lines.encodes(encoder));

    hall.publish("lobby", 1);
    hall.publish("lobby", 2);
    hall.flush();

    let after = [0, 3, 5].map(|encoder| hall.lines.encodes(encoder));
    assert_eq!(after, [before[0] + 2, before[1] + 2, 0]);
}

#[test]
fn a_member_that_is_reencoded_misses_nothing_and_costs_its_new_encoder_only() {
    let hall = Hall::open();
    let members = ["ann", "bob"].map(|user| hall.enter(user));
    for member in &members {
        hall.join(member, "lobby");
        hall.join(member, "desk");
    }
    hall.flush();
    members.iter().for_each(|member| drop(hall.read(member)));

    hall.publish("lobby", 1);
    hall.node.rooms().reencode(&members[0], EncoderId(3));
    hall.node.rooms().reencode(&members[1], EncoderId(3));
    let before = [0, 3].map(|encoder| hall.lines.encodes(encoder));
    hall.publish("desk", 2);
    hall.flush();

    let after = [0, 3].map(|encoder| hall.lines.encodes(encoder));
    assert_eq!(
        after,
        [before[0], before[1] + 2],
        "both rooms, nobody is left at 0"
    );
    for member in &members {
        let lines = hall.read(member);
        let mut heard = contents(&lines);
        heard.sort();
        assert_eq!(heard, ["1", "2"]);
    }
}

#[test]
fn sixteen_messages_between_two_flushes_are_one_write_for_each_socket() {
    let hall = Hall::open();
    let members = ["ann", "bob"].map(|user| hall.enter(user));
    for member in &members {
        hall.join(member, "lobby");
    }
    hall.flush();
    let before = members
        .each_ref()
        .map(|member| member.outbox.sink().writes());

    for content in 0..16 {
        hall.publish("lobby", content);
    }
    hall.flush();

    for (member, before) in members.iter().zip(before) {
        assert_eq!(member.outbox.sink().writes(), before + 1);
    }
}

#[test]
fn messages_of_several_rooms_are_one_write_for_who_is_in_all_of_them() {
    let hall = Hall::open();
    let member = hall.enter("ann");
    for room in ["a", "b", "c", "d"] {
        hall.join(&member, room);
    }
    hall.flush();
    let before = member.outbox.sink().writes();

    for room in ["a", "b", "c", "d"] {
        hall.publish(room, 1);
    }
    hall.flush();

    assert_eq!(member.outbox.sink().writes(), before + 1);
}

#[test]
fn a_direct_message_comes_after_what_the_same_thread_published_before() {
    let hall = Hall::open();
    let member = hall.enter("ann");
    hall.join(&member, "lobby");
    hall.read(&member);

    hall.publish("lobby", 1);
    hall.node
        .push_to(std::slice::from_ref(&member), &event(2))
        .unwrap();
    hall.publish("lobby", 3);
    hall.emit(Target::User(member.user.clone()), vec![], 4);
    hall.emit(rooms(&["lobby"]), vec![], 5);
    hall.publish("lobby", 6);

    assert_eq!(
        contents(&hall.read(&member)),
        ["1", "2", "3", "4", "5", "6"]
    );
}

#[test]
fn a_direct_message_does_not_overtake_a_message_that_a_flusher_is_handing_over() {
    let hall = Hall::open();
    let member = hall.enter("ann");
    hall.join(&member, "lobby");
    hall.read(&member);
    hall.publish("lobby", 1);
    let (is_flushing, flushing) = mpsc::channel();
    let (pushed, is_pushed) = mpsc::channel::<()>();
    hall.lines.watch(move |line| {
        if line.starts_with("say") {
            is_flushing.send(()).unwrap();
            // Who overtakes is here within this time; who does not waits for this thread.
            let _ = is_pushed.recv_timeout(Duration::from_millis(50));
        }
    });

    thread::scope(|scope| {
        scope.spawn(|| hall.node.rooms().settle_all());
        flushing.recv().unwrap();
        hall.node
            .push_to(std::slice::from_ref(&member), &event(2))
            .unwrap();
        let _ = pushed.send(());
    });

    assert_eq!(contents(&hall.read(&member)), ["1", "2"]);
}

#[test]
fn a_member_gets_nothing_that_was_published_before_it_joined_or_after_it_left() {
    let hall = Hall::open();
    let member = hall.enter("ann");
    hall.publish("lobby", 1);
    hall.join(&member, "lobby");
    hall.publish("lobby", 2);

    hall.leave(&member, "lobby");
    hall.publish("lobby", 3);

    assert_eq!(contents(&hall.read(&member)), ["2"]);
}

#[test]
fn a_slow_reader_is_cut_off_and_the_others_get_everything() {
    let hall = Hall::open();
    let (slow, fast) = (hall.client("slow", 0, 200), hall.enter("fast"));
    hall.node.connect(&slow).unwrap();
    for member in [&slow, &fast] {
        hall.join(member, "lobby");
        hall.read(member);
    }
    slow.outbox.sink().throttle(10);

    for content in 0..20 {
        hall.publish("lobby", content);
        hall.flush();
    }

    assert!(matches!(
        slow.outbox.poll_inbox(std::task::Waker::noop())[..],
        [Notice::Overflow]
    ));
    assert!(slow.outbox.bytes() < 200);
    assert_eq!(contents(&hall.read(&fast)).len(), 20);
}

#[test]
fn members_are_told_when_the_numbering_jumps_or_begins_anew() {
    let hall = Hall::open();
    let member = hall.enter("ann");
    let joined = hall.join(&member, "lobby");
    hall.publish("lobby", 1);
    hall.read(&member);

    let deliver = |epoch, seq| {
        let published = publication(Position { epoch, seq });
        hall.node.rooms().deliver(&published);
    };
    let (first, second) = (joined.position.epoch, Epoch::from_random(77));
    deliver(first, 1);
    deliver(first, 4);
    deliver(second, 1);

    assert_eq!(
        hall.read(&member),
        [
            format!("position lobby {first} 3 false gap"),
            format!("say lobby {first} 4 0"),
            format!("position lobby {second} 0 false new epoch"),
            format!("say lobby {second} 1 0"),
        ]
    );
}

#[test]
fn members_are_told_when_the_history_is_cleared_and_the_numbering_goes_on() {
    let hall = Hall::open();
    let member = hall.enter("ann");
    let epoch = hall.join(&member, "lobby").position.epoch;
    hall.publish("lobby", 1);
    hall.read(&member);

    hall.node.clear(&hall.key("lobby"), Box::new(|_| ()));
    hall.publish("lobby", 2);

    assert_eq!(
        hall.read(&member),
        [
            format!("position lobby {epoch} 1 false cleared"),
            format!("say lobby {epoch} 2 2"),
        ]
    );
}

fn publication(position: Position) -> std::sync::Arc<nuncio_model::Publication> {
    std::sync::Arc::new(nuncio_model::Publication {
        id: nuncio_model::MessageId::from_u128(0),
        namespace: nuncio_model::Namespace::default(),
        room: nuncio_model::RoomName::parse("lobby").unwrap(),
        position,
        ts: 0,
        author: None,
        body: nuncio_model::Body::Chat {
            content: nuncio_model::Json::of(&0),
        },
    })
}
