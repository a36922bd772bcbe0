//! What a client knows, and what it checks of each line that comes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One client's knowledge, from the lines it has read.
#[derive(Debug, Default, Clone)]
pub(crate) struct View {
    pub(crate) rooms: BTreeMap<String, Seen>,
    /// Joins whose reply is not read yet, in their order; `None` for a room that it was in.
    joining: VecDeque<(String, Option<Seen>)>,
    /// Emits that must come; see [`View::read_event`].
    pub(crate) expected: BTreeSet<u64>,
    offline: BTreeSet<String>,
    /// Counts the contents of [`read_unordered`](Self::read_unordered).
    saying: u64,
    /// Content of the newest direct emit.
    direct: u64,
}

/// One room, as its member knows it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) epoch: String,
    /// The last publication.
    pub(crate) seq: u64,
    /// Up to here the reply of the join promised a replay.
    replay_until: u64,
    /// Content of the newest live message: numbers that grow in the order in which things were said.
    newest: u64,
    pub(crate) users: BTreeSet<String>,
}

/// Contents from here on are emits to sockets; below are what is said in rooms.
pub(crate) const DIRECT: u64 = 1 << 32;

impl View {
    /// The client asked for a room, and will get what follows `seq` after the reply.
    pub(crate) fn joins(&mut self, room: &str, seq: u64, users: BTreeSet<String>) {
        let seen = Seen {
            seq,
            users,
            ..Seen::default()
        };
        self.joining.push_back((room.to_owned(), Some(seen)));
    }

    /// The client asked for a room that it is in.
    pub(crate) fn joins_again(&mut self, room: &str) {
        self.joining.push_back((room.to_owned(), None));
    }

    pub(crate) fn read(&mut self, lines: &[String]) {
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            self.read_line(&words);
        }
    }

    /// Reads what concurrent publishers said: the numbers of the room are in order, the contents say nothing; who else comes and goes meanwhile is seen
    /// in full only by who was there from the start.
    pub(crate) fn read_unordered(&mut self, lines: &[String]) {
        for line in lines {
            let mut words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["joined", room, user] => {
                    self.room(room, &words).users.insert(user.to_owned());
                }
                ["left", room, user] => {
                    self.room(room, &words).users.remove(user);
                }
                ["online" | "offline", _] => {}
                ["say", ..] => {
                    words.pop();
                    self.saying += 1;
                    let content = self.saying.to_string();
                    words.push(&content);
                    self.read_line(&words);
                }
                _ => self.read_line(&words),
            }
        }
    }

    /// Users that it was told are offline.
    pub(crate) const fn offline(&self) -> &BTreeSet<String> {
        &self.offline
    }

    fn read_line(&mut self, words: &[&str]) {
        match *words {
            ["in", room, epoch, seq, _recovered] => self.read_joined(room, epoch, seq),
            ["replay", "say", room, epoch, seq, _] => self.read_said(room, epoch, seq, None, words),
            ["say", room, epoch, seq, content] => {
                self.read_said(room, epoch, seq, Some(content), words);
            }
            ["position", room, epoch, seq, ..] => {
                let seen = self.room(room, words);
                (seen.epoch, seen.seq) = (epoch.to_owned(), seq.parse().unwrap());
            }
            ["out", room, epoch, seq] => {
                let seen = self.rooms.remove(room).unwrap();
                assert_eq!(
                    (&*seen.epoch, seen.seq.to_string()),
                    (epoch, seq.to_owned()),
                    "at the end of {room}"
                );
            }
            ["joined", room, user] => {
                let is_new = self.room(room, words).users.insert(user.to_owned());
                assert!(is_new, "{words:?}: was there already");
            }
            ["left", room, user] => {
                let was_there = self.room(room, words).users.remove(user);
                assert!(was_there, "{words:?}: was not there");
            }
            ["online", user] => {
                self.offline.remove(user);
            }
            ["offline", user] => {
                let is_new = self.offline.insert(user.to_owned());
                assert!(is_new, "{words:?}: twice");
            }
            ["event" | "private", content] => self.read_event(content.parse().unwrap()),
            _ => panic!("what is {words:?}?"),
        }
    }

    fn read_joined(&mut self, room: &str, epoch: &str, seq: &str) {
        let (asked, new) = self.joining.pop_front().unwrap();
        assert_eq!(asked, room);
        let seq = seq.parse().unwrap();
        match new {
            Some(mut seen) => {
                (seen.epoch, seen.replay_until) = (epoch.to_owned(), seq);
                // Who is in the room is known to be online; nobody says so.
                self.offline.retain(|user| !seen.users.contains(user));
                let before = self.rooms.insert(asked, seen);
                assert!(before.is_none(), "{room} was not left");
            }
            None => {
                let seen = &self.rooms[room];
                assert_eq!((&*seen.epoch, seen.seq), (epoch, seq), "{room} again");
            }
        }
    }

    /// The next publication, exactly: of the replay, or live.
    fn read_said(
        &mut self,
        room: &str,
        epoch: &str,
        seq: &str,
        live: Option<&str>,
        words: &[&str],
    ) {
        let direct = self.direct;
        let seen = self.room(room, words);
        let expected = (seen.epoch.clone(), seen.seq + 1);
        assert_eq!(
            (epoch.to_owned(), seq.parse().unwrap()),
            expected,
            "{words:?}"
        );
        seen.seq += 1;
        match live {
            None => assert!(
                seen.seq <= seen.replay_until,
                "{words:?}: too much of a replay"
            ),
            Some(content) => {
                assert!(seen.seq > seen.replay_until, "{words:?}: not replayed");
                seen.comes(content.parse().unwrap(), direct, words);
            }
        }
    }

    /// An emit to a room takes its place among what is said there; one to sockets comes after all that was said before it.
    fn read_event(&mut self, content: u64) {
        assert!(
            self.expected.remove(&content),
            "{content} is not for this one, or came twice"
        );
        let order = content % DIRECT;
        if content >= DIRECT {
            let newest = self.rooms.values().map(|seen| seen.newest).max();
            assert!(
                newest < Some(order) || self.rooms.is_empty(),
                "{content} before {newest:?}"
            );
            assert!(self.direct < order, "direct emits out of order");
            self.direct = order;
        }
    }

    fn room(&mut self, room: &str, words: &[&str]) -> &mut Seen {
        let seen = self.rooms.get_mut(room);
        seen.unwrap_or_else(|| panic!("{words:?}: not in the room"))
    }
}

impl Seen {
    fn comes(&mut self, content: u64, direct: u64, words: &[&str]) {
        assert!(self.newest < content, "{words:?} after {}", self.newest);
        assert!(direct < content, "{words:?} after a direct emit of later");
        self.newest = content;
    }
}
