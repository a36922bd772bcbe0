//! A session that hops from transport to transport while others publish, and what it saw.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::{Client, Events, Poll, TestServer};

/// The rooms of the run.
const ROOMS: [&str; 3] = ["a", "b", "c"];

/// What a run came to.
#[derive(Debug)]
pub struct Hopped {
    /// Messages that the session saw, each once and in order.
    pub messages: u64,
    /// Hops in which the older connection was still there.
    pub takeovers: usize,
}

/// Lets a session hop so many times, WebSocket -> poll -> SSE -> WebSocket, under load.
///
/// # Panics
/// When a message is missed, repeated, or out of order.
pub async fn run(hops: usize) -> Hopped {
    let server = TestServer::set(&[
        "limits.rate_per_second=0",
        "history.messages=1000000",
        "history.bytes=1GiB",
    ])
    .await;
    let end = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish(server.url("bob"), end.clone()));
    let (mut ann, entered) = Client::enter(&server.url("ann")).await;
    let mut seen = Seen::default();
    seen.note_token(&entered);
    for room in ROOMS {
        let joined = ann.join(room).await;
        seen.begin(room, &joined);
    }
    let mut line = Line::Socket(Box::new(ann));
    let mut takeovers = 0;
    for hop in 0..hops {
        for _ in 0..hop % 7 {
            seen.take(&line.next().await);
        }
        let older = match hop % 2 {
            0 => {
                takeovers += 1;
                Some(line)
            }
            _ => {
                drop(line);
                None
            }
        };
        line = Line::open(&server, hop, &mut seen).await;
        drop(older);
    }
    end.store(true, Ordering::Relaxed);
    let last = publishing.await.expect("the publisher goes on");
    while !seen.has(&last) {
        seen.take(&line.next().await);
    }
    Hopped {
        messages: last.values().sum(),
        takeovers,
    }
}

/// Publishes to all rooms until told to end; says how many each has.
async fn publish(url: String, end: Arc<AtomicBool>) -> BTreeMap<String, u64> {
    let (mut bob, _) = Client::enter(&url).await;
    let mut last = BTreeMap::new();
    while !end.load(Ordering::Relaxed) {
        for room in ROOMS {
            let told = bob.publish(room, "load").await;
            last.insert(room.to_owned(), told["seq"].as_u64().expect("a number"));
        }
    }
    last
}

/// Whatever carries the session.
enum Line {
    Socket(Box<Client>),
    Poll(Poll),
    Stream(Box<Events>),
}

impl Line {
    /// Takes the session over, by the next transport.
    async fn open(server: &TestServer, hop: usize, seen: &mut Seen) -> Self {
        let resume = seen.resume_message();
        let mut line = match hop % 3 {
            0 => Self::Poll(Poll::open(server.address, &resume).await),
            1 => {
                let mut poll = Poll::open(server.address, &resume).await;
                for message in poll.received() {
                    seen.take(&message);
                }
                let authorization = poll.authorization();
                let path = format!("/sse?cursor={}", poll.cursor);
                let headers = [("Authorization", &*authorization)];
                Self::Stream(Box::new(
                    Events::open(server.address, &path, &headers).await,
                ))
            }
            _ => Self::Socket(Box::new(Client::begin(&server.anonymous(), resume).await)),
        };
        // The token is another now, by which it goes on.
        while seen.tokens <= hop + 1 {
            seen.take(&line.next().await);
        }
        line
    }

    async fn next(&mut self) -> Value {
        match self {
            Self::Socket(client) => client.take().await.expect("the connection is open"),
            Self::Poll(poll) => poll.next().await,
            Self::Stream(stream) => stream.next().await.expect("the stream goes on"),
        }
    }
}

/// Where each room stands for the client.
#[derive(Default)]
struct Seen {
    rooms: BTreeMap<String, (Value, u64)>,
    resume: String,
    /// How many tokens there were.
    tokens: usize,
}

impl Seen {
    fn begin(&mut self, room: &str, joined: &Value) {
        let seq = joined["seq"].as_u64().expect("a number");
        self.rooms
            .insert(room.to_owned(), (joined["epoch"].clone(), seq));
    }

    fn note_token(&mut self, message: &Value) {
        let token = message["resume"].as_str().expect("a token");
        token.clone_into(&mut self.resume);
        self.tokens += 1;
    }

    fn resume_message(&self) -> Value {
        let rooms: Vec<_> = self
            .rooms
            .iter()
            .map(|(room, (epoch, seq))| json!({ "roomId": room, "epoch": epoch, "seq": seq }))
            .collect();
        json!({ "type": "resume", "resume": self.resume, "rooms": rooms })
    }

    fn take(&mut self, message: &Value) {
        match message["type"].as_str() {
            Some("chat:message") => {
                let room = message["roomId"].as_str().expect("a room");
                let (_, last) = self.rooms.get_mut(room).expect("one of ours");
                *last += 1;
                assert_eq!(message["seq"], *last, "missed or repeated: {message}");
            }
            Some("resumed") => {
                self.note_token(message);
                for room in message["rooms"].as_array().expect("rooms") {
                    assert_eq!(room["recovered"], true, "{message}");
                }
            }
            Some("error" | "close" | "reconnect") => panic!("{message}"),
            _ => {}
        }
    }

    fn has(&self, last: &BTreeMap<String, u64>) -> bool {
        self.rooms.iter().all(|(room, (_, seq))| last[room] == *seq)
    }
}
