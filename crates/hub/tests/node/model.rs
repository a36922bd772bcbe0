//! Any sequence of joins, leaves, publications, emits, losses and returns, on sockets that are slow at times: every client checks what it gets, and a
//! simple model says what it must get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nuncio_hub::End;
use nuncio_model::{Epoch, HistoryLimits, Position, RoomLimits, Target};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::hall::{FLUSHERS, Hall, Member, newest, own, request, rooms, since};
use crate::view::{DIRECT, View};

const USERS: [&str; 3] = ["ann", "bob", "eve"];
const SOCKETS: usize = 12;
const ROOMS: [&str; 3] = ["a", "b", "c"];
/// Publications that a room keeps: few, so that some who return are too late.
const KEPT: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Join {
        client: Index,
        room: Index,
        from: From,
    },
    Leave {
        client: Index,
        room: Index,
    },
    Publish {
        room: Index,
    },
    /// To a room, but one socket.
    EmitToRoom {
        room: Index,
        except: Index,
    },
    /// To two rooms, but the members of a third.
    EmitToRooms {
        except: Index,
    },
    EmitToEveryone,
    EmitToUser {
        user: Index,
    },
    Private {
        from: Index,
        to: Index,
    },
    Disconnect {
        client: Index,
        lost: bool,
    },
    Wait {
        ms: u64,
    },
    /// One flusher hands over, without writing.
    Settle {
        flusher: Index,
    },
    Flush,
    /// The socket takes so many bytes more.
    Throttle {
        client: Index,
        bytes: usize,
    },
    /// The socket can be written to again.
    Unblock {
        client: Index,
    },
    Clear {
        room: Index,
    },
    /// Everything comes to rest, and must be as the model says.
    Quiet,
}

/// What a client asks for when it joins.
#[derive(Debug, Clone, Copy)]
enum From {
    Now,
    Newest(u32),
    /// What it saw last on the connection before, or from the first message on.
    Seen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn clients_agree_with_the_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.read();
        }
        world.quiet();
    }
}

fn step() -> impl Strategy<Value = Step> {
    let from = prop_oneof![
        Just(From::Now),
        (0..9_u32).prop_map(From::Newest),
        Just(From::Seen),
        Just(From::Seen)
    ];
    prop_oneof![
        12 => (any::<Index>(), any::<Index>(), from).prop_map(|(client, room, from)| Step::Join { client, room, from }),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(client, room)| Step::Leave { client, room }),
        14 => any::<Index>().prop_map(|room| Step::Publish { room }),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(room, except)| Step::EmitToRoom { room, except }),
        2 => any::<Index>().prop_map(|except| Step::EmitToRooms { except }),
        1 => Just(Step::EmitToEveryone),
        1 => any::<Index>().prop_map(|user| Step::EmitToUser { user }),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Step::Private { from, to }),
        6 => (any::<Index>(), any::<bool>()).prop_map(|(client, lost)| Step::Disconnect { client, lost }),
        4 => (0..4_000_u64).prop_map(|ms| Step::Wait { ms }),
        4 => any::<Index>().prop_map(|flusher| Step::Settle { flusher }),
        6 => Just(Step::Flush),
        3 => (any::<Index>(), 0..300_usize).prop_map(|(client, bytes)| Step::Throttle { client, bytes }),
        3 => any::<Index>().prop_map(|client| Step::Unblock { client }),
        1 => any::<Index>().prop_map(|room| Step::Clear { room }),
        1 => Just(Step::Quiet),
    ]
}

/// The node, its clients, and what is known of the rooms without looking at the node.
struct World {
    hall: Hall,
    clients: Vec<Client>,
    rooms: BTreeMap<&'static str, Room>,
    /// Numbers what is said.
    said: u64,
}

/// One of a user's places to connect from.
#[derive(Default)]
struct Client {
    member: Option<Member>,
    view: View,
    /// Rooms that its socket is in.
    rooms: BTreeSet<&'static str>,
    /// Where it was in each room when its connection ended.
    seen: BTreeMap<&'static str, Position>,
}

#[derive(Default)]
struct Room {
    /// The newest position, as a publisher or a member was told.
    position: Option<Position>,
    /// Publications that can be replayed.
    kept: u64,
}

impl World {
    fn new() -> Self {
        let history = HistoryLimits {
            messages_max: KEPT,
            ..HistoryLimits::default()
        };
        Self {
            hall: Hall::with(RoomLimits::default(), history),
            clients: (0..SOCKETS).map(|_| Client::default()).collect(),
            rooms: ROOMS.iter().map(|room| (*room, Room::default())).collect(),
            said: 0,
        }
    }

    fn take(&mut self, step: Step) {
        let room_of = |index: Index| *index.get(&ROOMS);
        match step {
            Step::Join { client, room, from } => {
                self.join(client.index(SOCKETS), room_of(room), from)
            }
            Step::Leave { client, room } => self.leave(client.index(SOCKETS), room_of(room)),
            Step::Publish { room } => self.publish(room_of(room)),
            Step::EmitToRoom { room, except } => {
                self.emit_to_room(room_of(room), except.index(SOCKETS))
            }
            Step::EmitToRooms { except } => self.emit_to_rooms(except.index(ROOMS.len())),
            Step::EmitToEveryone => self.emit(Target::Everyone, vec![], |_, _| true),
            Step::EmitToUser { user } => {
                let user = *user.get(&USERS);
                self.emit(Target::User(crate::hall::name(user)), vec![], |index, _| {
                    user_of(index) == user
                });
            }
            Step::Private { from, to } => {
                let to: &str = USERS[to.index(USERS.len())];
                self.private(from.index(SOCKETS), to);
            }
            Step::Disconnect { client, lost } => {
                let end = if lost { End::Lost } else { End::Ended };
                self.disconnect(client.index(SOCKETS), end);
            }
            Step::Wait { ms } => {
                self.hall.now = self.hall.now.after(Duration::from_millis(ms));
                self.hall.node.handle_timeout(self.hall.now);
            }
            Step::Settle { flusher } => self.hall.node.rooms().settle(flusher.index(FLUSHERS)),
            Step::Flush => self.hall.flush(),
            Step::Throttle { client, bytes } => {
                if let Some(member) = &self.clients[client.index(SOCKETS)].member {
                    member.outbox.sink().throttle(bytes);
                }
            }
            Step::Unblock { client } => self.unblock(client.index(SOCKETS)),
            Step::Clear { room } => self.clear(room_of(room)),
            Step::Quiet => self.quiet(),
        }
    }

    /// The client's socket; it connects when it has none.
    fn member(&mut self, index: usize) -> Member {
        let hall = &self.hall;
        let member = self.clients[index]
            .member
            .get_or_insert_with(|| hall.enter(user_of(index)));
        member.clone()
    }

    fn join(&mut self, index: usize, room: &'static str, from: From) {
        let member = self.member(index);
        let is_again = self.clients[index].rooms.contains(room);
        let seen = match from {
            From::Seen => self.clients[index].seen.get(room).copied(),
            From::Now | From::Newest(_) => None,
        };
        let asked = match (from, seen) {
            _ if is_again => request(room),
            (From::Newest(count), _) => newest(room, count),
            (From::Seen, Some(seen)) => since(room, seen),
            (From::Seen | From::Now, _) => request(room),
        };
        let joined = self.hall.try_join(&member, asked).unwrap();

        self.check_recovery(room, seen.filter(|_| !is_again), &joined);
        let (epoch, replayed) = (joined.position.epoch, joined.replay.len() as u64);
        let client = &mut self.clients[index];
        if !is_again {
            // What the client had read before is what the replay continues.
            let has = joined.position.seq - replayed;
            let users = self
                .hall
                .users(room)
                .into_iter()
                .map(|(user, _)| user)
                .collect();
            client.view.joins(room, has, users);
            client.rooms.insert(room);
        } else {
            client.view.joins_again(room);
        }
        let at = self.rooms.get_mut(room).unwrap();
        if at.position.is_none_or(|position| position.epoch != epoch) {
            *at = Room {
                position: Some(joined.position),
                kept: 0,
            };
        }
        assert_eq!(at.position, Some(joined.position));
    }

    /// `recovered` is promised exactly when everything since is kept.
    fn check_recovery(&self, room: &str, seen: Option<Position>, joined: &nuncio_model::Joined) {
        let at = &self.rooms[room];
        let Some(seen) = seen else {
            assert!(joined.recovered);
            return;
        };
        let is_possible =
            seen.epoch == joined.position.epoch && joined.position.seq - seen.seq <= at.kept;
        assert_eq!(
            joined.recovered, is_possible,
            "{room} since {seen:?}: {joined:?}"
        );
        if joined.recovered {
            assert_eq!(joined.replay.len() as u64, joined.position.seq - seen.seq);
        } else {
            assert!(joined.replay.is_empty());
        }
    }

    fn leave(&mut self, index: usize, room: &'static str) {
        let Some(member) = self.clients[index].member.clone() else {
            return;
        };
        let was_in = self.hall.leave(&member, room);
        assert_eq!(was_in, self.clients[index].rooms.remove(room));
        if was_in {
            self.clients[index].seen.remove(room);
            let Position { epoch, seq } = self.rooms[room].position.unwrap();
            own(
                &self.hall.node,
                &member,
                format!("out {room} {epoch} {seq}\n"),
            );
        }
        self.forget(room);
    }

    fn publish(&mut self, room: &'static str) {
        self.said += 1;
        let position = self.hall.publish(room, self.said).position;
        let at = self.rooms.get_mut(room).unwrap();
        match at.position {
            Some(before) if before.epoch == position.epoch => {
                assert_eq!(position.seq, before.seq + 1)
            }
            _ => *at = Room::default(),
        }
        at.position = Some(position);
        at.kept = (at.kept + 1).min(KEPT as u64);
    }

    fn emit_to_room(&mut self, room: &'static str, except: usize) {
        self.said += 1;
        let content = self.said;
        let except = self.clients[except].member.as_ref().map(|member| member.id);
        for client in &mut self.clients {
            let is_excepted = client.member.as_ref().map(|member| member.id) == except;
            if client.rooms.contains(room) && !is_excepted {
                client.view.expected.insert(content);
            }
        }
        let except = vec![Target::Sockets(except.into_iter().collect())];
        self.hall.emit(rooms(&[room]), except, content);
    }

    fn emit_to_rooms(&mut self, except: usize) {
        let targets: Vec<_> = (0..ROOMS.len())
            .filter(|room| *room != except)
            .map(|room| ROOMS[room])
            .collect();
        self.emit(
            rooms(&targets),
            vec![rooms(&[ROOMS[except]])],
            |_, client| {
                !client.rooms.contains(ROOMS[except])
                    && targets.iter().any(|room| client.rooms.contains(room))
            },
        );
    }

    fn emit(&mut self, target: Target, except: Vec<Target>, gets: impl Fn(usize, &Client) -> bool) {
        let (content, receivers) = self.expect(gets);
        assert_eq!(self.hall.emit(target, except, content), Some(receivers));
    }

    /// Says something to the connected clients that get it, and returns how many these are.
    fn expect(&mut self, gets: impl Fn(usize, &Client) -> bool) -> (u64, u32) {
        self.said += 1;
        let content = DIRECT + self.said;
        let mut receivers = 0;
        for (index, client) in self.clients.iter_mut().enumerate() {
            if client.member.is_some() && gets(index, client) {
                client.view.expected.insert(content);
                receivers += 1;
            }
        }
        (content, receivers)
    }

    fn private(&mut self, from: usize, to: &str) {
        let from = self.member(from);
        let (content, receivers) = self.expect(|index, _| user_of(index) == to);
        let sent = self.hall.private(&from, to, content);
        assert_eq!(sent, receivers);
    }

    fn disconnect(&mut self, index: usize, end: End) {
        self.read();
        let client = &mut self.clients[index];
        let Some(member) = client.member.take() else {
            return;
        };
        let left = std::mem::take(&mut client.rooms);
        let view = std::mem::take(&mut client.view);
        for room in &left {
            // A client whose reply of the join never came knows what it knew before.
            if let Some(seen) = view.rooms.get(*room) {
                let epoch: Epoch = seen.epoch.parse().unwrap();
                client.seen.insert(
                    room,
                    Position {
                        epoch,
                        seq: seen.seq,
                    },
                );
            }
        }
        self.hall.end(&member, end);
        for room in left {
            self.forget(room);
        }
    }

    /// A room that nobody is in, and of which nothing is kept, begins anew.
    fn forget(&mut self, room: &'static str) {
        let at = self.rooms.get_mut(room).unwrap();
        if at.kept == 0
            && self
                .clients
                .iter()
                .all(|client| !client.rooms.contains(room))
        {
            at.position = None;
        }
    }

    fn clear(&mut self, room: &'static str) {
        self.hall.node.clear(&self.hall.key(room), Box::new(|_| ()));
        self.rooms.get_mut(room).unwrap().kept = 0;
        self.forget(room);
    }

    fn unblock(&self, index: usize) {
        if let Some(member) = &self.clients[index].member {
            member.outbox.sink().throttle(usize::MAX);
            member.outbox.flush_blocked();
        }
    }

    fn read(&mut self) {
        for client in &mut self.clients {
            if let Some(member) = &client.member {
                client.view.read(&member.outbox.sink().lines());
            }
        }
    }

    fn quiet(&mut self) {
        self.hall.wait(Duration::from_secs(6));
        (0..SOCKETS).for_each(|index| self.unblock(index));
        self.read();
        for room in ROOMS {
            self.check_presence(room);
        }
        for client in &self.clients {
            let Some(member) = &client.member else {
                continue;
            };
            assert!(
                client.view.expected.is_empty(),
                "never came: {:?}",
                client.view.expected
            );
            let known: BTreeSet<_> = client.view.rooms.keys().map(String::as_str).collect();
            assert_eq!(known, client.rooms);
            assert_eq!(member.outbox.bytes(), 0);
            for (room, seen) in &client.view.rooms {
                let position = self.rooms[&**room].position.unwrap();
                let seen = (seen.epoch.clone(), seen.seq);
                assert_eq!(seen, (position.epoch.to_string(), position.seq), "{room}");
            }
        }
    }

    /// Presence is the living, as the node tells it and as each member was told.
    fn check_presence(&self, room: &str) {
        let mut living = BTreeMap::new();
        for (index, client) in self.clients.iter().enumerate() {
            if client.rooms.contains(room) {
                *living.entry(user_of(index).to_owned()).or_insert(0) += 1;
            }
        }
        let living: Vec<(String, u32)> = living.into_iter().collect();
        assert_eq!(self.hall.users(room), living);
        let users: BTreeSet<_> = living.into_iter().map(|(user, _)| user).collect();
        for client in self
            .clients
            .iter()
            .filter(|client| client.rooms.contains(room))
        {
            assert_eq!(client.view.rooms[room].users, users, "{room}");
            let offline: Vec<_> = client.view.offline().intersection(&users).collect();
            assert!(offline.is_empty(), "told offline, but there: {offline:?}");
        }
        let sockets = self.hall.node.members(&self.hall.key(room)).len();
        let members = self
            .clients
            .iter()
            .filter(|client| client.rooms.contains(room));
        assert_eq!(sockets, members.count());
    }
}

fn user_of(index: usize) -> &'static str {
    USERS[index % USERS.len()]
}
