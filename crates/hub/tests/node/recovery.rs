//! Sessions that come back: what they get, and when they do not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nuncio_hub::{
    Deliver, DomainConfig, End, Memberships, Notice, Outbox, Pushed, Recovered, Role, Socket,
    TokenMark,
};
use nuncio_model::{
    Body, Content, Epoch, Namespace, Offset, Push, Refusal, ResumeToken, RoomName, Target,
    Volatility,
};

use crate::hall::{Hall, Member, name, own, rooms};
use crate::wire::{PLACED, Wire};

#[test]
fn emits_and_publications_have_one_order_and_are_encoded_once() {
    let hall = Hall::recovering(config());
    let (ann, native) = (enter(&hall, "ann"), hall.enter("bob"));
    for member in [&ann, &native] {
        hall.join(member, "a");
        hall.join(member, "b");
    }
    hall.read(&ann);
    hall.read(&native);
    let before = hall.lines.encodes(PLACED);

    hall.publish("a", 1);
    hall.emit(rooms(&["b"]), Vec::new(), 2);
    hall.emit(rooms(&["a", "b"]), Vec::new(), 3);
    hall.publish("a", 4);
    hall.publish("a", 5);
    hall.emit(Target::Everyone, Vec::new(), 6);

    let lines = hall.read(&ann);
    assert_eq!(
        places(&lines),
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]
    );
    let native = hall.read(&native);
    assert!(native.iter().all(|line| !line.contains('@')), "{native:?}");
    assert_eq!(
        crate::hall::contents(&native),
        ["1", "2", "3", "4", "5", "6"]
    );
    assert_eq!(hall.lines.encodes(PLACED) - before, 6);
}

#[test]
fn a_client_gets_what_was_said_to_its_rooms_and_to_it_while_it_was_away() {
    let hall = Hall::recovering(config());
    let (ann, bob) = (enter(&hall, "ann"), enter(&hall, "bob"));
    hall.join(&ann, "a");
    hall.publish("a", 1);
    let seen = places(&hall.read(&ann));
    hall.end(&ann, End::Lost);

    hall.publish("a", 2);
    hall.publish("b", 3);
    hall.emit(Target::User(name("ann")), Vec::new(), 4);
    hall.emit(Target::Everyone, vec![rooms(&["a"])], 5);
    hall.emit(rooms(&[&ann.id.to_string()]), Vec::new(), 6);
    hall.emit(Target::Everyone, vec![Target::Sockets(vec![ann.id])], 7);
    hall.emit(Target::Everyone, Vec::new(), 8);
    let (again, recovered) = come_back(&hall, &ann, offset(seen[0].1)).unwrap();
    hall.publish("a", 9);

    assert_eq!(recovered.data, None);
    let lines = hall.read(&again);
    let said: Vec<_> = places(&lines).iter().map(|(said, _)| *said).collect();
    assert_eq!(said, [2, 4, 6, 8, 9], "{lines:?}");
    assert_eq!(again.rooms(), [room("a")]);
    let others: Vec<_> = places(&hall.read(&bob))
        .iter()
        .map(|(said, _)| *said)
        .collect();
    assert_eq!(others, [5, 7, 8]);
}

#[test]
fn a_client_that_saw_nothing_gets_all_since_it_came() {
    let hall = Hall::recovering(config());
    hall.publish("a", 1);
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.publish("a", 2);
    hall.end(&ann, End::Lost);
    hall.publish("a", 3);

    let foreign = Offset {
        epoch: Epoch::from_random(6),
        ordinal: 3,
    };
    let future = offset(99).unwrap();
    let mut last = ann;
    for claimed in [None, Some(foreign), Some(future)] {
        let (again, _) = come_back(&hall, &last, claimed).unwrap();
        assert_eq!(places(&hall.read(&again)), [(2, 2), (3, 3)], "{claimed:?}");
        hall.end(&again, End::Lost);
        last = again;
    }
}

#[test]
fn a_quiet_client_that_was_there_for_hours_is_recovered() {
    let mut hall = Hall::recovering(config());
    let (ann, bob) = (enter(&hall, "ann"), enter(&hall, "bob"));
    hall.join(&ann, "a");
    hall.join(&bob, "b");
    for said in 0..100 {
        hall.publish("b", said);
        hall.wait(Duration::from_secs(600));
    }
    hall.end(&ann, End::Lost);
    hall.publish("a", 777);
    hall.wait(TTL / 2);

    let (again, _) = come_back(&hall, &ann, None).unwrap();

    assert_eq!(places(&hall.read(&again)), [(777, 101)]);
}

#[test]
fn messages_that_had_to_go_make_a_new_client_of_who_missed_them() {
    let hall = Hall::recovering(DomainConfig {
        log_bytes_max: 2_000,
        ..config()
    });
    let (ann, bob) = (enter(&hall, "ann"), enter(&hall, "bob"));
    hall.join(&ann, "a");
    hall.publish("a", 1);
    hall.end(&ann, End::Lost);
    hall.end(&bob, End::Lost);
    for said in 2..20 {
        hall.publish("a", said);
    }

    assert!(come_back(&hall, &ann, offset(1)).is_none());
    assert!(
        come_back(&hall, &bob, offset(19)).is_some(),
        "whoever says that it saw all of them"
    );
}

#[test]
fn a_session_is_given_to_its_own_client_only_and_in_time() {
    let mut hall = Hall::recovering(config());
    let (ann, bob) = (enter(&hall, "ann"), enter(&hall, "bob"));
    hall.end(&ann, End::Lost);
    hall.end(&bob, End::Lost);
    let now = hall.now;
    let claim = |pid: ResumeToken, user: &str| {
        let yes = |_: &TokenMark| true;
        hall.node
            .claim(&Namespace::default(), &name(user), &pid, None, yes, now)
    };
    let forged = ResumeToken {
        secret: [9; 16],
        ..pid(&ann)
    };
    assert!(claim(forged, "ann").is_none());
    assert!(claim(pid(&ann), "eve").is_none());
    assert!(come_back(&hall, &ann, None).is_some());

    hall.wait(TTL);
    assert!(come_back(&hall, &bob, None).is_none());
}

#[test]
fn a_session_whose_token_is_no_longer_believed_is_forgotten() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.end(&ann, End::Lost);

    let no = |_: &TokenMark| false;
    let namespace = Namespace::default();
    let claimed = hall
        .node
        .claim(&namespace, &name("ann"), &pid(&ann), None, no, hall.now);

    assert!(claimed.is_none());
    assert!(come_back(&hall, &ann, None).is_none());
}

#[test]
fn who_ends_is_forgotten() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.end(&ann, End::Ended);

    assert!(come_back(&hall, &ann, None).is_none());
}

#[test]
fn the_newest_connection_wins_and_the_older_one_is_closed() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.publish("a", 1);

    let (again, _) = come_back(&hall, &ann, None).unwrap();
    hall.publish("a", 2);

    let notices = ann.outbox.poll_inbox(std::task::Waker::noop());
    assert!(matches!(notices[..], [Notice::TakenOver]), "{notices:?}");
    assert_eq!(places(&hall.read(&again)), [(1, 1), (2, 2)]);
    // What the older one's task says of its end does no harm.
    hall.end(&ann, End::Ended);
    hall.publish("a", 3);
    assert_eq!(places(&hall.read(&again)), [(3, 3)]);
    assert_eq!(hall.node.sockets_len(), 1);
}

#[test]
fn of_two_that_claim_a_session_the_later_gets_it() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.end(&ann, End::Lost);
    hall.door.close();

    let first = begin(&hall, &ann, None).unwrap();
    let second = begin(&hall, &ann, None).unwrap();
    hall.door.open();

    assert!(first.1.lock().unwrap().take().unwrap().is_err());
    assert!(second.1.lock().unwrap().take().unwrap().is_ok());
    release(&hall, &second.0);
    hall.publish("a", 1);
    assert_eq!(places(&hall.read(&second.0)), [(1, 1)]);
}

#[test]
fn a_connection_that_ends_while_its_session_comes_back_leaves_it_for_the_next() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.end(&ann, End::Lost);
    hall.door.close();

    let (member, outcome) = begin(&hall, &ann, None).unwrap();
    hall.end(&member, End::Lost);
    hall.door.open();

    assert!(outcome.lock().unwrap().take().unwrap().is_err());
    assert!(come_back(&hall, &ann, None).is_some());
}

#[test]
fn what_is_said_while_the_rooms_are_read_is_neither_lost_nor_said_twice() {
    let hall = Hall::recovering(config());
    let (ann, bob) = (enter(&hall, "ann"), enter(&hall, "bob"));
    for member in [&ann, &bob] {
        hall.join(member, "a");
        hall.join(member, "b");
    }
    hall.publish("a", 1);
    hall.end(&ann, End::Lost);
    hall.door.close();

    let (member, outcome) = begin(&hall, &ann, None).unwrap();
    hall.emit(rooms(&["a"]), Vec::new(), 2);
    hall.flush();
    hall.emit(rooms(&["a", "b"]), Vec::new(), 3);
    hall.door.open();
    hall.emit(rooms(&["b"]), Vec::new(), 4);

    let recovered = outcome.lock().unwrap().take().unwrap().unwrap();
    tell(&hall, &member, &recovered);
    release(&hall, &member);
    assert_eq!(
        places(&hall.read(&member)),
        [(1, 1), (2, 2), (3, 3), (4, 4)]
    );
}

#[test]
fn rooms_that_are_not_allowed_any_more_are_not_recovered_nor_what_was_said_there() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.join(&ann, "b");
    hall.end(&ann, End::Lost);
    hall.publish("a", 1);
    hall.publish("b", 2);

    let (again, outcome) = begin_with(&hall, &ann, None, |room| **room != *"a").unwrap();

    let recovered = outcome.lock().unwrap().take().unwrap().unwrap();
    tell(&hall, &again, &recovered);
    release(&hall, &again);
    assert_eq!(places(&hall.read(&again)), [(2, 2)]);
    assert_eq!(again.rooms(), [room("b")]);
}

#[test]
fn a_room_that_was_left_before_the_message_is_not_heard_again() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.publish("a", 1);
    hall.leave(&ann, "a");
    hall.publish("a", 2);
    hall.join(&ann, "a");
    hall.publish("a", 3);
    hall.end(&ann, End::Lost);

    let (again, _) = come_back(&hall, &ann, None).unwrap();

    assert_eq!(places(&hall.read(&again)), [(1, 1), (3, 3)]);
}

#[test]
fn the_data_of_a_session_comes_back_with_it() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.node.set_data(&ann, Some("{}".into())).unwrap();
    hall.node
        .set_data(&ann, Some(vec![b'1'; 16 * 1024 + 1].into()))
        .unwrap_err();
    hall.end(&ann, End::Lost);

    let (_, recovered) = come_back(&hall, &ann, None).unwrap();

    assert_eq!(recovered.data, Some("{}".into()));
}

#[test]
fn a_volatile_event_carries_the_place_of_what_came_before_and_is_not_kept() {
    let hall = Hall::recovering(config());
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.publish("a", 1);
    assert_eq!(places(&hall.read(&ann)), [(1, 1)]);

    let taken = hall.emit_with(rooms(&["a"]), Vec::new(), 2, Volatility::Volatile);

    assert_eq!(taken, Some(1));
    assert_eq!(places(&hall.read(&ann)), [(2, 1)]);
    hall.end(&ann, End::Lost);
    let (again, _) = come_back(&hall, &ann, offset(1)).unwrap();
    assert_eq!(places(&hall.read(&again)), []);
}

#[test]
fn the_oldest_of_too_many_lost_sessions_are_forgotten() {
    let hall = Hall::recovering(DomainConfig {
        lost_max: 2,
        ..config()
    });
    let members: Vec<_> = (0..3).map(|_| enter(&hall, "ann")).collect();
    for member in &members {
        hall.end(member, End::Lost);
    }

    assert!(come_back(&hall, &members[0], None).is_none());
    assert!(come_back(&hall, &members[1], None).is_some());
    assert!(come_back(&hall, &members[2], None).is_some());
}

#[test]
fn other_namespaces_have_no_order() {
    let hall = Hall::recovering(DomainConfig {
        namespaces: vec![Namespace::parse("/chat").unwrap()],
        ..config()
    });
    let ann = enter(&hall, "ann");
    hall.join(&ann, "a");
    hall.publish("a", 1);

    let lines = hall.read(&ann);
    assert!(lines.iter().all(|line| !line.contains('@')), "{lines:?}");
    assert!(!hall.node.recovers(&Namespace::default()));
    assert!(!hall.node.has_record(&ann.id));
}

pub(crate) const TTL: Duration = Duration::from_secs(120);

pub(crate) fn config() -> DomainConfig {
    DomainConfig {
        namespaces: Vec::new(),
        lost_ttl: TTL,
        silence_max: Duration::from_secs(45),
        log_bytes_max: 1_000_000,
        lost_max: 1_000,
    }
}

/// A new session that may be recovered.
pub(crate) fn enter(hall: &Hall, user: &str) -> Member {
    let member = hall.client(user, PLACED, 1 << 20);
    hall.node
        .connect_recorded(&member, TokenMark::default())
        .unwrap();
    member
}

pub(crate) fn offset(ordinal: u64) -> Option<Offset> {
    let epoch = Epoch::from_random(5);
    Some(Offset { epoch, ordinal })
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn pid(member: &Member) -> ResumeToken {
    ResumeToken {
        socket: member.id,
        secret: member.secret,
    }
}

type Outcome = Arc<Mutex<Option<Result<Recovered, Refusal>>>>;

fn begin(hall: &Hall, lost: &Member, offset: Option<Offset>) -> Option<(Member, Outcome)> {
    begin_with(hall, lost, offset, |_| true)
}

/// A new connection of a lost session's client, up to where its rooms are read.
fn begin_with(
    hall: &Hall,
    lost: &Member,
    offset: Option<Offset>,
    allows: impl Fn(&RoomName) -> bool,
) -> Option<(Member, Outcome)> {
    let stands = |_: &TokenMark| true;
    let (namespace, node) = (Namespace::default(), &hall.node);
    let claimed = node.claim(&namespace, &lost.user, &pid(lost), offset, stands, hall.now)?;
    let member = Arc::new(Socket {
        id: lost.id,
        user: lost.user.clone(),
        namespace,
        encoder: lost.encoder.get().into(),
        role: Role::Session,
        secret: lost.secret,
        outbox: Arc::new(Outbox::new(Wire::open(), 1 << 20)),
        rooms: Memberships::default(),
    });
    let outcome = Outcome::default();
    let kept = outcome.clone();
    let done = move |result| *kept.lock().unwrap() = Some(result);
    node.recover(
        &member,
        claimed,
        TokenMark::default(),
        allows,
        hall.now,
        done,
    );
    Some((member, outcome))
}

/// The whole return, with what was missed said first.
pub(crate) fn come_back(
    hall: &Hall,
    lost: &Member,
    offset: Option<Offset>,
) -> Option<(Member, Recovered)> {
    let (member, outcome) = begin(hall, lost, offset)?;
    let recovered = outcome.lock().unwrap().take().unwrap().unwrap();
    tell(hall, &member, &recovered);
    release(hall, &member);
    Some((member, recovered))
}

fn release(hall: &Hall, member: &Member) {
    if member.outbox.release() == Pushed::Due {
        hall.node.rooms().flushers().add(member.outbox.clone());
    }
}

fn tell(hall: &Hall, member: &Member, recovered: &Recovered) {
    for missed in &recovered.missed {
        let said = match &missed.content {
            Content::Publication(publication) => match &publication.body {
                Body::Chat { content } => content.as_str().to_owned(),
                Body::Event { data, .. } => data.as_str().to_owned(),
            },
            Content::Push(push) => match &**push {
                Push::Event { data, .. } => data.as_str().to_owned(),
                other => panic!("{other:?}"),
            },
        };
        let line = format!("event {said} @{}\n", missed.offset.ordinal);
        own(&hall.node, member, line);
    }
}

/// What was said, and the place of each.
pub(crate) fn places(lines: &[String]) -> Vec<(u64, u64)> {
    let placed = lines.iter().filter_map(|line| line.split_once(" @"));
    let read = placed.map(|(said, place)| {
        let said = said.split(' ').next_back().unwrap();
        (said.parse().unwrap(), place.parse().unwrap())
    });
    read.collect()
}

#[test]
fn a_domain_that_is_not_asked_for_is_not_there() {
    assert!(Hall::open().node.rooms().domain().is_none());
}
