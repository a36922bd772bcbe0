//! One node: what sessions and the backend can ask of the hub.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nuncio_model::{
    ErrorCode, HistoryQuery, Json, Namespace, Now, Position, PresencePage, Published, Push,
    RateLimits, Refusal, RoomName, SocketId, Status, Typing, UserId, quote,
};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::broker::{Broker, Done, Page, RoomKey, Submission};
use crate::outbox::Sink;
use crate::policy::Durability;
use crate::registry::Registry;
use crate::rooms::{Counts, Exit, Rooms};
use crate::socket::Socket;
use crate::users::UserKey;

/// The rooms, sockets and users of this process, and the brokers behind them. Called directly, from any thread; never waits.
pub struct Node<S> {
    pub(crate) rooms: Arc<Rooms<S>>,
    pub(crate) registry: Arc<Registry<S>>,
    memory: Arc<dyn Broker>,
    durable: Option<Arc<dyn Broker>>,
    /// Sockets that went, until their grace is over; the pause is the same for all, so they are in order.
    leaving: Mutex<VecDeque<Leaving>>,
    /// Attachments to take back, left by whoever held a log's lock.
    pub(crate) detachments: Mutex<Vec<RoomKey>>,
    counted_at: Mutex<Option<Instant>>,
}

struct Leaving {
    until: Instant,
    key: UserKey,
    /// Rooms that the user is still in for the others, because its connection was lost.
    lost: Vec<RoomName>,
}

/// How a socket's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The session is over.
    Ended,
    /// The connection was lost; the session may be resumed.
    Lost,
}

/// Pause between two announcements of a large room's count.
const COUNT_PAUSE: Duration = Duration::from_secs(1);

impl<S: Sink> Node<S> {
    /// A node over its brokers, both of which deliver to `rooms`. Without a durable broker, every room is in memory.
    pub fn new(
        rooms: Arc<Rooms<S>>,
        memory: Arc<dyn Broker>,
        durable: Option<Arc<dyn Broker>>,
        seed: u64,
    ) -> Self {
        let registry = Arc::new(Registry::new(seed));
        rooms.know(&registry);
        Self {
            rooms,
            registry,
            memory,
            durable,
            leaving: Mutex::default(),
            detachments: Mutex::default(),
            counted_at: Mutex::default(),
        }
    }

    /// The rooms, for the flush and for counters.
    pub const fn rooms(&self) -> &Arc<Rooms<S>> {
        &self.rooms
    }

    /// Sockets connected at present.
    pub fn sockets_len(&self) -> usize {
        self.registry.len()
    }

    /// Users online, or gone for less than the grace.
    pub fn users_len(&self) -> usize {
        self.registry.users_len()
    }

    /// Finds a socket by its id.
    pub fn socket(&self, id: &SocketId) -> Option<Arc<Socket<S>>> {
        self.registry.socket(id)
    }

    /// The sockets of a user.
    pub fn sockets_of(&self, namespace: &Namespace, user: &UserId) -> Vec<Arc<Socket<S>>> {
        self.registry.of_user(&UserKey {
            namespace: namespace.clone(),
            user: user.clone(),
        })
    }

    /// All sockets, or those of one namespace. O(sockets).
    pub fn sockets(&self, namespace: Option<&Namespace>) -> Vec<Arc<Socket<S>>> {
        self.registry.all(namespace)
    }

    /// The rooms with members on this node: name, sockets, users, position.
    pub fn rooms_list(&self) -> Vec<(RoomKey, usize, u64, Position)> {
        self.rooms.list()
    }

    /// Ids of the sockets in a room. O(members).
    pub fn members(&self, key: &RoomKey) -> Vec<SocketId> {
        self.rooms.sockets(key)
    }

    /// Takes a new socket in.
    ///
    /// # Errors
    /// `ROOM_LIMIT` when the user has as many sessions as one may have.
    pub fn connect(&self, socket: &Arc<Socket<S>>) -> Result<(), Refusal> {
        let _order = self.rooms.settled_domain(&socket.namespace);
        self.register(socket)
    }

    pub(crate) fn register(&self, socket: &Arc<Socket<S>>) -> Result<(), Refusal> {
        let max = self.rooms.limits().sessions_per_user_max;
        let online = || {
            self.rooms
                .observe(|observer| observer.online(&socket.namespace, &socket.user));
        };
        self.registry.add(socket.clone(), max, online).map_err(|_| {
            let message = format!(
                "user {} has {max} sessions, as many as are allowed",
                quote(&socket.user)
            );
            Refusal::new(ErrorCode::RoomLimit, message)
        })
    }

    /// Takes a socket out of its rooms and of the node, and says which rooms it was in. The second time it does nothing.
    pub fn disconnect(&self, socket: &Socket<S>, end: End, now: Now) -> Vec<RoomName> {
        let mut order = self.rooms.settled_domain(&socket.namespace);
        let Some(memberships) = socket.rooms.close() else {
            return Vec::new();
        };
        let rooms: Vec<_> = memberships
            .iter()
            .map(|membership| membership.room.clone())
            .collect();
        if !self.registry.remove(socket, &rooms) {
            // It was about to come back, and is not yet in any room.
            return Vec::new();
        }
        if let Some(order) = &mut order {
            order.end(socket.id, end, now);
        }
        drop(order);
        let exit = match end {
            _ if !socket.is_seen() => Exit::Unseen,
            End::Ended => Exit::Left,
            End::Lost => Exit::Lost,
        };
        for membership in memberships {
            let key = socket.key_of(membership.room);
            self.rooms
                .exit(&key, membership.slot, socket.id, &socket.user, exit);
            self.broker(&key.namespace, &key.room).detach(&key, now);
        }
        if exit == Exit::Unseen {
            return rooms;
        }
        let lost = if exit == Exit::Lost {
            rooms.clone()
        } else {
            Vec::new()
        };
        let until = now.instant + self.rooms.limits().presence_grace;
        self.leaving.lock().push_back(Leaving {
            until,
            key: socket.user_key(),
            lost,
        });
        rooms
    }

    /// Leaves a room. Returns whether the socket was in it.
    pub fn leave(&self, socket: &Socket<S>, room: &RoomName, now: Now) -> bool {
        let Some(slot) = socket.rooms.remove(room) else {
            return false;
        };
        let key = socket.key_of(room.clone());
        let exit = if socket.is_seen() {
            Exit::Left
        } else {
            Exit::Unseen
        };
        self.rooms.exit(&key, slot, socket.id, &socket.user, exit);
        self.broker(&key.namespace, room).detach(&key, now);
        true
    }

    /// Publishes to one room; see [`Broker::publish`].
    pub fn publish(&self, submission: Submission, done: Done<Published>) {
        self.broker(&submission.namespace, &submission.request.room)
            .publish(submission, done);
    }

    /// Reads a page of history; see [`Broker::history`].
    pub fn history(&self, namespace: &Namespace, query: &HistoryQuery, now: Now, done: Done<Page>) {
        let key = RoomKey {
            namespace: namespace.clone(),
            room: query.room.clone(),
        };
        self.broker(&key.namespace, &key.room)
            .history(&key, query, now, done);
    }

    /// Forgets a room's publications; its numbering goes on.
    pub fn clear(&self, key: &RoomKey, done: Done<Position>) {
        self.broker(&key.namespace, &key.room).clear(key, done);
    }

    /// Announces that someone types, or stopped.
    pub fn typing(&self, socket: &Socket<S>, room: &RoomName, typing: Typing, now: Now) {
        self.rooms.typing(
            &socket.key_of(room.clone()),
            socket.id,
            &socket.user,
            typing,
            now.instant,
        );
    }

    /// One page of a room's users; `limit` is cut to the configured page.
    pub fn presence(&self, key: &RoomKey, after: Option<&UserId>, limit: u32) -> PresencePage {
        self.rooms
            .presence(key, after, limit.min(self.rooms.limits().presence_page_max))
    }

    /// Sends a private message to a session, or to all sessions of a user. `done` gets how many it was handed to, perhaps before this returns.
    ///
    /// # Errors (to `done`)
    /// `UNAVAILABLE` when it could not be kept, where it is to be.
    pub fn private(&self, from: &Socket<S>, to: &str, content: Json, now: Now, done: Done<u32>) {
        let push = Push::Private {
            from: Some(from.id),
            from_user: Some(from.user.clone()),
            content,
            ts: now.unix_ms,
        };
        self.push_kept(&self.recipients(&from.namespace, to), &push, done);
    }

    /// The session or the sessions of the user that `to` names.
    pub fn recipients(&self, namespace: &Namespace, to: &str) -> Vec<Arc<Socket<S>>> {
        let by_id = to.parse().ok().and_then(|id| self.registry.socket(&id));
        if let Some(socket) = by_id.filter(|socket| socket.namespace == *namespace) {
            return vec![socket];
        }
        UserId::parse(to).map_or_else(|_| Vec::new(), |user| self.sockets_of(namespace, &user))
    }

    /// Takes one message of the user's budget.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn charge(&self, socket: &Socket<S>, now: Now, limits: &RateLimits) -> Result<(), Refusal> {
        self.registry
            .charge(&socket.user_key(), now.instant, limits)
            .map_err(Refusal::rate_limited)
    }

    /// Ends graces, typing and old history, and announces counts. To be called several times a second; cheap when nothing is due.
    pub fn handle_timeout(&self, now: Now) {
        let counts = {
            let mut counted_at = self.counted_at.lock();
            let due = counted_at.is_none_or(|at| now.instant >= at + COUNT_PAUSE);
            if due {
                *counted_at = Some(now.instant);
            }
            if due { Counts::Announce } else { Counts::Later }
        };
        self.end_graces(now.instant);
        if let Some(domain) = self.rooms.order() {
            domain.handle_timeout(now);
        }
        self.rooms.handle_timeout(now.instant, counts);
        for key in std::mem::take(&mut *self.detachments.lock()) {
            self.broker(&key.namespace, &key.room).detach(&key, now);
        }
        if counts == Counts::Announce {
            self.memory.handle_timeout(now);
            if let Some(durable) = &self.durable {
                durable.handle_timeout(now);
            }
        }
    }

    fn end_graces(&self, now: Instant) {
        loop {
            let mut leaving = self.leaving.lock();
            if leaving.front().is_none_or(|first| first.until > now) {
                return;
            }
            let Some(Leaving { key, lost, .. }) = leaving.pop_front() else {
                return;
            };
            drop(leaving);
            for room in lost {
                self.rooms.exit_lost(&key.in_room(room), &key.user);
            }
            let offline = || {
                self.rooms
                    .observe(|observer| observer.offline(&key.namespace, &key.user));
            };
            if let Some(rooms) = self.registry.left(&key, offline) {
                self.announce_offline(&key, &rooms);
            }
        }
    }

    /// Tells the members of a room that a user is online, but those who were told already because they share another room.
    pub(crate) fn announce_online(&self, key: &RoomKey, socket: &Socket<S>) {
        let user = socket.user_key();
        if self.registry.was_in(&user, &key.room) {
            return;
        }
        let own = self.registry.of_user(&user);
        let others = own
            .iter()
            .flat_map(|socket| socket.rooms())
            .filter(|room| *room != key.room);
        let mut except: SmallVec<[SocketId; 1]> = own.iter().map(|socket| socket.id).collect();
        for room in others {
            except.extend(self.named_members(&user.in_room(room)));
        }
        let push = Push::Presence {
            user: socket.user.clone(),
            status: Status::Online,
        };
        self.rooms.push_now(key, push, except);
    }

    /// Tells everyone who shared a room with a user that it is gone, once each.
    fn announce_offline(&self, user: &UserKey, rooms: &[RoomName]) {
        let mut told = SmallVec::<[SocketId; 1]>::new();
        for (index, room) in rooms.iter().enumerate() {
            if rooms[..index].contains(room) {
                continue;
            }
            let key = user.in_room(room.clone());
            let members = self.named_members(&key);
            if members.iter().any(|member| !told.contains(member)) {
                let push = Push::Presence {
                    user: user.user.clone(),
                    status: Status::Offline,
                };
                self.rooms.push_now(&key, push, told.clone());
            }
            told.extend(members);
        }
    }

    /// The members of a room, when it is one whose members are told names.
    fn named_members(&self, key: &RoomKey) -> Vec<SocketId> {
        let users = self.rooms.presence(key, None, 0).count;
        if self.rooms.announces_names(key, users) {
            self.rooms.sockets(key)
        } else {
            Vec::new()
        }
    }

    /// Where a room's publications are kept. What clients are to recover must be where their order is.
    pub(crate) fn broker(&self, namespace: &Namespace, room: &RoomName) -> &Arc<dyn Broker> {
        match (self.rooms.policies().of(room).durability, &self.durable) {
            (Durability::Durable, Some(durable)) => durable,
            (Durability::Memory, Some(durable)) if self.rooms.domain_of(namespace).is_some() => {
                durable
            }
            (Durability::Durable, None) | (Durability::Memory, _) => &self.memory,
        }
    }
}

impl UserKey {
    fn in_room(&self, room: RoomName) -> RoomKey {
        RoomKey {
            namespace: self.namespace.clone(),
            room,
        }
    }
}
