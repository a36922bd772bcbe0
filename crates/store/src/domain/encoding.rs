//! How messages and sessions of an order domain are written: little-endian, lengths as varints, as in a room's blocks.
//!
//! ```text
//! row      = version=1  entry*
//! entry    = ordinal  namespace  target  count target*  content            the targets after the first are the exceptions
//! target   = 0 | 1 count room* | 2 count socket:15* | 3 user               everyone, rooms, sockets, a user
//! content  = 0 room  epoch:u64  seq  id:u128  ts:u64  flags [author] body  a publication
//!          | 1 ts:u64  flags [room] [author] body                          an event
//!          | 2 ts:u64  flags [socket:15] [user] json                       a private message
//! record   = version=1  secret:16  namespace  user  flags [issued] [token] start  known  count span*  [data]
//! span     = room  from  until                                             until 0: it is there still, else 1 more
//! ```

use std::sync::Arc;

use bytes::Bytes;
use nuncio_hub::{Entry, Record, Span, TokenMark};
use nuncio_model::{
    Compression, Content, Epoch, MessageId, Namespace, Position, Publication, Push, RoomName,
    SocketId, Target, UserId,
};

use crate::encoding::{
    DecodeError, FLAG_AUTHOR, FLAG_KEY, Reader, VERSION, flags, write_body, write_bytes,
    write_varint,
};

/// What a private message and a record have where a block has a key.
const FLAG_FIRST: u8 = FLAG_AUTHOR;
const FLAG_SECOND: u8 = FLAG_KEY;
const FLAG_DATA: u8 = 4;

/// Writes the messages of one commit.
pub(crate) fn write_entries(entries: &[Arc<Entry>]) -> Vec<u8> {
    let mut row = vec![VERSION];
    for entry in entries {
        write_entry(entry, &mut row);
    }
    row
}

fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    write_varint(entry.ordinal, out);
    write_bytes(entry.namespace.as_bytes(), out);
    write_target(&entry.target, out);
    write_varint(entry.except.len() as u64, out);
    for target in &entry.except {
        write_target(target, out);
    }
    match &entry.content {
        Content::Publication(publication) => write_publication(publication, out),
        Content::Push(push) => write_push(push, out),
    }
}

fn write_target(target: &Target, out: &mut Vec<u8>) {
    match target {
        Target::Everyone => out.push(0),
        Target::Rooms(rooms) => {
            out.push(1);
            write_varint(rooms.len() as u64, out);
            rooms
                .iter()
                .for_each(|room| write_bytes(room.as_bytes(), out));
        }
        Target::Sockets(sockets) => {
            out.push(2);
            write_varint(sockets.len() as u64, out);
            for socket in sockets {
                out.extend_from_slice(socket.as_bytes());
            }
        }
        Target::User(user) => {
            out.push(3);
            write_bytes(user.as_bytes(), out);
        }
    }
}

fn write_publication(publication: &Publication, out: &mut Vec<u8>) {
    let Publication {
        id,
        room,
        position,
        ts,
        author,
        body,
        ..
    } = publication;
    out.push(0);
    write_bytes(room.as_bytes(), out);
    out.extend_from_slice(&position.epoch.to_bits().to_le_bytes());
    write_varint(position.seq, out);
    out.extend_from_slice(&id.to_u128().to_le_bytes());
    out.extend_from_slice(&ts.to_le_bytes());
    out.push(flags(author.is_some(), false, Some(body)));
    write_optional(author.as_deref(), out);
    write_body(body, out);
}

/// What the hub does not order is never given to a ledger.
fn write_push(push: &Push, out: &mut Vec<u8>) {
    match push {
        Push::Event {
            name,
            data,
            attachments,
            room,
            author,
            ts,
            compression: _,
        } => {
            let body = nuncio_model::Body::Event {
                name: name.clone(),
                data: data.clone(),
                attachments: attachments.clone(),
            };
            out.push(1);
            out.extend_from_slice(&ts.to_le_bytes());
            out.push(flags(author.is_some(), room.is_some(), Some(&body)));
            write_optional(room.as_deref(), out);
            write_optional(author.as_deref(), out);
            write_body(&body, out);
        }
        Push::Private {
            from,
            from_user,
            content,
            ts,
        } => {
            out.push(2);
            out.extend_from_slice(&ts.to_le_bytes());
            out.push(flags(from_user.is_some(), from.is_some(), None));
            if let Some(from) = from {
                out.extend_from_slice(from.as_bytes());
            }
            write_optional(from_user.as_deref(), out);
            write_bytes(content.as_bytes(), out);
        }
        Push::Question { .. }
        | Push::Joined { .. }
        | Push::Left { .. }
        | Push::Typing { .. }
        | Push::Presence { .. }
        | Push::PresenceCount { .. }
        | Push::Position { .. }
        | Push::Removed { .. }
        | Push::Reconnect { .. }
        | Push::Expiring { .. } => unreachable!("{push:?} has no place in an order"),
    }
}

fn write_optional(text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        write_bytes(text.as_bytes(), out);
    }
}

/// Writes a session.
pub(crate) fn write_record(record: &Record) -> Vec<u8> {
    let Record {
        secret,
        namespace,
        user,
        token,
        start,
        known_from,
        spans,
        data,
    } = record;
    let mut out = vec![VERSION];
    out.extend_from_slice(secret);
    write_bytes(namespace.as_bytes(), &mut out);
    write_bytes(user.as_bytes(), &mut out);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(
        flag(token.issued_at.is_some(), FLAG_FIRST)
            | flag(token.id.is_some(), FLAG_SECOND)
            | flag(data.is_some(), FLAG_DATA),
    );
    if let Some(issued_at) = token.issued_at {
        write_varint(issued_at, &mut out);
    }
    write_optional(token.id.as_deref(), &mut out);
    write_varint(*start, &mut out);
    write_varint(*known_from, &mut out);
    write_varint(spans.len() as u64, &mut out);
    for Span { room, from, until } in spans {
        write_bytes(room.as_bytes(), &mut out);
        write_varint(*from, &mut out);
        write_varint(until.map_or(0, |until| until + 1), &mut out);
    }
    if let Some(data) = data {
        write_bytes(data, &mut out);
    }
    out
}

/// Reads the messages of one row.
pub(crate) fn read_entries(row: &Bytes) -> Result<Vec<Arc<Entry>>, DecodeError> {
    let mut reader = Reader { rest: row };
    reader.version()?;
    let mut entries = Vec::new();
    while !reader.rest.is_empty() {
        entries.push(Arc::new(reader.domain_entry(row)?));
    }
    Ok(entries)
}

/// Reads a session.
pub(crate) fn read_record(row: &Bytes) -> Result<Record, DecodeError> {
    let mut reader = Reader { rest: row };
    reader.version()?;
    let secret = reader.array()?;
    let namespace = Namespace::parse(reader.text()?)?;
    let user = UserId::parse(reader.text()?)?;
    let flags = reader.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let issued_at = has(FLAG_FIRST).then(|| reader.varint()).transpose()?;
    let id = has(FLAG_SECOND).then(|| reader.text()).transpose()?;
    let token = TokenMark {
        issued_at,
        id: id.map(Into::into),
    };
    let (start, known_from, count) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let spans = (0..count)
        .map(|_| reader.span())
        .collect::<Result<_, _>>()?;
    let data = has(FLAG_DATA).then(|| reader.bytes()).transpose()?;
    Ok(Record {
        secret,
        namespace,
        user,
        token,
        start,
        known_from,
        spans,
        data: data.map(|data| row.slice_ref(data)),
    })
}

impl Reader<'_> {
    fn version(&mut self) -> Result<(), DecodeError> {
        match self.byte()? {
            VERSION => Ok(()),
            other => Err(DecodeError::Version(other)),
        }
    }

    fn span(&mut self) -> Result<Span, DecodeError> {
        let room = RoomName::parse(self.text()?)?;
        let (from, until) = (self.varint()?, self.varint()?);
        let until = until.checked_sub(1);
        Ok(Span { room, from, until })
    }

    fn domain_entry(&mut self, whole: &Bytes) -> Result<Entry, DecodeError> {
        let ordinal = self.varint()?;
        let namespace = Namespace::parse(self.text()?)?;
        let target = self.target()?;
        let count = self.varint()?;
        let except = (0..count)
            .map(|_| self.target())
            .collect::<Result<_, _>>()?;
        let content = match self.byte()? {
            0 => Content::Publication(Arc::new(self.publication(&namespace, whole)?)),
            1 => Content::Push(Arc::new(self.pushed_event(whole)?)),
            2 => Content::Push(Arc::new(self.private(whole)?)),
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Entry {
            ordinal,
            namespace,
            target,
            except,
            content,
        })
    }

    fn target(&mut self) -> Result<Target, DecodeError> {
        match self.byte()? {
            0 => Ok(Target::Everyone),
            1 => {
                let count = self.varint()?;
                let rooms = (0..count).map(|_| Ok(RoomName::parse(self.text()?)?));
                rooms.collect::<Result<_, DecodeError>>().map(Target::Rooms)
            }
            2 => {
                let count = self.varint()?;
                let sockets = (0..count).map(|_| self.array().map(SocketId::from_random));
                sockets.collect::<Result<_, _>>().map(Target::Sockets)
            }
            3 => Ok(Target::User(UserId::parse(self.text()?)?)),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn publication(
        &mut self,
        namespace: &Namespace,
        whole: &Bytes,
    ) -> Result<Publication, DecodeError> {
        let room = RoomName::parse(self.text()?)?;
        let epoch = Epoch::from_random(u64::from_le_bytes(self.array()?));
        let position = Position {
            epoch,
            seq: self.varint()?,
        };
        let id = MessageId::from_u128(u128::from_le_bytes(self.array()?));
        let ts = u64::from_le_bytes(self.array()?);
        let flags = self.byte()?;
        let author = self.optional(flags & FLAG_AUTHOR, UserId::parse)?;
        let body = self.body(flags, whole)?;
        Ok(Publication {
            id,
            namespace: namespace.clone(),
            room,
            position,
            ts,
            author,
            body: body.ok_or(DecodeError::Kind(flags))?,
        })
    }

    fn pushed_event(&mut self, whole: &Bytes) -> Result<Push, DecodeError> {
        let ts = u64::from_le_bytes(self.array()?);
        let flags = self.byte()?;
        let room = self.optional(flags & FLAG_KEY, RoomName::parse)?;
        let author = self.optional(flags & FLAG_AUTHOR, UserId::parse)?;
        let Some(nuncio_model::Body::Event {
            name,
            data,
            attachments,
        }) = self.body(flags, whole)?
        else {
            return Err(DecodeError::Kind(flags));
        };
        Ok(Push::Event {
            name,
            data,
            attachments,
            room,
            author,
            ts,
            compression: Compression::AsAgreed,
        })
    }

    fn private(&mut self, whole: &Bytes) -> Result<Push, DecodeError> {
        let ts = u64::from_le_bytes(self.array()?);
        let flags = self.byte()?;
        let from = (flags & FLAG_KEY != 0).then(|| self.array()).transpose()?;
        Ok(Push::Private {
            from: from.map(SocketId::from_random),
            from_user: self.optional(flags & FLAG_AUTHOR, UserId::parse)?,
            content: self.json(whole)?,
            ts,
        })
    }
}

#[cfg(test)]
mod tests {
    use nuncio_model::{Body, EventName, Json};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let room = |name: &str| RoomName::parse(name).unwrap();
        let user = || UserId::parse("ann").unwrap();
        let socket = SocketId::from_random([7; 15]);
        let data = Json::parse(r#"[{"_placeholder":true,"num":0}]"#).unwrap();
        let attachments: Box<[Bytes]> = Box::new([vec![1, 2].into()]);
        let name = EventName::parse("news").unwrap();
        let publication = |body| Publication {
            id: MessageId::from_u128(u128::MAX - 1),
            namespace: Namespace::parse("/chat").unwrap(),
            room: room("a"),
            position: Position {
                epoch: Epoch::from_random(u64::MAX),
                seq: 300,
            },
            ts: 5,
            author: Some(user()),
            body,
        };
        let event = |room, author| Push::Event {
            name: name.clone(),
            data: data.clone(),
            attachments: attachments.clone(),
            room,
            author,
            ts: u64::MAX,
            compression: Compression::AsAgreed,
        };
        let private = |from, from_user| Push::Private {
            from,
            from_user,
            content: Json::null(),
            ts: 1,
        };
        let chat = Body::Chat {
            content: Json::parse("1").unwrap(),
        };
        let body = Body::Event {
            name: name.clone(),
            data: data.clone(),
            attachments: attachments.clone(),
        };
        let contents = [
            Content::Publication(Arc::new(publication(chat))),
            Content::Publication(Arc::new(publication(body))),
            Content::Push(Arc::new(event(None, Some(user())))),
            Content::Push(Arc::new(event(Some(room("b")), None))),
            Content::Push(Arc::new(private(Some(socket), None))),
            Content::Push(Arc::new(private(None, Some(user())))),
        ];
        let targets = [
            Target::Everyone,
            Target::Rooms(vec![room("a"), room("b")]),
            Target::Sockets(vec![socket]),
            Target::User(user()),
        ];
        let entries: Vec<_> = contents
            .into_iter()
            .zip(targets.iter().cycle())
            .enumerate()
            .map(|(index, (content, target))| {
                Arc::new(Entry {
                    ordinal: 1000 + index as u64,
                    namespace: Namespace::parse("/chat").unwrap(),
                    target: target.clone(),
                    except: targets[..index % 4].to_vec(),
                    content,
                })
            })
            .collect();

        let row: Bytes = write_entries(&entries).into();

        assert_eq!(read_entries(&row), Ok(entries));
        for end in 1..row.len() - 1 {
            let cut = read_entries(&row.slice(..end));
            assert!(cut.is_err() || cut.unwrap().len() < 6, "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn sessions_are_read_as_they_were_written(
            secret in any::<[u8; 16]>(),
            issued_at in any::<Option<u64>>(),
            id in any::<bool>(),
            numbers in any::<(u32, u32)>(),
            spans in proptest::collection::vec(("[a-z]{1,9}", any::<u32>(), any::<Option<u32>>()), 0..5),
            data in any::<Option<Vec<u8>>>(),
        ) {
            let record = Record {
                secret,
                namespace: Namespace::default(),
                user: UserId::parse("ann").unwrap(),
                token: TokenMark { issued_at, id: id.then(|| "jti".into()) },
                start: numbers.0.into(),
                known_from: numbers.1.into(),
                spans: spans.into_iter().map(|(room, from, until)| Span {
                    room: RoomName::parse(&room).unwrap(),
                    from: from.into(),
                    until: until.map(Into::into),
                }).collect(),
                data: data.map(Into::into),
            };
            prop_assert_eq!(read_record(&write_record(&record).into()), Ok(record));
        }
    }
}
