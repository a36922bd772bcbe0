//! A power failure at any moment of a node whose clients recover: what they were told holds, nothing is heard twice, and nothing is half.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod disk;
mod order;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use disk::{Disk, random_from};
use nuncio_hub::{Deliver, End};
use nuncio_model::{Epoch, Now, Offset, Refusal, SocketId, Target};
use order::known::{self, ROOMS, Said, Session, numbers};
use order::{Back, Found, Life, room_names, rooms};

const CLIENTS: usize = 5;
/// Lives of one disk, each ended by a power failure.
const LIVES: u64 = 10;

#[test]
fn every_session_that_comes_back_after_a_power_failure_hears_all_it_missed_once() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, usize::MAX);
        world.live_on();
        assert!(
            world.failures > 0 && world.returns > 10 && world.certain > 100,
            "seed {seed} is too gentle to prove anything: {} returns, {} messages",
            world.returns,
            world.certain
        );
        assert_eq!(world.refused_returns, 0, "seed {seed}: nothing had to go");
    }
}

#[test]
fn a_session_whose_messages_had_to_go_is_a_new_one_and_the_others_hear_all() {
    let mut refused = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(SEEDS + seed, 4_000);
        world.live_on();
        assert!(world.returns > 10, "seed {seed} is too gentle");
        refused += world.refused_returns;
    }
    assert!(refused > 10, "the log was never too small: {refused}");
}

const SEEDS: u64 = 12;

/// What clients know, over the lives of one disk.
struct World {
    seed: u64,
    disk: Disk,
    log_bytes_max: usize,
    random: Box<dyn FnMut() -> u64>,
    now: Now,
    clients: Vec<Option<Session>>,
    /// Sessions that ended for certain.
    over: Vec<SocketId>,
    epoch: Option<Epoch>,
    said: BTreeMap<u64, Said>,
    /// What somebody saw at a place, or the disk has there.
    places: BTreeMap<u64, u64>,
    /// Emits that nobody is to get.
    refused: BTreeSet<u64>,
    arrivals: u64,
    failures: u32,
    returns: u32,
    refused_returns: u32,
    certain: u32,
}

impl World {
    fn new(seed: u64, log_bytes_max: usize) -> Self {
        Self {
            seed,
            disk: Disk::default(),
            log_bytes_max,
            random: Box::new(random_from(seed)),
            now: witness::now(),
            clients: (0..CLIENTS).map(|_| None).collect(),
            over: Vec::new(),
            epoch: None,
            said: BTreeMap::new(),
            places: BTreeMap::new(),
            refused: BTreeSet::new(),
            arrivals: 0,
            failures: 0,
            returns: 0,
            refused_returns: 0,
            certain: 0,
        }
    }

    fn live_on(&mut self) {
        for life in 0..LIVES {
            let accesses = 150 + self.below(1_500);
            self.disk.cut_power_after(accesses);
            if let Some((life, found)) = Life::begin(&self.disk, self.log_bytes_max, self.now) {
                self.find(&found);
                self.live(&life);
                life.broker.close();
            }
            assert!(self.disk.is_dark(), "{}: life {life}", self.seed);
            self.failures += 1;
            self.disk = self.disk.after_power_failure(&mut self.random);
        }
        let (life, found) = Life::begin(&self.disk, self.log_bytes_max, self.now).unwrap();
        self.find(&found);
        self.end(&life);
        life.broker.close();
    }

    /// Holds what is on disk against what clients know, and learns what became of what was on its way.
    fn find(&mut self, found: &Found) {
        let seed = self.seed;
        let first = found
            .said
            .first()
            .map_or(found.last + 1, |(place, _)| *place);
        let places: Vec<_> = found.said.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, (first..=found.last).collect::<Vec<_>>(), "{seed}");
        let known = self.places.keys().next_back().copied().unwrap_or(0);
        assert!(known <= found.last, "{seed}: {known} would be given again");
        for &(place, said) in &found.said {
            self.see(place, said);
        }
        let on_disk: BTreeMap<_, _> = found.said.iter().copied().collect();
        for (place, said) in self.places.range(first..) {
            assert_eq!(on_disk.get(place), Some(said), "{seed}: seen, and lost");
        }
        let there: BTreeSet<_> = self.places.values().collect();
        if self.log_bytes_max == usize::MAX {
            for (said, message) in &self.said {
                let is_there = there.contains(said);
                assert!(is_there || !message.is_certain, "{seed}: {said} is lost");
            }
        }
        self.said
            .retain(|said, message| message.is_certain || there.contains(said));
        self.said
            .values_mut()
            .for_each(|said| said.is_certain = true);
        self.find_sessions(found);
    }

    fn find_sessions(&mut self, found: &Found) {
        let seed = self.seed;
        for (id, record) in &found.records {
            assert!(!self.over.contains(id), "{seed}: {id} had ended");
            known::check_record(*id, record, found.last);
        }
        for client in &mut self.clients {
            let Some(session) = client else { continue };
            session.live = None;
            let record = found.records.iter().find(|(id, _)| *id == session.id);
            let Some((_, record)) = record else {
                assert!(!session.is_certain, "{seed}: {} is lost", session.id);
                *client = None;
                continue;
            };
            let open = record.spans.iter().filter(|span| span.until.is_none());
            let rooms: Vec<_> = open.map(|span| span.room.clone()).collect();
            session.check(&room_names(&rooms), &record.data, seed);
            session.rooms = numbers(&room_names(&rooms));
            session.perhaps.clear();
            session.data = vec![record.data.clone()];
            session.is_certain = true;
        }
    }

    /// Until the power fails.
    fn live(&mut self, life: &Life) {
        let epoch = life.node.rooms().domain().unwrap().marks().0;
        assert_eq!(*self.epoch.get_or_insert(epoch), epoch, "another numbering");
        while !self.disk.is_dark() {
            self.talk(life);
            for _ in 0..self.below(4) {
                self.change(life);
            }
        }
        // What reached a client before that, it has.
        for client in 0..CLIENTS {
            self.read(life, client, usize::MAX);
        }
    }

    /// Much is said at once, while connections break and clients come back.
    fn talk(&mut self, life: &Life) {
        let mut published = Vec::new();
        let first = self.arrivals + 1;
        for _ in 0..self.below(12) {
            match self.below(8) {
                0 => self.lose(life),
                1 => self.come_back(life),
                2..5 => published.push(self.publish(life)),
                _ => self.emit(life),
            }
        }
        for (said, told) in published {
            if witness_of(&told).is_ok() {
                self.make_certain(said);
            }
        }
        if life.is_kept() {
            let said: Vec<_> = self.said.range(first..).map(|(said, _)| *said).collect();
            said.into_iter().for_each(|said| self.make_certain(said));
        }
        let client = self.client();
        self.read(life, client, usize::MAX);
    }

    fn make_certain(&mut self, said: u64) {
        let said = self.said.get_mut(&said).unwrap();
        self.certain += u32::from(!said.is_certain);
        said.is_certain = true;
    }

    fn publish(&mut self, life: &Life) -> (u64, Receiver<Result<(), Refusal>>) {
        let room = self.room();
        let to = |session: &Session| session.rooms.contains(&room);
        let said = self.say(to, Some(room));
        (said, life.publish(ROOMS[room], said))
    }

    fn emit(&mut self, life: &Life) {
        let (one, other, client) = (self.room(), self.room(), self.client());
        let known = self.clients[client].as_ref().map(|session| session.id);
        let both = rooms(&[ROOMS[one], ROOMS[other]]);
        let is_in = |session: &Session| !session.rooms.is_disjoint(&[one, other].into());
        let by_id = |id| Target::Sockets(vec![id]);
        let (said, target, except) = match (self.below(5), known) {
            (0, Some(id)) => {
                let said = self.say(|session| session.id == id, None);
                (said, by_id(id), Vec::new())
            }
            (1, Some(id)) => {
                let said = self.say(|session| is_in(session) && session.id != id, None);
                (said, both, vec![by_id(id)])
            }
            (2, _) => {
                let said = self.say(|session| !is_in(session), None);
                (said, Target::Everyone, vec![both])
            }
            (3, _) => {
                let said = self.say(|session| session.rooms.contains(&one), None);
                (said, rooms(&[ROOMS[one]]), Vec::new())
            }
            _ => (self.say(is_in, None), both, Vec::new()),
        };
        if !life.emit(target, except, said) {
            self.said.remove(&said);
            self.refused.insert(said);
        }
    }

    fn say(&mut self, to: impl Fn(&Session) -> bool, published: Option<usize>) -> u64 {
        self.arrivals += 1;
        let hearers = self.clients.iter().flatten().filter(|session| to(session));
        let said = Said {
            to: hearers.map(|session| session.id).collect(),
            published,
            is_certain: false,
        };
        self.said.insert(self.arrivals, said);
        self.arrivals
    }

    /// Who is where changes, and is told of it.
    fn change(&mut self, life: &Life) {
        let (client, room) = (self.client(), self.room());
        let Some(session) = &mut self.clients[client] else {
            return self.connect(life, client);
        };
        let Some(member) = session.live.clone() else {
            return self.come_back(life);
        };
        match (self.random)() % 8 {
            0 => self.end_session(life, client),
            1 => {
                let data = Some(Bytes::from((self.random)().to_string()));
                session.data.push(data.clone());
                life.node.set_data(&member, data.clone()).unwrap();
                if life.is_kept() {
                    session.data = vec![data];
                }
            }
            2 | 3 => {
                let was_in = session.rooms.remove(&room);
                life.node
                    .leave(&member, &witness::name(ROOMS[room]), life.now);
                if was_in && !life.is_kept() {
                    session.perhaps.insert(room);
                }
            }
            _ => {
                let is_in = life.join(&member, ROOMS[room]);
                if session.rooms.contains(&room) {
                } else if is_in && life.is_kept() {
                    session.rooms.insert(room);
                } else {
                    session.perhaps.insert(room);
                }
            }
        }
    }

    fn connect(&mut self, life: &Life, client: usize) {
        let (number, user) = (self.said_or_not(), ["ann", "bob"][client % 2]);
        let member = life.connect(number, user);
        let is_certain = life.is_kept();
        self.clients[client] = Some(Session {
            id: member.id,
            secret: member.secret,
            user,
            live: Some(member),
            offset: None,
            rooms: BTreeSet::new(),
            perhaps: BTreeSet::new(),
            data: vec![None],
            is_certain,
            heard: Vec::new(),
        });
    }

    /// It has to have heard everything then: there is nobody to hear the rest.
    fn end_session(&mut self, life: &Life, client: usize) {
        self.read(life, client, usize::MAX);
        let session = self.clients[client].as_mut().unwrap();
        if let Some(member) = session.live.take() {
            life.end(&member, End::Ended);
        }
        session.is_certain = false;
        if life.is_kept() {
            self.over.push(session.id);
            self.clients[client] = None;
        }
    }

    /// A connection breaks after some of what is on its way.
    fn lose(&mut self, life: &Life) {
        let (client, count) = (self.client(), self.below(6) as usize);
        self.read(life, client, count);
        if let Some(session) = &mut self.clients[client]
            && let Some(member) = session.live.take()
        {
            life.end(&member, End::Lost);
        }
    }

    fn come_back(&mut self, life: &Life) {
        let client = self.client();
        self.come_back_as(life, client);
    }

    fn come_back_as(&mut self, life: &Life, client: usize) {
        let seed = self.seed;
        let Some(session) = &mut self.clients[client] else {
            return;
        };
        if session.live.is_some() {
            return;
        }
        let back = life.come_back(session.id, session.user, session.secret, session.offset);
        let Some(back) = back else {
            assert!(
                self.log_bytes_max < usize::MAX || !session.is_certain,
                "{seed}: {} is not known any more",
                session.id
            );
            self.refused_returns += u32::from(session.is_certain);
            self.clients[client] = None;
            return;
        };
        let Back {
            member,
            data,
            missed,
        } = match back {
            Ok(back) => back,
            Err(refusal) => {
                assert!(self.disk.is_dark(), "{seed}: {refusal}");
                return;
            }
        };
        session.check(&room_names(&member.rooms()), &data, seed);
        session.live = Some(member);
        self.returns += 1;
        for (said, offset) in missed {
            self.hear(client, said, offset);
        }
    }

    /// The client reads at most so much of what is there.
    fn read(&mut self, life: &Life, client: usize, count: usize) {
        let Some(session) = &self.clients[client] else {
            return;
        };
        let Some(member) = &session.live else { return };
        let epoch = self.epoch.unwrap();
        for (said, ordinal) in life.read(member).into_iter().take(count) {
            self.hear(client, said, Offset { epoch, ordinal });
        }
    }

    fn hear(&mut self, client: usize, said: u64, offset: Offset) {
        self.see(offset.ordinal, said);
        let session = self.clients[client].as_mut().unwrap();
        assert!(
            session
                .offset
                .is_none_or(|before| before.ordinal < offset.ordinal),
            "{}: {} hears {said} out of order",
            self.seed,
            session.id
        );
        session.offset = Some(offset);
        session.heard.push(said);
    }

    /// A place is one message's, for ever.
    fn see(&mut self, place: u64, said: u64) {
        assert!(
            !self.refused.contains(&said),
            "{}: {said} was refused",
            self.seed
        );
        let known = *self.places.entry(place).or_insert(said);
        assert_eq!(known, said, "{}: {place} is given twice", self.seed);
    }

    /// Everybody comes back, and has heard everything. What was published is in its room's history, and nothing else is.
    fn end(&mut self, life: &Life) {
        let seed = self.seed;
        for client in 0..CLIENTS {
            self.come_back_as(life, client);
            self.read(life, client, usize::MAX);
        }
        for session in self.clients.iter().flatten() {
            let to_it =
                |(said, message): (&u64, &Said)| message.to.contains(&session.id).then_some(*said);
            let owed: BTreeSet<_> = self.said.iter().filter_map(to_it).collect();
            let heard: BTreeSet<_> = session.heard.iter().copied().collect();
            assert_eq!(heard, owed, "{seed}: {}", session.id);
            assert_eq!(heard.len(), session.heard.len(), "{seed}: said twice");
        }
        for (room, name) in ROOMS.iter().enumerate() {
            let published = self
                .said
                .iter()
                .filter(|(_, said)| said.published == Some(room));
            let published: Vec<_> = published.map(|(said, _)| *said).collect();
            let history = life.history(name);
            let known: Vec<_> = history
                .iter()
                .filter(|said| self.said.contains_key(said))
                .collect();
            assert_eq!(known.len(), published.len(), "{seed}: {name}");
            if self.log_bytes_max == usize::MAX {
                assert_eq!(history, published, "{seed}: {name}: half is there");
            }
        }
    }

    /// Numbers of sessions are those of messages that are never said.
    fn said_or_not(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn client(&mut self) -> usize {
        self.below(CLIENTS as u64) as usize
    }

    fn room(&mut self) -> usize {
        self.below(ROOMS.len() as u64) as usize
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.random)() % bound
    }
}

fn witness_of(told: &Receiver<Result<(), Refusal>>) -> Result<(), Refusal> {
    told.recv_timeout(std::time::Duration::from_secs(60))
        .expect("every call is answered")
}
