//! A feed: `docs/protocol.md`, "SSE and long polling", "Feeds".

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nuncio_model::{
    Body, CloseCode, Epoch, ErrorCode, Joined, Json, MessageId, Namespace, Now, Position,
    Publication, Refusal, RoomName,
};
use nuncio_protocol::{encode, stream};
use nuncio_session::{Feed, FeedOutput, Settings};

#[test]
fn it_begins_where_the_client_was_and_then_tells_what_was_missed() {
    let mut feed = Reader::of(&["a", "b"], None);

    feed.joined(vec![Ok(joined("a", 42, 2)), Ok(joined("b", 7, 0))]);

    assert_eq!(
        feed.ids(),
        [
            format!("{E}.40,{E}.7"),
            format!("{E}.40,{E}.7"),
            format!("{E}.41,{E}.7"),
            format!("{E}.42,{E}.7"),
        ]
    );
    assert!(
        feed.text
            .contains(r#""roomId":"a","epoch":"AAAAAAAAAAk","seq":42,"recovered":true"#)
    );
    assert!(feed.is_released);
}

#[test]
fn what_is_said_moves_the_place_of_its_room_and_what_has_none_moves_nothing() {
    let mut feed = Reader::of(&["a", "b"], None);
    feed.joined(vec![Ok(joined("a", 1, 0)), Ok(joined("b", 1, 0))]);
    feed.text.clear();

    feed.say("b", 2);
    feed.take(&stream::item(None, b"{}"));

    assert_eq!(feed.ids(), [format!("{E}.1,{E}.2")]);
    assert!(feed.text.ends_with("data: {}\n\n"));
}

#[test]
fn a_room_that_cannot_be_entered_is_told_and_without_any_the_feed_ends() {
    let full = || Err((room("b"), Refusal::new(ErrorCode::RoomLimit, "full")));
    let mut one = Reader::of(&["a", "b"], None);
    let mut none = Reader::of(&["b"], None);

    one.joined(vec![Ok(joined("a", 1, 0)), full()]);
    none.joined(vec![full()]);

    assert!(
        one.text
            .contains(r#"{"type":"room:removed","roomId":"b","code":"ROOM_LIMIT"}"#)
    );
    assert_eq!((one.closed, none.closed), (None, Some(1013)));
    assert_eq!(one.ids(), [format!("{E}.1,-")]);
}

#[test]
fn before_it_ends_the_client_is_told_when_to_come_back() {
    let mut feed = Reader::of(&["a"], None);

    feed.with(|feed, out| feed.handle_drain(Duration::from_millis(1500), out));

    assert!(
        feed.text
            .starts_with("retry: 1500\n\ndata: {\"type\":\"reconnect\",\"after\":1500")
    );
    assert!(feed.text.ends_with(
        "data: {\"type\":\"close\",\"code\":1012,\"reason\":\"Server shutting down\"}\n\n"
    ));
    assert_eq!(feed.closed, Some(1012));
    let len = feed.text.len();
    feed.with(|feed, out| feed.handle_close(CloseCode::REVOKED, "Revoked", out));
    feed.say("a", 1);
    assert_eq!(feed.text.len(), len, "after the end nothing follows");
    assert_eq!(feed.feed.poll_timeout(), None);
}

#[test]
fn a_silent_feed_says_something_every_interval() {
    let mut feed = Reader::of(&["a"], None);

    for _ in 0..3 {
        let at = feed.feed.poll_timeout().unwrap();
        feed.pass(at - feed.now.instant);
    }

    assert_eq!(feed.text, ":\n\n:\n\n:\n\n");
}

#[test]
fn it_ends_with_the_token_after_a_warning() {
    let mut feed = Reader::of(&["a"], Some(1_000_000 + 100));

    feed.pass(Duration::from_secs(40));
    assert!(feed.text.contains("auth:expiring"));
    feed.pass(Duration::from_secs(60));

    assert_eq!(feed.closed, Some(4003));
}

/// What an epoch of 9 looks like.
const E: &str = "AAAAAAAAAAk";

/// A feed, and what its stream says.
struct Reader {
    feed: Feed,
    now: Now,
    text: String,
    is_released: bool,
    closed: Option<u16>,
}

impl Reader {
    fn of(rooms: &[&str], exp: Option<u64>) -> Self {
        let now = start();
        let rooms = rooms.iter().map(|name| room(name));
        Self {
            feed: Feed::new(Arc::new(Settings::default()), rooms, exp, now, 255),
            now,
            text: String::new(),
            is_released: false,
            closed: None,
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Feed, &mut Vec<FeedOutput>)) {
        let mut out = Vec::new();
        act(&mut self.feed, &mut out);
        for output in out {
            match output {
                FeedOutput::Write(part) => self.text += std::str::from_utf8(&part).unwrap(),
                FeedOutput::Release => self.is_released = true,
                FeedOutput::Close { code, reason: _ } => self.closed = Some(code.0),
            }
        }
    }

    fn joined(&mut self, rooms: Vec<Result<Joined, (RoomName, Refusal)>>) {
        self.with(|feed, out| feed.joined(&rooms, out));
    }

    fn say(&mut self, name: &str, seq: u64) {
        let publication = publication(name, seq);
        let place = Some((&publication.room, publication.position));
        self.take(&stream::item(place, &encode::publication(&publication)));
    }

    fn take(&mut self, items: &bytes::Bytes) {
        for item in stream::items(items.clone()) {
            self.with(|feed, out| feed.handle_item(&item, out));
        }
    }

    fn pass(&mut self, pause: Duration) {
        self.now = self.now.after(pause);
        let now = self.now;
        self.with(|feed, out| feed.handle_timeout(now, out));
    }

    fn ids(&self) -> Vec<&str> {
        let lines = self.text.lines();
        lines.filter_map(|line| line.strip_prefix("id: ")).collect()
    }
}

fn joined(name: &str, seq: u64, missed: u64) -> Joined {
    Joined {
        room: room(name),
        position: position(seq),
        recovered: true,
        members: 1,
        offset: None,
        replay: (seq - missed + 1..=seq)
            .map(|seq| Arc::new(publication(name, seq)))
            .collect(),
    }
}

fn publication(name: &str, seq: u64) -> Publication {
    Publication {
        id: MessageId::from_u128(1),
        namespace: Namespace::default(),
        room: room(name),
        position: position(seq),
        ts: 1,
        author: None,
        body: Body::Chat {
            content: Json::null(),
        },
    }
}

const fn position(seq: u64) -> Position {
    Position {
        epoch: Epoch::from_random(9),
        seq,
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

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
