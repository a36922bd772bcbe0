//! `docs/protocol.md`, "Typing".

use std::time::Duration;

use nuncio_hub::End;
use nuncio_model::Typing;

use crate::hall::{Hall, Member};

#[test]
fn the_others_are_told_once_that_someone_types() {
    let (hall, ann, watcher) = writing();

    types(&hall, &ann);
    types(&hall, &ann);

    assert_eq!(hall.read(&watcher), ["typing lobby ann"]);
    assert!(hall.read(&ann).is_empty());
}

#[test]
fn typing_ends_when_it_is_said_and_only_once() {
    let (hall, ann, watcher) = writing();
    types(&hall, &ann);
    hall.read(&watcher);

    stops(&hall, &ann);
    stops(&hall, &ann);

    assert_eq!(hall.read(&watcher), ["quiet lobby ann"]);
}

#[test]
fn typing_ends_by_itself_6_seconds_after_it_was_last_said() {
    let (mut hall, ann, watcher) = writing();
    types(&hall, &ann);
    hall.wait(Duration::from_secs(4));
    types(&hall, &ann);
    hall.read(&watcher);

    hall.wait(Duration::from_millis(5_999));
    assert!(hall.read(&watcher).is_empty());
    hall.wait(Duration::from_millis(1));

    assert_eq!(hall.read(&watcher), ["quiet lobby ann"]);
}

#[test]
fn who_leaves_or_is_lost_no_longer_types() {
    for lost in [false, true] {
        let (hall, ann, watcher) = writing();
        types(&hall, &ann);
        hall.read(&watcher);

        if lost {
            hall.end(&ann, End::Lost);
        } else {
            hall.leave(&ann, "lobby");
        }

        assert_eq!(hall.read(&watcher)[0], "quiet lobby ann");
    }
}

#[test]
fn a_user_that_types_in_two_sessions_types_once_and_until_the_last_stops() {
    let (mut hall, ann, watcher) = writing();
    let tab = hall.enter("ann");
    hall.join(&tab, "lobby");

    types(&hall, &ann);
    types(&hall, &tab);
    stops(&hall, &ann);
    assert_eq!(hall.read(&watcher), ["typing lobby ann"]);

    types(&hall, &ann);
    hall.wait(Duration::from_secs(6));
    assert_eq!(hall.read(&watcher), ["quiet lobby ann"]);
}

/// `ann` and a watcher in the lobby, who have read everything.
fn writing() -> (Hall, Member, Member) {
    let hall = Hall::open();
    let (ann, watcher) = (hall.enter("ann"), hall.enter("watcher"));
    for member in [&ann, &watcher] {
        hall.join(member, "lobby");
    }
    hall.read(&ann);
    hall.read(&watcher);
    (hall, ann, watcher)
}

fn types(hall: &Hall, member: &Member) {
    let lobby = hall.key("lobby").room;
    hall.node.typing(member, &lobby, Typing::Started, hall.now);
}

fn stops(hall: &Hall, member: &Member) {
    let lobby = hall.key("lobby").room;
    hall.node.typing(member, &lobby, Typing::Stopped, hall.now);
}
