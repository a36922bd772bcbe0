//! Rooms in memory that nobody is in: remembered for their history, but not without bound.

use nuncio_hub::End;
use nuncio_model::{HistoryLimits, Position, RoomLimits};

use crate::hall::{Hall, since};

#[test]
fn of_the_rooms_that_nobody_is_in_the_longest_unused_are_forgotten() {
    let hall = hall_for(3);
    let places: Vec<_> = (1..=3).map(|room| publish(&hall, room)).collect();
    publish(&hall, 1);

    publish(&hall, 4);

    assert_eq!(hall.broker.len(), 3);
    assert!(is_remembered(&hall, 1, places[0]), "it was used again");
    assert!(!is_remembered(&hall, 2, places[1]), "the longest unused");
    assert!(is_remembered(&hall, 3, places[2]));
}

#[test]
fn a_room_with_members_is_never_forgotten() {
    let hall = hall_for(1);
    let ann = hall.enter("ann");
    hall.join(&ann, "r1");
    let place = publish(&hall, 1);

    for room in 2..10 {
        publish(&hall, room);
    }
    assert_eq!(hall.broker.len(), 2);
    assert_eq!(hall.broker.idle_len(), 1);

    hall.end(&ann, End::Lost);
    assert_eq!(hall.broker.len(), 1, "the one that was left last");
    assert!(is_remembered(&hall, 1, place));
}

#[test]
fn no_idle_room_at_all_may_be_remembered() {
    let hall = hall_for(0);

    publish(&hall, 1);

    assert!(hall.broker.is_empty());
}

#[test]
fn an_old_room_gives_its_place_back() {
    let mut hall = hall_for(2);
    publish(&hall, 1);
    hall.wait(std::time::Duration::from_secs(25 * 60 * 60));

    assert_eq!((hall.broker.len(), hall.broker.idle_len()), (0, 0));
}

fn hall_for(idle_max: usize) -> Hall {
    Hall::over(RoomLimits::default(), HistoryLimits::default(), idle_max)
}

fn publish(hall: &Hall, room: u32) -> Position {
    hall.publish(&format!("r{room}"), 0).position
}

/// Whether a position of the room still means something.
fn is_remembered(hall: &Hall, room: u32, position: Position) -> bool {
    let visitor = hall.enter("visitor");
    let joined = hall.try_join(&visitor, since(&format!("r{room}"), position));
    let recovered = joined.unwrap().recovered;
    hall.end(&visitor, End::Ended);
    recovered
}
