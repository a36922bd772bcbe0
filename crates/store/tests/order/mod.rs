//! A node over a store: one life of a process whose clients recover. Its clients are outboxes that are read.
#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod known;

use std::io::{self, IoSlice};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use nuncio_hub::{
    Broker, Deliver, Domain, DomainConfig, Encode, EncoderId, End, Entry, Ledger, Memberships,
    MemoryBroker, Message, Node, Outbox, Policies, Pushed, Record, Restored, Role, Rooms, Sink,
    Slice, Socket, TokenMark, Writer,
};
use nuncio_model::{
    Body, Compression, Content, Emit, EventName, HistoryLimits, JoinRequest, Json, Namespace, Now,
    Offset, Publication, Push, Refusal, ResumeToken, RoomLimits, RoomName, SocketId, Target,
    UserId, Volatility,
};
use nuncio_store::{Store, StoreBroker, StoreConfig};

use crate::disk::Disk;
use crate::witness::{answer, done, limits, name, policies, submission};

pub(crate) type Member = Arc<Socket<Wire>>;

/// A process, from its start to its end.
pub(crate) struct Life {
    pub(crate) node: Arc<Node<Wire>>,
    pub(crate) broker: Arc<StoreBroker<Rooms<Wire>>>,
    pub(crate) now: Now,
}

/// What a start found on disk.
pub(crate) struct Found {
    pub(crate) last: u64,
    /// What was said, by its place.
    pub(crate) said: Vec<(u64, u64)>,
    pub(crate) records: Vec<(SocketId, Record)>,
}

/// What a client gets back with its session: the data, and what it missed with the place of each.
pub(crate) struct Back {
    pub(crate) member: Member,
    pub(crate) data: Option<Bytes>,
    pub(crate) missed: Vec<(u64, Offset)>,
}

impl Life {
    /// `None` when the disk has no power left for a start.
    pub(crate) fn begin(disk: &Disk, log_bytes_max: usize, now: Now) -> Option<(Self, Found)> {
        let store = Store::open_on(Arc::new(disk.clone()), StoreConfig::new("disk")).ok()?;
        let restored = store.restore(|_| true).ok()?;
        let found = Found::of(&restored);
        let config = DomainConfig {
            namespaces: Vec::new(),
            lost_ttl: Duration::from_secs(120),
            silence_max: Duration::from_secs(45),
            log_bytes_max,
            lost_max: 1_000,
        };
        let policies = policies(HistoryLimits {
            bytes_max: usize::MAX,
            ..limits(usize::MAX)
        });
        let rooms = Rooms::new(
            Arc::new(Lines),
            policies.clone(),
            RoomLimits::default(),
            1,
            1,
        );
        let domain = Domain::new(config, restored, now);
        let rooms = Arc::new(rooms.ordered_by(Some(domain)));
        let life = Self::over(store, rooms, policies, now);
        Some((life, found))
    }

    fn over(store: Store, rooms: Arc<Rooms<Wire>>, policies: Arc<Policies>, now: Now) -> Self {
        let memory = Arc::new(MemoryBroker::new(rooms.clone(), policies.clone(), 2));
        let broker = Arc::new(store.into_broker(rooms.clone(), policies, 3, Arc::new(())));
        let ledger: Arc<dyn Ledger> = broker.clone();
        rooms.domain().unwrap().keep_in(&ledger);
        let durable: Arc<dyn Broker> = broker.clone();
        let node = Arc::new(Node::new(rooms, memory, Some(durable), 4));
        Self { node, broker, now }
    }

    /// Whether everything until now is on disk, once that is decided.
    pub(crate) fn is_kept(&self) -> bool {
        let (tell, told) = channel();
        self.broker.settle(Box::new(move || tell.send(()).unwrap()));
        told.recv_timeout(PATIENCE).expect("it is decided");
        self.broker.is_healthy()
    }

    pub(crate) fn connect(&self, number: u64, user: &str) -> Member {
        let mut id = [0; 15];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let member = socket(SocketId::from_random(id), user, [number as u8; 16]);
        let recorded = self.node.connect_recorded(&member, TokenMark::default());
        recorded.unwrap();
        member
    }

    /// Joins a room; whether that is told.
    pub(crate) fn join(&self, member: &Member, room: &str) -> bool {
        let (tell, told) = channel();
        let request = JoinRequest {
            room: name(room),
            since: None,
            history: None,
        };
        let done = move |rooms| tell.send(rooms).unwrap();
        self.node.join(member, vec![request], 100, self.now, done);
        let rooms: nuncio_hub::JoinOutcome = told.recv_timeout(PATIENCE).unwrap();
        self.release(member);
        rooms.iter().all(Result::is_ok)
    }

    /// Begins to publish a number.
    pub(crate) fn publish(&self, room: &str, said: u64) -> Receiver<Result<(), Refusal>> {
        let mut submission = submission(room, "", self.now);
        submission.request.body = Body::Chat {
            content: Json::of(&said),
        };
        let (tell, told) = channel();
        let done = move |published: Result<_, _>| drop(tell.send(published.map(drop)));
        self.node.publish(submission, Box::new(done));
        told
    }

    /// Emits a number; whether it is on its way.
    pub(crate) fn emit(&self, target: Target, except: Vec<Target>, said: u64) -> bool {
        let emit = Emit {
            except,
            ..self.emission(target, event(said), Volatility::Kept)
        };
        self.node.emit(emit).is_ok()
    }

    pub(crate) fn emission(&self, target: Target, push: Push, volatility: Volatility) -> Emit {
        Emit {
            namespace: Namespace::default(),
            target,
            except: Vec::new(),
            push,
            volatility,
        }
    }

    /// Numbers in the history of a room.
    pub(crate) fn history(&self, room: &str) -> Vec<u64> {
        let query = nuncio_model::HistoryQuery {
            room: name(room),
            before: None,
            after: None,
            limit: None,
        };
        let (done, wait) = done();
        self.node
            .history(&Namespace::default(), &query, self.now, done);
        let page = answer(wait).unwrap();
        page.publications.iter().map(|one| number_in(one)).collect()
    }

    /// The session of a client that went, up to where its missed messages are told: `None` when it is a new client, an error when its rooms cannot be read.
    pub(crate) fn come_back(
        &self,
        id: SocketId,
        user: &str,
        secret: [u8; 16],
        offset: Option<Offset>,
    ) -> Option<Result<Back, Refusal>> {
        let pid = ResumeToken { socket: id, secret };
        let (namespace, stands) = (Namespace::default(), |_: &TokenMark| true);
        let user_id = UserId::parse(user).unwrap();
        let claim = self
            .node
            .claim(&namespace, &user_id, &pid, offset, stands, self.now)?;
        let member = socket(id, user, secret);
        let (tell, told) = channel();
        let done = move |recovered| tell.send(recovered).unwrap();
        self.node.recover(
            &member,
            claim,
            TokenMark::default(),
            |_| true,
            self.now,
            done,
        );
        let recovered: Result<nuncio_hub::Recovered, _> = told.recv_timeout(PATIENCE).unwrap();
        Some(recovered.map(|recovered| {
            self.release(&member);
            let missed = recovered.missed.iter();
            Back {
                missed: missed
                    .map(|missed| (number_of(&missed.content), missed.offset))
                    .collect(),
                data: recovered.data,
                member,
            }
        }))
    }

    pub(crate) fn end(&self, member: &Member, end: End) {
        self.node.disconnect(member, end, self.now);
        member.outbox.close();
    }

    /// What came to a member: numbers, and the place of each.
    pub(crate) fn read(&self, member: &Member) -> Vec<(u64, u64)> {
        let rooms = self.node.rooms();
        rooms.settle(0);
        let mut slice = Vec::new();
        while rooms.flushers().flush_slice(0, &mut slice) == Slice::More {}
        let lines = member.outbox.sink().take();
        let numbers = lines.lines().filter_map(|line| line.split_once('@'));
        numbers
            .map(|(said, place)| (said.parse().unwrap(), place.parse().unwrap()))
            .collect()
    }

    fn release(&self, member: &Member) {
        if member.outbox.release() == Pushed::Due {
            self.node.rooms().flushers().add(member.outbox.clone());
        }
    }
}

impl Found {
    fn of(restored: &Restored) -> Self {
        let said = |entry: &Arc<Entry>| (entry.ordinal, number_of(&entry.content));
        Self {
            last: restored.last,
            said: restored.entries.iter().map(said).collect(),
            records: restored.records.clone(),
        }
    }
}

fn socket(id: SocketId, user: &str, secret: [u8; 16]) -> Member {
    Arc::new(Socket {
        id,
        user: UserId::parse(user).unwrap(),
        namespace: Namespace::default(),
        encoder: EncoderId(0).into(),
        role: Role::Session,
        secret,
        outbox: Arc::new(Outbox::new(Wire::default(), usize::MAX)),
        rooms: Memberships::default(),
    })
}

/// An event that says a number.
pub(crate) fn event(said: u64) -> Push {
    Push::Event {
        name: EventName::parse("said").unwrap(),
        data: Json::of(&said),
        attachments: Box::default(),
        room: None,
        author: None,
        ts: 0,
        compression: Compression::AsAgreed,
    }
}

/// A question that says a number, and has no place.
pub(crate) fn question(said: u64) -> Push {
    Push::Question {
        name: EventName::parse("asked").unwrap(),
        data: Json::of(&said),
        attachments: Box::default(),
        ts: 0,
        ack: said,
        compression: Compression::AsAgreed,
    }
}

pub(crate) fn rooms(names: &[&str]) -> Target {
    Target::Rooms(names.iter().map(|room| name(room)).collect())
}

pub(crate) fn room_names(rooms: &[RoomName]) -> Vec<&str> {
    rooms.iter().map(|room| &**room).collect()
}

fn number_of(content: &Content) -> u64 {
    match content {
        Content::Publication(publication) => number_in(publication),
        Content::Push(push) => pushed(push).unwrap(),
    }
}

fn number_in(publication: &Publication) -> u64 {
    match &publication.body {
        Body::Chat { content } => content.as_str().parse().unwrap(),
        Body::Event { .. } => panic!("only numbers are said"),
    }
}

/// Who comes and goes is nothing that is said.
fn pushed(push: &Push) -> Option<u64> {
    match push {
        Push::Event { data, .. } | Push::Question { data, .. } => data.as_str().parse().ok(),
        _ => None,
    }
}

/// Keeps what is written to it.
#[derive(Default)]
pub(crate) struct Wire(Mutex<Vec<u8>>);

impl Wire {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

impl Sink for Wire {
    fn writer(&self) -> Writer {
        Writer::Anyone
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap();
        buffers.iter().for_each(|buffer| written.extend(&**buffer));
        Ok(buffers.iter().map(|buffer| buffer.len()).sum())
    }
}

/// A line for each message: `said@place` for a number.
struct Lines;

impl Encode for Lines {
    fn encode(&self, _: EncoderId, message: Message<'_>) -> Bytes {
        match message {
            Message::Push(_, push) if pushed(push).is_some() => {
                format!("{}@0\n", pushed(push).unwrap()).into()
            }
            _ => Bytes::from_static(b"news of others\n"),
        }
    }

    fn encode_at(&self, _: EncoderId, message: Message<'_>, offset: Offset) -> Bytes {
        let said = match message {
            Message::Publication(publication) => number_in(publication),
            Message::Push(_, push) => pushed(push).unwrap(),
        };
        format!("{said}@{}\n", offset.ordinal).into()
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
