//! What the tests publish with and see: rooms that record every delivery, and calls that wait for their answer.
#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nuncio_hub::{
    Attached, Broker, Deliver, Done, Durability, Page, Policies, RoomKey, RoomPolicy, Since,
    Submission,
};
use nuncio_model::{
    Body, HistoryLimits, HistoryQuery, IdempotencyKey, Json, Namespace, Now, Position,
    PositionReason, Publication, PublishRequest, Published, Refusal, RoomName, UserId,
};

/// The rooms of a node, as far as the brokers see them: they record what is delivered, in order.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    rooms: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    delivered: Vec<Arc<Publication>>,
    broken: Vec<(Position, PositionReason)>,
    members: Vec<Arc<Mutex<Vec<Arc<Publication>>>>>,
}

impl Deliver for Witness {
    fn deliver(&self, publication: &Arc<Publication>) {
        let mut rooms = self.rooms.lock().unwrap();
        let seen = rooms.entry(publication.room.to_string()).or_default();
        seen.delivered.push(publication.clone());
        for member in &seen.members {
            member.lock().unwrap().push(publication.clone());
        }
    }

    fn position_broken(&self, room: &RoomKey, position: Position, reason: PositionReason) {
        let mut rooms = self.rooms.lock().unwrap();
        rooms
            .entry(room.room.to_string())
            .or_default()
            .broken
            .push((position, reason));
    }
}

impl Witness {
    pub(crate) fn delivered(&self, room: &str) -> Vec<Arc<Publication>> {
        self.rooms
            .lock()
            .unwrap()
            .get(room)
            .map(|seen| seen.delivered.clone())
            .unwrap_or_default()
    }

    pub(crate) fn broken(&self, room: &str) -> Vec<(Position, PositionReason)> {
        self.rooms
            .lock()
            .unwrap()
            .get(room)
            .map(|seen| seen.broken.clone())
            .unwrap_or_default()
    }

    /// Adds someone who gets everything that is delivered from here on.
    pub(crate) fn add_member(&self, room: &str) -> Arc<Mutex<Vec<Arc<Publication>>>> {
        let member = Arc::default();
        self.rooms
            .lock()
            .unwrap()
            .entry(room.into())
            .or_default()
            .members
            .push(Arc::clone(&member));
        member
    }
}

/// Calls that wait for their answer.
pub(crate) struct Caller<'a>(pub(crate) &'a dyn Broker);

impl Caller<'_> {
    pub(crate) fn publish(&self, room: &str, text: &str) -> Result<Published, Refusal> {
        answer(self.begin(submission(room, text, now())))
    }

    pub(crate) fn submit(&self, submission: Submission) -> Result<Published, Refusal> {
        answer(self.begin(submission))
    }

    /// Publishes without waiting.
    pub(crate) fn begin(&self, submission: Submission) -> Receiver<Result<Published, Refusal>> {
        let (done, wait) = done();
        self.0.publish(submission, done);
        wait
    }

    pub(crate) fn attach(&self, room: &str, since: Since) -> Result<Attached, Refusal> {
        let (done, wait) = done();
        self.0.attach(&key(room), since, now(), done);
        answer(wait)
    }

    pub(crate) fn detach(&self, room: &str) {
        self.0.detach(&key(room), now());
    }

    pub(crate) fn history(&self, room: &str) -> Result<Page, Refusal> {
        self.page(room, None, None, None)
    }

    pub(crate) fn page(
        &self,
        room: &str,
        before: Option<u64>,
        after: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Page, Refusal> {
        self.page_at(
            room,
            &HistoryQuery {
                room: name(room),
                before,
                after,
                limit,
            },
            now(),
        )
    }

    pub(crate) fn page_at(
        &self,
        room: &str,
        query: &HistoryQuery,
        now: Now,
    ) -> Result<Page, Refusal> {
        let (done, wait) = done();
        self.0.history(&key(room), query, now, done);
        answer(wait)
    }

    pub(crate) fn clear(&self, room: &str) -> Result<Position, Refusal> {
        let (done, wait) = done();
        self.0.clear(&key(room), done);
        answer(wait)
    }
}

/// A `done` and where its answer comes out.
pub(crate) fn done<T: Send + 'static>() -> (Done<T>, Receiver<Result<T, Refusal>>) {
    let (send, wait) = channel();
    (Box::new(move |result| drop(send.send(result))), wait)
}

/// The one answer. A broker that forgets a call must not hang the test run.
pub(crate) fn answer<T>(wait: Receiver<Result<T, Refusal>>) -> Result<T, Refusal> {
    wait.recv_timeout(Duration::from_secs(60))
        .expect("every call is answered")
}

pub(crate) fn submission(room: &str, text: &str, now: Now) -> Submission {
    Submission {
        namespace: Namespace::default(),
        author: Some(UserId::parse("ann").unwrap()),
        request: PublishRequest {
            room: name(room),
            body: Body::Chat {
                content: Json::of(text),
            },
            idempotency_key: None,
        },
        now,
    }
}

pub(crate) fn keyed(room: &str, text: &str, idempotency_key: &str, now: Now) -> Submission {
    let mut submission = submission(room, text, now);
    submission.request.idempotency_key = Some(IdempotencyKey::parse(idempotency_key).unwrap());
    submission
}

/// Everything durable, within `history`.
pub(crate) fn policies(history: HistoryLimits) -> Arc<Policies> {
    let default = RoomPolicy {
        history,
        ..RoomPolicy::new(Durability::Durable)
    };
    Arc::new(Policies::new(Vec::new(), default))
}

pub(crate) fn limits(messages_max: usize) -> HistoryLimits {
    HistoryLimits {
        messages_max,
        ..HistoryLimits::default()
    }
}

pub(crate) fn key(room: &str) -> RoomKey {
    RoomKey {
        namespace: Namespace::default(),
        room: name(room),
    }
}

pub(crate) fn name(room: &str) -> RoomName {
    RoomName::parse(room).unwrap()
}

pub(crate) fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: 1_700_000_000_000,
    }
}

pub(crate) fn seqs(publications: &[Arc<Publication>]) -> Vec<u64> {
    publications
        .iter()
        .map(|publication| publication.position.seq)
        .collect()
}

pub(crate) fn texts(publications: &[Arc<Publication>]) -> Vec<String> {
    let text = |publication: &Arc<Publication>| match &publication.body {
        Body::Chat { content } => content.as_str().trim_matches('"').to_owned(),
        Body::Event { .. } => panic!("only chat is published here"),
    };
    publications.iter().map(text).collect()
}
