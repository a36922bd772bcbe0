//! A node with everything around it. When a test is over, its hall empties and looks for what was left behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nuncio_hub::{
    Deliver, Domain, DomainConfig, Durability, EncoderId, End, JoinOutcome, Memberships,
    MemoryBroker, Node, Observer, Outbox, Policies, Pushed, Restored, Role, RoomKey, RoomPolicy,
    Rooms, Slice, Socket, Submission,
};
use nuncio_model::{
    Body, Compression, Emit, Epoch, EventName, HistoryLimits, JoinRequest, Joined, Json, Namespace,
    Now, Position, PublishRequest, Published, Push, Refusal, RoomLimits, RoomName, SocketId,
    Target, UserId, Volatility,
};

use crate::door::Door;
use crate::wire::{Lines, Wire, said};

/// A node, its broker and the clock.
pub(crate) struct Hall {
    pub(crate) node: Arc<Node<Wire>>,
    pub(crate) broker: Arc<MemoryBroker<Rooms<Wire>>>,
    pub(crate) door: Arc<Door<MemoryBroker<Rooms<Wire>>>>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) now: Now,
    ids: AtomicU64,
}

pub(crate) type Member = Arc<Socket<Wire>>;

/// Flushers of a hall: more than one, so that some outboxes are written by another than their room's.
pub(crate) const FLUSHERS: usize = 2;
const OUTBOX_BYTES_MAX: usize = 1024 * 1024;

impl Hall {
    pub(crate) fn open() -> Self {
        Self::with(RoomLimits::default(), HistoryLimits::default())
    }

    pub(crate) fn with(limits: RoomLimits, history: HistoryLimits) -> Self {
        Self::over(limits, history, MemoryBroker::<Rooms<Wire>>::IDLE_MAX)
    }

    pub(crate) fn over(limits: RoomLimits, history: HistoryLimits, idle_max: usize) -> Self {
        Self::observed(limits, history, idle_max, None)
    }

    pub(crate) fn observed(
        limits: RoomLimits,
        history: HistoryLimits,
        idle_max: usize,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self::build(limits, history, idle_max, observer, None)
    }

    /// Whose clients recover what they missed.
    pub(crate) fn recovering(config: DomainConfig) -> Self {
        let restored = Restored {
            epoch: Epoch::from_random(5),
            last: 0,
            dropped: None,
            entries: Vec::new(),
            records: Vec::new(),
        };
        let domain = Domain::new(config, restored, start());
        let (limits, history) = (RoomLimits::default(), HistoryLimits::default());
        let idle_max = MemoryBroker::<Rooms<Wire>>::IDLE_MAX;
        Self::build(limits, history, idle_max, None, Some(domain))
    }

    fn build(
        limits: RoomLimits,
        history: HistoryLimits,
        idle_max: usize,
        observer: Option<Arc<dyn Observer>>,
        domain: Option<Domain>,
    ) -> Self {
        let policy = RoomPolicy {
            history,
            ..RoomPolicy::new(Durability::Memory)
        };
        let policies = Arc::new(Policies::new(Vec::new(), policy));
        let lines = Arc::new(Lines::new());
        let rooms = Rooms::new(lines.clone(), policies.clone(), limits, FLUSHERS, 1);
        let rooms = Arc::new(rooms.observed_by(observer).ordered_by(domain));
        let broker = MemoryBroker::new(rooms.clone(), policies, 2).with_idle_max(idle_max);
        let broker = Arc::new(broker);
        let door = Arc::new(Door::to(broker.clone()));
        Self {
            node: Arc::new(Node::new(rooms, door.clone(), None, 3)),
            broker,
            door,
            lines,
            now: start(),
            ids: AtomicU64::new(0),
        }
    }

    /// A new session of a user.
    pub(crate) fn enter(&self, user: &str) -> Member {
        let member = self.client(user, 0, OUTBOX_BYTES_MAX);
        self.node.connect(&member).unwrap();
        member
    }

    /// A new feed that nobody in particular reads.
    pub(crate) fn visit(&self) -> Member {
        let member = self.socket("nobody", 0, OUTBOX_BYTES_MAX, Role::Visitor);
        self.node.connect(&member).unwrap();
        member
    }

    /// A client that is not connected yet.
    pub(crate) fn client(&self, user: &str, encoder: u8, outbox_bytes_max: usize) -> Member {
        self.socket(user, encoder, outbox_bytes_max, Role::Session)
    }

    fn socket(&self, user: &str, encoder: u8, outbox_bytes_max: usize, role: Role) -> Member {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 15];
        id[..8].copy_from_slice(&number.to_be_bytes());
        Arc::new(Socket {
            id: SocketId::from_random(id),
            user: name(user),
            namespace: Namespace::default(),
            encoder: EncoderId(encoder).into(),
            role,
            secret: [0; 16],
            outbox: Arc::new(Outbox::new(Wire::open(), outbox_bytes_max)),
            rooms: Memberships::default(),
        })
    }

    /// Joins one room, and puts the reply and the replay into the outbox as a driver does.
    pub(crate) fn join(&self, member: &Member, name: &str) -> Joined {
        self.try_join(member, request(name)).unwrap()
    }

    pub(crate) fn try_join(
        &self,
        member: &Member,
        request: JoinRequest,
    ) -> Result<Joined, Refusal> {
        let mut rooms = self.join_many(member, vec![request], 100).unwrap();
        rooms.pop().unwrap().map_err(|(_, refusal)| refusal)
    }

    /// The outcome of a join, where it is known at once.
    pub(crate) fn join_many(
        &self,
        member: &Member,
        requests: Vec<JoinRequest>,
        rooms_max: usize,
    ) -> Option<JoinOutcome> {
        let outcome = Arc::new(Mutex::new(None));
        let (node, client, kept) = (self.node.clone(), member.clone(), outcome.clone());
        let done = move |rooms: JoinOutcome| {
            reply(&node, &client, &rooms);
            *kept.lock().unwrap() = Some(rooms);
        };
        self.node.join(member, requests, rooms_max, self.now, done);
        outcome.lock().unwrap().take()
    }

    pub(crate) fn leave(&self, member: &Member, room: &str) -> bool {
        self.node.leave(member, &self.key(room).room, self.now)
    }

    pub(crate) fn publish(&self, room: &str, content: impl std::fmt::Display) -> Published {
        let published = Arc::new(Mutex::new(None));
        let kept = published.clone();
        let submission = Submission {
            namespace: Namespace::default(),
            author: None,
            request: PublishRequest {
                room: self.key(room).room,
                body: Body::Chat {
                    content: Json::parse(&content.to_string()).unwrap(),
                },
                idempotency_key: None,
            },
            now: self.now,
        };
        let done = move |result| *kept.lock().unwrap() = Some(result);
        self.node.publish(submission, Box::new(done));
        let result: Result<Published, Refusal> = published.lock().unwrap().take().unwrap();
        result.unwrap()
    }

    /// Emits an event that says `content`.
    pub(crate) fn emit(&self, target: Target, except: Vec<Target>, content: u64) -> Option<u32> {
        self.emit_with(target, except, content, Volatility::Kept)
    }

    pub(crate) fn emit_with(
        &self,
        target: Target,
        except: Vec<Target>,
        content: u64,
        volatility: Volatility,
    ) -> Option<u32> {
        self.node
            .emit(Emit {
                namespace: Namespace::default(),
                target,
                except,
                push: event(content),
                volatility,
            })
            .unwrap()
    }

    /// Sends a number in private; how many got it.
    pub(crate) fn private(&self, from: &Member, to: &str, content: u64) -> u32 {
        let sent = Arc::new(Mutex::new(None));
        let kept = sent.clone();
        let done = move |taken| *kept.lock().unwrap() = Some(taken);
        let content = Json::of(&content);
        self.node
            .private(from, to, content, self.now, Box::new(done));
        let sent: Result<u32, Refusal> = sent.lock().unwrap().take().unwrap();
        sent.unwrap()
    }

    pub(crate) fn end(&self, member: &Member, end: End) {
        self.node.disconnect(member, end, self.now);
        member.outbox.close();
    }

    /// Lets time pass, and flushes what it brings.
    pub(crate) fn wait(&mut self, pause: Duration) {
        self.now = self.now.after(pause);
        self.node.handle_timeout(self.now);
        self.flush();
    }

    /// Writes all that waits.
    pub(crate) fn flush(&self) {
        let rooms = self.node.rooms();
        for flusher in 0..FLUSHERS {
            rooms.settle(flusher);
        }
        let mut slice = Vec::new();
        for flusher in 0..FLUSHERS {
            while rooms.flushers().flush_slice(flusher, &mut slice) == Slice::More {}
        }
    }

    /// Flushes, and reads what came to a member.
    pub(crate) fn read(&self, member: &Member) -> Vec<String> {
        self.flush();
        member.outbox.sink().lines()
    }

    pub(crate) fn key(&self, room: &str) -> RoomKey {
        RoomKey {
            namespace: Namespace::default(),
            room: RoomName::parse(room).unwrap(),
        }
    }

    /// User and sessions of each user in a room.
    pub(crate) fn users(&self, room: &str) -> Vec<(String, u32)> {
        let page = self.node.presence(&self.key(room), None, 100);
        let members = page.members.unwrap().into_iter();
        members
            .map(|member| (member.user.to_string(), member.sessions))
            .collect()
    }
}

impl Drop for Hall {
    /// Everyone goes, and a day later every map is empty.
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.door.open();
        for member in self.node.sockets(None) {
            self.end(&member, End::Ended);
        }
        self.wait(Duration::from_secs(25 * 60 * 60));

        assert_eq!(self.node.sockets_len(), 0, "sockets");
        assert!(self.node.sockets(None).is_empty(), "sockets by id");
        assert_eq!(self.node.users_len(), 0, "users");
        assert_eq!(self.node.rooms().len(), 0, "rooms");
        assert_eq!(self.broker.len(), 0, "logs");
        assert_eq!(self.broker.idle_len(), 0, "idle logs");
        if let Some(domain) = self.node.rooms().domain() {
            let kept = (domain.records_len(), domain.log_len());
            assert_eq!(kept, (0, 0), "sessions and messages to recover");
        }
    }
}

/// What a driver does with the outcome of a join.
fn reply(node: &Node<Wire>, member: &Member, rooms: &JoinOutcome) {
    let mut text = String::new();
    for joined in rooms.iter().flatten() {
        let Joined {
            room,
            position,
            recovered,
            ..
        } = joined;
        let Position { epoch, seq } = position;
        text += &format!("in {room} {epoch} {seq} {recovered}\n");
        for publication in &joined.replay {
            text += &format!("replay {}\n", said(publication));
        }
    }
    own(node, member, text);
    if member.outbox.release() == Pushed::Due {
        node.rooms().flushers().add(member.outbox.clone());
    }
}

/// Says something to a member as its own session does.
pub(crate) fn own(node: &Node<Wire>, member: &Member, text: String) {
    if !text.is_empty() && member.outbox.push_own(text.into()) == Pushed::Due {
        node.rooms().flushers().add(member.outbox.clone());
    }
}

pub(crate) fn request(room: &str) -> JoinRequest {
    JoinRequest {
        room: RoomName::parse(room).unwrap(),
        since: None,
        history: None,
    }
}

pub(crate) fn since(room: &str, position: Position) -> JoinRequest {
    JoinRequest {
        since: Some(position),
        ..request(room)
    }
}

pub(crate) fn newest(room: &str, count: u32) -> JoinRequest {
    JoinRequest {
        history: Some(count),
        ..request(room)
    }
}

pub(crate) fn rooms(names: &[&str]) -> Target {
    let names = names.iter().map(|name| RoomName::parse(name).unwrap());
    Target::Rooms(names.collect())
}

pub(crate) fn name(user: &str) -> UserId {
    UserId::parse(user).unwrap()
}

pub(crate) fn event(content: u64) -> Push {
    Push::Event {
        name: EventName::parse("event").unwrap(),
        data: Json::of(&content),
        attachments: Box::default(),
        room: None,
        author: None,
        ts: 0,
        compression: Compression::AsAgreed,
    }
}

/// What was said, in order: the last words of the `say` lines, and of the replayed ones.
pub(crate) fn contents(lines: &[String]) -> Vec<&str> {
    let said = lines
        .iter()
        .map(|line| line.strip_prefix("replay ").unwrap_or(line));
    let said = said.filter(|line| line.starts_with("say ") || line.starts_with("event "));
    said.filter_map(|line| line.split(' ').next_back())
        .collect()
}

/// The same instant for the whole run.
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]
fn start() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    Now {
        instant: *START.get_or_init(Instant::now),
        unix_ms: 1_000_000_000,
    }
}
