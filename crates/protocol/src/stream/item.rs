//! A message as it waits for streams and polls.

use bytes::{BufMut, Bytes, BytesMut};
use nuncio_model::{Epoch, Position, RoomName};

/// What stands before the text of an event, and behind it.
const DATA: &[u8] = b"data: ";
const END: &[u8] = b"\n\n";

/// Writes a message for all streams and polls: a line with the room and the position, empty for what has none, then the event.
///
/// JSON that came from clients may have line breaks between its tokens, where they mean no more than a space; in an event they would end the line.
pub fn item(place: Option<(&RoomName, Position)>, text: &[u8]) -> Bytes {
    let mut item =
        BytesMut::with_capacity(text.len() + 64 + place.map_or(0, |(room, _)| room.len()));
    if let Some((room, Position { epoch, seq })) = place {
        // No name has a control character, so this one ends it.
        item.extend_from_slice(format!("{room}\t{epoch}\t{seq}").as_bytes());
    }
    item.put_u8(b'\n');
    item.extend_from_slice(DATA);
    let start = item.len();
    item.extend_from_slice(text);
    for byte in &mut item[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    item.extend_from_slice(END);
    item.freeze()
}

/// Takes items apart that were joined. Nothing is copied.
pub fn items(mut joined: Bytes) -> impl Iterator<Item = Item> {
    std::iter::from_fn(move || {
        let head = line_len(&joined)?;
        let event = line_len(&joined[head + 1..])? + END.len();
        let head = joined.split_to(head + 1);
        let event = joined.split_to(event.min(joined.len()));
        Some(Item { head, event })
    })
}

/// Writes an event that has no position.
pub fn event(text: &[u8]) -> Bytes {
    let mut item = item(None, text);
    item.split_off(1)
}

fn line_len(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    head: Bytes,
    event: Bytes,
}

impl Item {
    /// The room and the position, of a message that has them.
    pub fn place(&self) -> Option<(&str, Position)> {
        let head = std::str::from_utf8(&self.head).ok()?;
        let mut words = head.trim_end_matches('\n').split('\t');
        let (room, epoch, seq) = (words.next()?, words.next()?, words.next()?);
        let position = Position {
            epoch: epoch.parse::<Epoch>().ok()?,
            seq: seq.parse().ok()?,
        };
        Some((room, position))
    }

    /// The `data:` line and the empty one behind it.
    pub const fn event(&self) -> &Bytes {
        &self.event
    }

    /// The message alone.
    pub fn text(&self) -> Bytes {
        text_of(&self.event)
    }
}

/// The message in an event.
pub(super) fn text_of(event: &Bytes) -> Bytes {
    event.slice(DATA.len()..event.len() - END.len())
}
