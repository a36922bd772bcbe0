//! Whatever happens, every session hears exactly what was said to it, once and in order.

use nuncio_hub::End;
use nuncio_model::{Target, Volatility};
use proptest::prelude::*;

use crate::hall::{Hall, Member, name, rooms};
use crate::recovery::{come_back, config, enter, offset, places};

const SESSIONS: usize = 4;
const ROOMS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Publish(usize),
    Emit(To, Option<To>),
    Volatile(To),
    Flush,
    /// The connection breaks after so many of the lines that are on their way.
    Cut(usize, usize),
    Return(usize),
}

#[derive(Debug, Clone)]
enum To {
    Rooms(Vec<usize>),
    Session(usize),
    Private(usize),
    User(usize),
    Everyone,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_session_hears_what_was_said_to_it_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        for session in 0..SESSIONS {
            world.take(&Step::Return(session));
            world.read(session, usize::MAX);
            let Session { heard, said, .. } = &world.sessions[session];
            prop_assert_eq!(heard, said, "session {}", session);
        }
    }
}

struct World {
    hall: Hall,
    sessions: Vec<Session>,
    said: u64,
}

struct Session {
    member: Member,
    is_lost: bool,
    rooms: Vec<usize>,
    /// The last place that the client saw.
    offset: Option<u64>,
    heard: Vec<u64>,
    said: Vec<u64>,
}

/// What is said in passing is above it, and not counted.
const VOLATILE: u64 = 1_000_000;

impl World {
    fn new() -> Self {
        let hall = Hall::recovering(config());
        let sessions = (0..SESSIONS).map(|number| Session {
            member: enter(&hall, user_of(number)),
            is_lost: false,
            rooms: Vec::new(),
            offset: None,
            heard: Vec::new(),
            said: Vec::new(),
        });
        let sessions = sessions.collect();
        Self {
            hall,
            sessions,
            said: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Join(session, room) => self.join(*session, *room),
            Step::Leave(session, room) => {
                let session = &mut self.sessions[*session];
                if !session.is_lost {
                    self.hall.leave(&session.member, ROOMS[*room]);
                    session.rooms.retain(|known| known != room);
                }
            }
            Step::Publish(room) => {
                let said = self.say(&To::Rooms(vec![*room]), None);
                self.hall.publish(ROOMS[*room], said);
            }
            Step::Emit(to, except) => {
                let said = self.say(to, except.as_ref());
                let except = except.iter().map(|except| self.target(except)).collect();
                self.hall.emit(self.target(to), except, said);
            }
            Step::Volatile(to) => {
                let (target, said) = (self.target(to), VOLATILE + self.said);
                self.hall
                    .emit_with(target, Vec::new(), said, Volatility::Volatile);
            }
            Step::Flush => self.hall.flush(),
            Step::Cut(session, lines) => {
                if !self.sessions[*session].is_lost {
                    self.read(*session, *lines);
                    let session = &mut self.sessions[*session];
                    self.hall.end(&session.member, End::Lost);
                    session.is_lost = true;
                }
            }
            Step::Return(session) => self.come_back(*session),
        }
    }

    fn join(&mut self, session: usize, room: usize) {
        let session = &mut self.sessions[session];
        if !session.is_lost {
            self.hall.join(&session.member, ROOMS[room]);
            if !session.rooms.contains(&room) {
                session.rooms.push(room);
            }
        }
    }

    fn come_back(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        if session.is_lost {
            let seen = session.offset.and_then(offset);
            let (member, _) = come_back(&self.hall, &session.member, seen).unwrap();
            session.member = member;
            session.is_lost = false;
        }
    }

    /// Notes who is to hear the next message.
    fn say(&mut self, to: &To, except: Option<&To>) -> u64 {
        self.said += 1;
        for (number, session) in self.sessions.iter_mut().enumerate() {
            let is_in = |to: &To| match to {
                To::Rooms(rooms) => rooms.iter().any(|room| session.rooms.contains(room)),
                To::Session(only) | To::Private(only) => *only == number,
                To::User(of) => user_of(*of) == user_of(number),
                To::Everyone => true,
            };
            if is_in(to) && !except.is_some_and(is_in) {
                session.said.push(self.said);
            }
        }
        self.said
    }

    fn target(&self, to: &To) -> Target {
        match to {
            To::Rooms(names) => {
                let names: Vec<_> = names.iter().map(|&room| ROOMS[room]).collect();
                rooms(&names)
            }
            To::Session(number) => Target::Sockets(vec![self.sessions[*number].member.id]),
            To::Private(number) => rooms(&[&self.sessions[*number].member.id.to_string()]),
            To::User(number) => Target::User(name(user_of(*number))),
            To::Everyone => Target::Everyone,
        }
    }

    /// The client reads at most so many of the lines that are there.
    fn read(&mut self, session: usize, lines_max: usize) {
        let session = &mut self.sessions[session];
        let lines = self.hall.read(&session.member);
        for (said, place) in places(&lines).into_iter().take(lines_max) {
            session.offset = Some(place);
            if said < VOLATILE {
                session.heard.push(said);
            }
        }
    }
}

/// Two sessions for each user.
const fn user_of(session: usize) -> &'static str {
    if session.is_multiple_of(2) {
        "ann"
    } else {
        "bob"
    }
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    let room = 0..ROOMS.len();
    prop_oneof![
        3 => (session.clone(), room.clone()).prop_map(|(session, room)| Step::Join(session, room)),
        1 => (session.clone(), room.clone()).prop_map(|(session, room)| Step::Leave(session, room)),
        3 => room.prop_map(Step::Publish),
        4 => (to(), proptest::option::of(to())).prop_map(|(to, except)| Step::Emit(to, except)),
        1 => to().prop_map(Step::Volatile),
        1 => Just(Step::Flush),
        2 => (session.clone(), 0..6_usize).prop_map(|(session, lines)| Step::Cut(session, lines)),
        2 => session.prop_map(Step::Return),
    ]
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        4 => proptest::collection::vec(0..ROOMS.len(), 1..3).prop_map(To::Rooms),
        1 => (0..SESSIONS).prop_map(To::Session),
        1 => (0..SESSIONS).prop_map(To::Private),
        1 => (0..SESSIONS).prop_map(To::User),
        1 => Just(To::Everyone),
    ]
}
