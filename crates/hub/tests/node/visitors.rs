//! Visitors: feeds that nobody in particular reads. They get what is said in their rooms, and leave no trace.

use nuncio_hub::End;
use nuncio_model::{RoomLimits, Target};

use crate::hall::{Hall, contents, rooms};

#[test]
fn a_visitor_gets_what_is_said_in_its_room_and_nobody_sees_it() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    let visitor = hall.visit();

    let joined = hall.join(&visitor, "lobby");
    hall.publish("lobby", 1);

    assert_eq!(joined.members, 1, "ann alone");
    assert_eq!(contents(&hall.read(&visitor)), ["1"]);
    assert_eq!(contents(&hall.read(&ann)), ["1"]);
    assert!(!hall.read(&ann).iter().any(|line| line.contains("nobody")));
    assert_eq!(hall.users("lobby"), [("ann".to_owned(), 1)]);
    assert_eq!(hall.node.users_len(), 1);
}

#[test]
fn a_visitor_that_goes_is_not_missed_and_an_empty_room_is_forgotten() {
    let mut hall = Hall::open();
    let (gone, left) = (hall.visit(), hall.visit());
    for visitor in [&gone, &left] {
        hall.join(visitor, "lobby");
    }
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.read(&ann);

    hall.end(&gone, End::Lost);
    assert!(hall.leave(&left, "lobby"));
    hall.wait(RoomLimits::default().presence_grace);

    assert!(hall.read(&ann).is_empty());
    hall.end(&ann, End::Ended);
    assert_eq!(hall.node.rooms().len(), 0, "though a visitor is connected");
}

#[test]
fn what_is_for_everyone_is_not_for_visitors_but_what_is_for_their_room_is() {
    let hall = Hall::open();
    let visitor = hall.visit();
    hall.join(&visitor, "lobby");

    assert_eq!(hall.emit(Target::Everyone, vec![], 1), Some(0));
    hall.emit(rooms(&["lobby"]), vec![], 2);

    assert_eq!(contents(&hall.read(&visitor)), ["2"]);
}

#[test]
fn visitors_are_no_sessions_of_one_user() {
    let most = RoomLimits::default().sessions_per_user_max;
    let hall = Hall::open();

    let visitors: Vec<_> = (0..=most).map(|_| hall.visit()).collect();

    assert_eq!(hall.node.sockets_len(), visitors.len());
}
