//! What a client knows of its session, and the test of each message.

use std::collections::BTreeSet;

use bytes::Bytes;
use nuncio_hub::Record;
use nuncio_model::{Offset, SocketId};

use super::Member;

pub(crate) const ROOMS: [&str; 3] = ["a", "b", "c"];

/// A message.
#[derive(Debug)]
pub(crate) struct Said {
    /// Who is to hear it: the sessions by their ids.
    pub(crate) to: Vec<SocketId>,
    /// The room that it was published to; an emit has none.
    pub(crate) published: Option<usize>,
    /// Whether it was acknowledged, or is known to be on disk.
    pub(crate) is_certain: bool,
}

/// A client's session.
pub(crate) struct Session {
    pub(crate) id: SocketId,
    pub(crate) secret: [u8; 16],
    pub(crate) user: &'static str,
    /// Its connection.
    pub(crate) live: Option<Member>,
    pub(crate) offset: Option<Offset>,
    pub(crate) rooms: BTreeSet<usize>,
    /// Rooms that it was about to join or leave when the power failed.
    pub(crate) perhaps: BTreeSet<usize>,
    /// What its data may be: the last that is certain, and what came after it.
    pub(crate) data: Vec<Option<Bytes>>,
    /// Whether the client was told that it is in, and not that it is over.
    pub(crate) is_certain: bool,
    pub(crate) heard: Vec<u64>,
}

impl Session {
    /// Holds what is left of it against what its client was told.
    pub(crate) fn check(&self, is_in: &[&str], data: &Option<Bytes>, seed: u64) {
        let (id, is_in) = (self.id, numbers(is_in));
        assert!(is_in.is_superset(&self.rooms), "{seed}: {id}: {is_in:?}");
        let possible = &self.rooms | &self.perhaps;
        assert!(is_in.is_subset(&possible), "{seed}: {id}: {is_in:?}");
        assert!(self.data.contains(data), "{seed}: {id}: {data:?}");
    }
}

pub(crate) fn numbers(rooms: &[&str]) -> BTreeSet<usize> {
    let number = |name: &&str| ROOMS.iter().position(|room| room == name).unwrap();
    rooms.iter().map(number).collect()
}

/// A session on disk says nothing of what is not there, and nothing twice.
pub(crate) fn check_record(id: SocketId, record: &Record, last: u64) {
    let places = record
        .spans
        .iter()
        .map(|span| span.until.unwrap_or(span.from));
    let newest = places.chain([record.start, record.known_from]).max();
    assert!(newest <= Some(last), "{id} is of the future: {record:?}");
    let open: Vec<_> = record
        .spans
        .iter()
        .filter(|span| span.until.is_none())
        .map(|span| &span.room)
        .collect();
    let rooms: BTreeSet<_> = open.iter().collect();
    assert_eq!(rooms.len(), open.len(), "{id} is in a room twice");
}
