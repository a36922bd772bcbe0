//! Messages of rooms: the hot path.

use bytes::Bytes;
use nuncio_model::{Body, Publication};

use super::text::{Text, digits_len, escaped_len};

/// A publication as its room's members receive it: `chat:message` or `event`, with its `seq`.
///
/// `epoch` is told where it changed, which is at `seq` 1. `userId` is left out for what the backend published. One allocation.
pub fn publication(publication: &Publication) -> Bytes {
    let mut text = Text::with_capacity(len(publication) + 1);
    write(&mut text, publication);
    text.close()
}

/// Writes a publication without its last brace, for [`publication`] and for a history's array.
pub(crate) fn write(text: &mut Text, publication: &Publication) {
    match &publication.body {
        Body::Chat { content } => {
            text.raw(CHAT);
            text.plain("id", publication.id);
            position(text, publication);
            text.string("roomId", &publication.room);
            author(text, publication);
            text.json("content", content);
            text.number("ts", publication.ts);
        }
        Body::Event {
            name,
            data,
            attachments: _,
        } => {
            text.raw(EVENT);
            text.string("event", name);
            text.json("data", data);
            text.string("roomId", &publication.room);
            position(text, publication);
            text.plain("id", publication.id);
            text.number("ts", publication.ts);
            author(text, publication);
        }
    }
}

/// The bytes that [`write()`] will write, exactly: a buffer of another size would be allocated twice.
pub(crate) fn len(publication: &Publication) -> usize {
    let body = match &publication.body {
        Body::Chat { content } => CHAT.len() + ",\"content\":".len() + content.as_bytes().len(),
        Body::Event {
            name,
            data,
            attachments: _,
        } => {
            let keys = ",\"event\":\"\",\"data\":".len();
            EVENT.len() + keys + escaped_len(name) + data.as_bytes().len()
        }
    };
    let author = publication.author.as_deref();
    let epoch = if begins_epoch(publication) {
        EPOCH_LEN
    } else {
        0
    };
    body + ",\"id\":\"\",\"seq\":,\"roomId\":\"\",\"ts\":".len()
        + ID_LEN
        + digits_len(publication.position.seq)
        + epoch
        + escaped_len(&publication.room)
        + author.map_or(0, |author| ",\"userId\":\"\"".len() + escaped_len(author))
        + digits_len(publication.ts)
}

fn position(text: &mut Text, publication: &Publication) {
    text.number("seq", publication.position.seq);
    if begins_epoch(publication) {
        text.plain("epoch", publication.position.epoch);
    }
}

fn author(text: &mut Text, publication: &Publication) {
    if let Some(author) = &publication.author {
        text.string("userId", author);
    }
}

const fn begins_epoch(publication: &Publication) -> bool {
    publication.position.seq == 1
}

const CHAT: &str = r#"{"type":"chat:message""#;
const EVENT: &str = r#"{"type":"event""#;
/// Characters of a `MessageId`.
const ID_LEN: usize = 26;
/// The field with its value, 11 characters.
const EPOCH_LEN: usize = ",\"epoch\":\"\"".len() + 11;
