//! Where a stream of rooms stands: the `id:` of its events, which comes back as `Last-Event-ID`.

use std::fmt::Write as _;

use bytes::Bytes;
use nuncio_model::{Epoch, Position, RoomName};

/// The rooms of a stream in the order in which they were asked for, each with the position up to which the stream has told it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<(RoomName, Option<Position>)>);

/// Stands for a room whose position is not known.
const UNKNOWN: &str = "-";

impl Places {
    /// Rooms whose positions are not known yet.
    pub fn new(rooms: impl IntoIterator<Item = RoomName>) -> Self {
        Self(rooms.into_iter().map(|room| (room, None)).collect())
    }

    /// Notes where a room stands. `false` when it is none of the stream's.
    pub fn set(&mut self, room: &str, position: Position) -> bool {
        let place = self.0.iter_mut().find(|(name, _)| &**name == room);
        place.is_some_and(|(_, known)| {
            *known = Some(position);
            true
        })
    }

    /// The rooms.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.0.iter().map(|(room, _)| room)
    }

    /// The `id:` line of the next event: one position for each room.
    pub fn id(&self) -> Bytes {
        let mut line = String::with_capacity(8 + self.0.len() * 20);
        line.push_str("id: ");
        for (index, (_, position)) in self.0.iter().enumerate() {
            if index > 0 {
                line.push(',');
            }
            let written = match position {
                Some(Position { epoch, seq }) => write!(line, "{epoch}.{seq}"),
                None => line.write_str(UNKNOWN),
            };
            written.expect("a text takes everything");
        }
        line.push('\n');
        line.into()
    }
}

/// Reads a `Last-Event-ID` for a stream of so many rooms. `None` when it is of another stream: then nothing is known of any room.
pub fn parse_places(id: &str, rooms: usize) -> Option<Vec<Option<Position>>> {
    let places: Option<Vec<_>> = id.trim().split(',').take(rooms + 1).map(place).collect();
    places.filter(|places| places.len() == rooms)
}

fn place(text: &str) -> Option<Option<Position>> {
    if text == UNKNOWN {
        return Some(None);
    }
    let (epoch, seq) = text.split_once('.')?;
    let epoch = epoch.parse::<Epoch>().ok()?;
    let seq = seq
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| seq.parse().ok())??;
    Some(Some(Position { epoch, seq }))
}
