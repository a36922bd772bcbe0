//! `docs/protocol.md`, "Rooms" and "Presence": who is told of whom, and when.

use std::time::Duration;

use nuncio_hub::End;
use nuncio_model::{HistoryLimits, RoomLimits};

use crate::hall::{Hall, Member, name};

const GRACE: Duration = Duration::from_secs(5);

#[test]
fn a_user_is_announced_at_its_first_session_in_the_room_only() {
    let (hall, watcher) = watched();

    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    assert_eq!(hall.read(&watcher), ["joined lobby ann", "online ann"]);

    let tab = hall.enter("ann");
    assert_eq!(hall.join(&tab, "lobby").members, 2, "users, not sessions");
    assert!(hall.read(&watcher).is_empty());
    assert_eq!(told(&hall, &ann), 0, "nor does anyone hear of oneself");
}

#[test]
fn a_user_has_left_at_once_when_its_last_session_leaves_or_ends() {
    let (mut hall, watcher) = watched();
    let sessions = [hall.enter("ann"), hall.enter("ann")];
    for session in &sessions {
        hall.join(session, "lobby");
    }
    hall.read(&watcher);

    hall.end(&sessions[0], End::Ended);
    assert!(hall.read(&watcher).is_empty());
    hall.end(&sessions[1], End::Ended);

    assert_eq!(hall.read(&watcher), ["left lobby ann"]);
    hall.wait(GRACE);
    assert_eq!(
        hall.read(&watcher),
        ["offline ann"],
        "a page reload would have fitted in"
    );
}

#[test]
fn a_user_that_leaves_the_room_is_still_online() {
    let (hall, watcher) = watched();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.read(&watcher);

    hall.leave(&ann, "lobby");

    assert_eq!(hall.read(&watcher), ["left lobby ann"]);
}

#[test]
fn a_user_whose_connection_is_lost_has_left_after_5_seconds() {
    let (mut hall, watcher) = watched();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.read(&watcher);

    hall.end(&ann, End::Lost);
    hall.wait(GRACE - Duration::from_millis(1));
    assert!(hall.read(&watcher).is_empty());
    assert_eq!(hall.users("lobby").len(), 2);
    hall.wait(Duration::from_millis(1));

    assert_eq!(hall.read(&watcher), ["left lobby ann", "offline ann"]);
    assert_eq!(hall.users("lobby").len(), 1);
}

#[test]
fn a_page_reload_is_not_seen() {
    let (mut hall, watcher) = watched();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.read(&watcher);

    hall.end(&ann, End::Lost);
    hall.wait(GRACE / 2);
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.wait(GRACE * 2);

    assert!(hall.read(&watcher).is_empty());
    assert_eq!(hall.users("lobby")[0], ("ann".to_owned(), 1));
}

#[test]
fn who_comes_back_but_not_to_the_room_has_left_it_and_is_online() {
    let (mut hall, watcher) = watched();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.read(&watcher);

    hall.end(&ann, End::Lost);
    let _ann = hall.enter("ann");
    hall.wait(GRACE);

    assert_eq!(hall.read(&watcher), ["left lobby ann"]);
}

#[test]
fn a_session_that_ends_while_another_may_come_back_leaves_the_user_online_for_its_grace() {
    let (mut hall, watcher) = watched();
    let [lost, ended] = [hall.enter("ann"), hall.enter("ann")];
    hall.join(&lost, "lobby");
    hall.join(&ended, "lobby");
    hall.read(&watcher);

    hall.end(&lost, End::Lost);
    hall.end(&ended, End::Ended);
    assert!(hall.read(&watcher).is_empty());
    hall.wait(GRACE);

    assert_eq!(hall.read(&watcher), ["left lobby ann", "offline ann"]);
}

#[test]
fn a_user_that_ended_and_comes_back_within_the_grace_was_online_all_the_time() {
    let (mut hall, watcher) = watched();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.end(&ann, End::Ended);
    hall.read(&watcher);

    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.wait(GRACE * 2);

    assert_eq!(
        hall.read(&watcher),
        ["joined lobby ann"],
        "nobody was told that it went offline"
    );
}

#[test]
fn who_shares_several_rooms_is_told_once_of_each_user() {
    let (mut hall, watcher) = watched();
    hall.join(&watcher, "a");
    hall.join(&watcher, "b");
    let ann = hall.enter("ann");
    for room in ["a", "b", "lobby"] {
        hall.join(&ann, room);
    }
    assert_eq!(count(&hall.read(&watcher), "online ann"), 1);

    hall.end(&ann, End::Ended);
    assert_eq!(count(&hall.read(&watcher), "offline ann"), 0);
    hall.wait(GRACE);

    assert_eq!(count(&hall.read(&watcher), "offline ann"), 1);
}

#[test]
fn a_user_hears_nothing_of_itself_in_its_other_sessions() {
    let hall = Hall::open();
    let [first, second] = [hall.enter("ann"), hall.enter("ann")];
    hall.join(&first, "a");
    hall.join(&second, "b");
    hall.read(&first);

    hall.join(&second, "a");
    hall.end(&second, End::Ended);

    assert_eq!(told(&hall, &first), 0);
}

#[test]
fn a_large_room_is_told_counts_at_most_once_a_second() {
    let (mut hall, watcher) = watched_with(3);
    let users: Vec<_> = (1..=6)
        .map(|user| hall.enter(&format!("u{user}")))
        .collect();
    for user in &users[..2] {
        hall.join(user, "lobby");
    }
    hall.wait(Duration::from_secs(1));
    hall.read(&watcher);

    for user in &users[2..] {
        hall.join(user, "lobby");
        hall.wait(Duration::from_millis(100));
    }
    hall.wait(Duration::from_millis(600));
    assert_eq!(hall.read(&watcher), ["count lobby 7"]);
    hall.wait(Duration::from_secs(1));
    assert!(hall.read(&watcher).is_empty(), "nothing changed");
}

#[test]
fn a_room_that_is_no_longer_large_is_told_its_count_a_last_time_and_then_names() {
    let (mut hall, watcher) = watched_with(3);
    let users: Vec<_> = (1..=4)
        .map(|user| hall.enter(&format!("u{user}")))
        .collect();
    for user in &users {
        hall.join(user, "lobby");
    }
    hall.wait(Duration::from_secs(1));
    hall.read(&watcher);

    hall.leave(&users[0], "lobby");
    hall.leave(&users[1], "lobby");
    hall.wait(Duration::from_secs(1));
    assert_eq!(hall.read(&watcher), ["count lobby 3"]);
    hall.leave(&users[2], "lobby");
    hall.wait(Duration::from_secs(1));

    assert_eq!(hall.read(&watcher), ["left lobby u3"]);
}

#[test]
fn presence_is_paged_by_user_id() {
    let hall = Hall::open();
    for user in ["c", "a", "b", "b", "d"] {
        hall.join(&hall.enter(user), "lobby");
    }
    let page = |after: Option<&str>, limit| {
        let after = after.map(name);
        let page = hall
            .node
            .presence(&hall.key("lobby"), after.as_ref(), limit);
        let members = page.members.unwrap();
        let members: Vec<_> = members
            .iter()
            .map(|member| format!("{}{}", member.user, member.sessions))
            .collect();
        (page.count, members.join(" "), page.next)
    };

    assert_eq!(page(None, 2), (4, "a1 b2".into(), Some(name("b"))));
    assert_eq!(page(Some("b"), 2), (4, "c1 d1".into(), None));
    assert_eq!(page(Some("z"), 2), (4, String::new(), None));
    assert_eq!(page(None, 1000).1, "a1 b2 c1 d1");
}

#[test]
fn the_count_of_users_may_be_asked_for_alone() {
    let hall = Hall::open();
    hall.join(&hall.enter("ann"), "lobby");

    let lobby = hall.node.presence(&hall.key("lobby"), None, 0);
    let empty = hall.node.presence(&hall.key("empty"), None, 0);

    assert_eq!((lobby.count, lobby.members), (1, None));
    assert_eq!((empty.count, empty.members), (0, None));
}

#[test]
fn no_page_is_larger_than_the_bound() {
    let hall = Hall::open();
    for user in 0..101 {
        hall.join(&hall.enter(&format!("u{user}")), "lobby");
    }

    let page = hall.node.presence(&hall.key("lobby"), None, 5000);

    assert_eq!(page.members.unwrap().len(), 100);
    assert!(page.next.is_some());
}

/// A hall with a watcher in the lobby, who has read everything.
fn watched() -> (Hall, Member) {
    watched_with(200)
}

fn watched_with(presence_names_max: usize) -> (Hall, Member) {
    let limits = RoomLimits {
        presence_names_max,
        ..RoomLimits::default()
    };
    let mut hall = Hall::with(limits, HistoryLimits::default());
    let watcher = hall.enter("watcher");
    hall.join(&watcher, "lobby");
    hall.wait(Duration::ZERO);
    hall.read(&watcher);
    (hall, watcher)
}

/// How often a member was told of `ann`.
fn told(hall: &Hall, member: &Member) -> usize {
    let lines = hall.read(member);
    lines.iter().filter(|line| line.ends_with(" ann")).count()
}

fn count(lines: &[String], wanted: &str) -> usize {
    lines.iter().filter(|line| *line == wanted).count()
}
