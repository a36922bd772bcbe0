//! Bounds of rooms, sockets and users.

use std::time::Duration;

use nuncio_hub::End;
use nuncio_model::{ErrorCode, HistoryLimits, RateLimits, RoomLimits};

use crate::hall::{Hall, request};

#[test]
fn a_user_may_not_have_more_sessions_than_allowed() {
    let limits = RoomLimits {
        sessions_per_user_max: 2,
        ..RoomLimits::default()
    };
    let hall = Hall::with(limits, HistoryLimits::default());
    let (first, _second) = (hall.enter("ann"), hall.enter("ann"));

    let third = hall.client("ann", 0, 1000);
    let refusal = hall.node.connect(&third).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        r#"ROOM_LIMIT: user "ann" has 2 sessions, as many as are allowed"#
    );
    hall.enter("bob");
    hall.end(&first, End::Lost);
    hall.enter("ann");
}

#[test]
fn a_room_takes_no_more_members_than_allowed() {
    let limits = RoomLimits {
        members_max: 1,
        ..RoomLimits::default()
    };
    let hall = Hall::with(limits, HistoryLimits::default());
    let (ann, bob) = (hall.enter("ann"), hall.enter("bob"));
    hall.join(&ann, "lobby");

    let refusal = hall.try_join(&bob, request("lobby")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        r#"ROOM_LIMIT: room "lobby" has 1 members, as many as are allowed"#
    );
    hall.leave(&ann, "lobby");
    hall.join(&bob, "lobby");
}

#[test]
fn a_session_may_join_again_when_it_is_in_as_many_rooms_as_allowed() {
    let hall = Hall::open();
    let ann = hall.enter("ann");
    hall.join_many(&ann, vec![request("a")], 1);

    let again = hall.join_many(&ann, vec![request("a"), request("b")], 1);

    let again = again.unwrap();
    assert!(again[0].is_ok());
    assert_eq!(again[1].as_ref().unwrap_err().1.code, ErrorCode::RoomLimit);
}

#[test]
fn all_sessions_of_a_user_share_one_rate_and_a_new_connection_does_not_renew_it() {
    let mut hall = Hall::open();
    let limits = RateLimits {
        per_second: 1,
        burst: 2,
        ..RateLimits::default()
    };
    let charge = |hall: &Hall, member| hall.node.charge(member, hall.now, &limits);
    let (ann, tab, bob) = (hall.enter("ann"), hall.enter("ann"), hall.enter("bob"));

    assert!(charge(&hall, &ann).is_ok() && charge(&hall, &tab).is_ok());
    let refusal = charge(&hall, &ann).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
    assert!(charge(&hall, &bob).is_ok());

    hall.end(&ann, End::Ended);
    hall.end(&tab, End::Ended);
    let ann = hall.enter("ann");
    assert!(charge(&hall, &ann).is_err());
    hall.wait(Duration::from_secs(1));
    assert!(charge(&hall, &ann).is_ok());
}
