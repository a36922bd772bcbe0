//! How the publications that one commit brings to one room are written: a block, little-endian, lengths as varints (LEB128).
//!
//! ```text
//! block   = version=1  kind  count  newest_ts:u64  newest_key_ts:u64  content_bytes  keys  entry*
//! entry   = offset  id:u128  ts:u64  flags  [author]  [key]  [body]      kind 0 has an entry and a body for each publication,
//! body    = text                                        (chat)          kind 1 only what its idempotency keys answer with
//!         | text  text  attachments  bytes*             (event: name, data)
//! ```
//!
//! `offset` counts from the block's first `seq`, which stands in the key of its row, as the room does.

use bytes::Bytes;
use nuncio_model::{
    Body, EventName, IdempotencyKey, Json, MessageId, NameError, Publication, UserId,
};

/// What the header of a block says, and where it begins: enough to decide when it may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// The `seq` of its first publication.
    pub(crate) first_seq: u64,
    /// Whether the publications are there, or only their keys.
    pub(crate) kind: Kind,
    /// How many `seq` it covers.
    pub(crate) count: u64,
    /// The latest time label in it.
    pub(crate) newest_ts: u64,
    /// The latest time label of a publication with a key; 0 without any.
    pub(crate) newest_key_ts: u64,
    /// Bytes of content, as history limits count them.
    pub(crate) bytes: u64,
    /// How many idempotency keys are in it.
    pub(crate) keys: u64,
}

/// Whether a block holds publications or only what their idempotency keys answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All publications.
    Whole,
    /// The history has let go of the publications, the keys live longer.
    KeysOnly,
}

/// One publication of a block, but for what its row's key says: namespace, room, epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) id: MessageId,
    pub(crate) ts: u64,
    pub(crate) author: Option<UserId>,
    pub(crate) key: Option<IdempotencyKey>,
    /// `None` in a block of keys.
    pub(crate) body: Option<Body>,
}

/// The bytes are not a block of this version: the file is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the block ends early")]
    Truncated,
    #[error("{0} bytes follow the block")]
    Trailing(usize),
    #[error("block of version {0}, 1 is known")]
    Version(u8),
    #[error("{0} is not a kind of block or content")]
    Kind(u8),
    #[error("a number is too large")]
    Number,
    #[error("text is not UTF-8")]
    Utf8,
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Block {
    /// The `seq` of its last publication.
    pub(crate) const fn last_seq(&self) -> u64 {
        self.first_seq + self.count - 1
    }

    /// Reads the header only.
    pub(crate) fn decode_header(first_seq: u64, bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader { rest: bytes }.header(first_seq)
    }

    /// Reads a whole block. Contents are slices of `bytes`, not copies.
    pub(crate) fn decode(first_seq: u64, bytes: &Bytes) -> Result<(Self, Vec<Entry>), DecodeError> {
        let mut reader = Reader { rest: bytes };
        let block = reader.header(first_seq)?;
        let entries = match block.kind {
            Kind::Whole => block.count,
            Kind::KeysOnly => block.keys,
        };
        let entries = (0..entries)
            .map(|_| reader.entry(&block, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        if !reader.rest.is_empty() {
            return Err(DecodeError::Trailing(reader.rest.len()));
        }
        Ok((block, entries))
    }
}

/// Writes the publications of one commit and one room, in order of `seq`.
///
/// # Panics
/// When there are none.
pub(crate) fn encode<'a>(
    publications: impl ExactSizeIterator<Item = (&'a Publication, Option<&'a IdempotencyKey>)> + Clone,
) -> (Block, Vec<u8>) {
    let (first, _) = publications
        .clone()
        .next()
        .expect("a block has publications");
    let mut block = Block {
        first_seq: first.position.seq,
        kind: Kind::Whole,
        count: publications.len() as u64,
        newest_ts: 0,
        newest_key_ts: 0,
        bytes: 0,
        keys: 0,
    };
    for (publication, key) in publications.clone() {
        block.newest_ts = block.newest_ts.max(publication.ts);
        block.bytes += publication.body.len() as u64;
        if key.is_some() {
            block.newest_key_ts = block.newest_key_ts.max(publication.ts);
            block.keys += 1;
        }
    }
    let mut bytes = Vec::with_capacity(block.bytes as usize + 48 * publications.len() + 32);
    write_header(&block, &mut bytes);
    for (publication, key) in publications {
        let offset = publication.position.seq - block.first_seq;
        write_entry_head(offset, publication.id, publication.ts, &mut bytes);
        bytes.push(flags(
            publication.author.is_some(),
            key.is_some(),
            Some(&publication.body),
        ));
        write_names(publication.author.as_ref(), key, &mut bytes);
        write_body(&publication.body, &mut bytes);
    }
    (block, bytes)
}

/// What remains of a block when the history lets its publications go before the keys expire; `None` when it has no keys.
pub(crate) fn keys_only(block: &Block, entries: &[Entry]) -> Option<(Block, Vec<u8>)> {
    let keyed: Vec<_> = entries.iter().filter(|entry| entry.key.is_some()).collect();
    if keyed.is_empty() {
        return None;
    }
    let block = Block {
        kind: Kind::KeysOnly,
        bytes: 0,
        ..*block
    };
    let mut bytes = Vec::with_capacity(64 * keyed.len() + 32);
    write_header(&block, &mut bytes);
    for entry in keyed {
        write_entry_head(entry.seq - block.first_seq, entry.id, entry.ts, &mut bytes);
        bytes.push(flags(entry.author.is_some(), true, None));
        write_names(entry.author.as_ref(), entry.key.as_ref(), &mut bytes);
    }
    Some((block, bytes))
}

fn write_header(block: &Block, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.push(match block.kind {
        Kind::Whole => 0,
        Kind::KeysOnly => 1,
    });
    write_varint(block.count, out);
    out.extend_from_slice(&block.newest_ts.to_le_bytes());
    out.extend_from_slice(&block.newest_key_ts.to_le_bytes());
    write_varint(block.bytes, out);
    write_varint(block.keys, out);
}

fn write_entry_head(offset: u64, id: MessageId, ts: u64, out: &mut Vec<u8>) {
    write_varint(offset, out);
    out.extend_from_slice(&id.to_u128().to_le_bytes());
    out.extend_from_slice(&ts.to_le_bytes());
}

pub(crate) fn flags(has_author: bool, has_key: bool, body: Option<&Body>) -> u8 {
    let body = match body {
        None => 0,
        Some(Body::Chat { .. }) => FLAG_CHAT,
        Some(Body::Event { .. }) => FLAG_EVENT,
    };
    body | if has_author { FLAG_AUTHOR } else { 0 } | if has_key { FLAG_KEY } else { 0 }
}

fn write_names(author: Option<&UserId>, key: Option<&IdempotencyKey>, out: &mut Vec<u8>) {
    if let Some(author) = author {
        write_bytes(author.as_bytes(), out);
    }
    if let Some(key) = key {
        write_bytes(key.as_bytes(), out);
    }
}

pub(crate) fn write_body(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Chat { content } => write_bytes(content.as_bytes(), out),
        Body::Event {
            name,
            data,
            attachments,
        } => {
            write_bytes(name.as_bytes(), out);
            write_bytes(data.as_bytes(), out);
            write_varint(attachments.len() as u64, out);
            attachments
                .iter()
                .for_each(|attachment| write_bytes(attachment, out));
        }
    }
}

pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub(crate) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn header(&mut self, first_seq: u64) -> Result<Block, DecodeError> {
        let version = self.byte()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let kind = match self.byte()? {
            0 => Kind::Whole,
            1 => Kind::KeysOnly,
            other => return Err(DecodeError::Kind(other)),
        };
        let block = Block {
            first_seq,
            kind,
            count: self.varint()?,
            newest_ts: u64::from_le_bytes(self.array()?),
            newest_key_ts: u64::from_le_bytes(self.array()?),
            bytes: self.varint()?,
            keys: self.varint()?,
        };
        // So that `last_seq` cannot overflow, nor a count ask for memory that the block cannot fill.
        let fits = block.count > 0 && first_seq.checked_add(block.count).is_some();
        if fits {
            Ok(block)
        } else {
            Err(DecodeError::Number)
        }
    }

    fn entry(&mut self, block: &Block, whole: &Bytes) -> Result<Entry, DecodeError> {
        let offset = self.varint()?;
        if offset >= block.count {
            return Err(DecodeError::Number);
        }
        let id = MessageId::from_u128(u128::from_le_bytes(self.array()?));
        let ts = u64::from_le_bytes(self.array()?);
        let flags = self.byte()?;
        let author = self.optional(flags & FLAG_AUTHOR, UserId::parse)?;
        let key = self.optional(flags & FLAG_KEY, IdempotencyKey::parse)?;
        let body = self.body(flags, whole)?;
        if body.is_none() != (block.kind == Kind::KeysOnly) {
            return Err(DecodeError::Kind(flags));
        }
        Ok(Entry {
            seq: block.first_seq + offset,
            id,
            ts,
            author,
            key,
            body,
        })
    }

    pub(crate) fn body(&mut self, flags: u8, whole: &Bytes) -> Result<Option<Body>, DecodeError> {
        match flags & !(FLAG_AUTHOR | FLAG_KEY) {
            0 => Ok(None),
            FLAG_CHAT => Ok(Some(Body::Chat {
                content: self.json(whole)?,
            })),
            FLAG_EVENT => self.event(whole).map(Some),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn event(&mut self, whole: &Bytes) -> Result<Body, DecodeError> {
        let name = EventName::parse(self.text()?)?;
        let data = self.json(whole)?;
        let count = self.varint()?;
        let attachments = (0..count)
            .map(|_| self.bytes().map(|bytes| whole.slice_ref(bytes)))
            .collect::<Result<_, _>>()?;
        Ok(Body::Event {
            name,
            data,
            attachments,
        })
    }

    pub(crate) fn optional<T>(
        &mut self,
        flag: u8,
        parse: impl Fn(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, DecodeError> {
        if flag == 0 {
            Ok(None)
        } else {
            Ok(Some(parse(self.text()?)?))
        }
    }

    pub(crate) fn json(&mut self, whole: &Bytes) -> Result<Json, DecodeError> {
        let text = self.text()?;
        Ok(Json::from_checked(whole.slice_ref(text.as_bytes())))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.varint()?).map_err(|_| DecodeError::Number)?;
        self.take(len)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Number)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)
            .map(|bytes| bytes.try_into().expect("exactly N were taken"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The only version there is. A new one is written by new blocks only; this one stays readable.
pub(crate) const VERSION: u8 = 1;

pub(crate) const FLAG_AUTHOR: u8 = 1;
pub(crate) const FLAG_KEY: u8 = 2;
const FLAG_CHAT: u8 = 4;
const FLAG_EVENT: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use nuncio_model::{Epoch, Namespace, Position, RoomName};
    use proptest::prelude::*;

    #[test]
    fn a_block_is_written_as_the_module_says() {
        let publication = Publication {
            id: MessageId::from_u128(0x0102),
            author: Some(UserId::parse("ann").unwrap()),
            ..publication(
                7,
                300,
                Body::Chat {
                    content: Json::parse("\"hi\"").unwrap(),
                },
            )
        };
        let key = IdempotencyKey::parse("k1").unwrap();

        let (block, bytes) = encode([(&publication, Some(&key))].into_iter());

        let expected: &[&[u8]] = &[
            &[1, 0, 1],
            &[0x2C, 1, 0, 0, 0, 0, 0, 0],
            &[0x2C, 1, 0, 0, 0, 0, 0, 0],
            &[4, 1],
            &[0],
            &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x2C, 1, 0, 0, 0, 0, 0, 0],
            &[0b111],
            b"\x03ann",
            b"\x02k1",
            b"\x04\"hi\"",
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!((block.first_seq, block.last_seq(), block.keys), (7, 7, 1));
    }

    #[test]
    fn a_block_of_another_version_is_refused() {
        assert_eq!(
            Block::decode_header(1, &[2, 0]),
            Err(DecodeError::Version(2))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(messages in messages(), first_seq in 1u64..1 << 53) {
            let publications = numbered(&messages, first_seq);
            let keys = messages.iter().map(|message| message.key.as_ref());

            let (block, bytes) = encode(publications.iter().zip(keys));
            let (decoded, entries) = Block::decode(first_seq, &Bytes::from(bytes.clone())).unwrap();

            prop_assert_eq!(Block::decode_header(first_seq, &bytes).unwrap(), block);
            prop_assert_eq!(decoded, block);
            prop_assert_eq!(entries.len(), publications.len());
            for ((entry, publication), message) in entries.iter().zip(&publications).zip(&messages) {
                prop_assert_eq!(entry.seq, publication.position.seq);
                prop_assert_eq!(entry.id, publication.id);
                prop_assert_eq!(entry.ts, publication.ts);
                prop_assert_eq!(&entry.author, &publication.author);
                prop_assert_eq!(entry.body.as_ref(), Some(&publication.body));
                prop_assert_eq!(&entry.key, &message.key);
            }
        }

        #[test]
        fn a_stripped_block_keeps_exactly_the_keyed_entries(messages in messages()) {
            let publications = numbered(&messages, 5);
            let keys = messages.iter().map(|message| message.key.as_ref());
            let (_, bytes) = encode(publications.iter().zip(keys));
            let (block, entries) = Block::decode(5, &bytes.into()).unwrap();

            let Some((stripped, bytes)) = keys_only(&block, &entries) else {
                prop_assert_eq!(block.keys, 0);
                return Ok(());
            };
            let (decoded, kept) = Block::decode(5, &bytes.into()).unwrap();

            prop_assert_eq!(stripped, decoded);
            prop_assert_eq!(decoded.last_seq(), block.last_seq());
            let keyed = entries.into_iter().filter(|entry| entry.key.is_some());
            prop_assert_eq!(kept, keyed.map(|entry| Entry { body: None, ..entry }).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), seq in any::<u64>()) {
            let _ = Block::decode(seq, &bytes.into());
        }

        #[test]
        fn a_cut_or_changed_block_is_an_error_or_a_block_but_never_a_panic(messages in messages(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let publications = numbered(&messages, 1);
            let (_, mut bytes) = encode(publications.iter().map(|publication| (publication, None)));
            let at = at.index(bytes.len());

            prop_assert!(Block::decode(1, &Bytes::copy_from_slice(&bytes[..at])).is_err());
            bytes[at] = byte;
            let _ = Block::decode(1, &bytes.into());
        }
    }

    #[derive(Debug, Clone)]
    struct Message {
        id: u128,
        ts: u64,
        author: Option<UserId>,
        key: Option<IdempotencyKey>,
        body: Body,
    }

    fn messages() -> impl Strategy<Value = Vec<Message>> {
        let author =
            proptest::option::of("[a-zé]{1,20}".prop_map(|name| UserId::parse(&name).unwrap()));
        let key = proptest::option::of(
            "[a-z0-9]{1,64}".prop_map(|key| IdempotencyKey::parse(&key).unwrap()),
        );
        let message = (any::<u128>(), any::<u64>(), author, key, body()).prop_map(
            |(id, ts, author, key, body)| Message {
                id,
                ts,
                author,
                key,
                body,
            },
        );
        proptest::collection::vec(message, 1..8)
    }

    fn body() -> impl Strategy<Value = Body> {
        let json = || ".{0,300}".prop_map(|text| Json::of(&text));
        let attachments =
            proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..3);
        prop_oneof![
            json().prop_map(|content| Body::Chat { content }),
            ("[a-z:]{1,30}", json(), attachments).prop_map(|(name, data, attachments)| {
                Body::Event {
                    name: EventName::parse(&name).unwrap(),
                    data,
                    attachments: attachments.into_iter().map(Bytes::from).collect(),
                }
            }),
        ]
    }

    fn numbered(messages: &[Message], first_seq: u64) -> Vec<Publication> {
        messages
            .iter()
            .zip(first_seq..)
            .map(|(message, seq)| Publication {
                id: MessageId::from_u128(message.id),
                author: message.author.clone(),
                ..publication(seq, message.ts, message.body.clone())
            })
            .collect()
    }

    fn publication(seq: u64, ts: u64, body: Body) -> Publication {
        Publication {
            id: MessageId::new(ts, 0),
            namespace: Namespace::default(),
            room: RoomName::parse("r").unwrap(),
            position: Position {
                epoch: Epoch::from_random(1),
                seq,
            },
            ts,
            author: None,
            body,
        }
    }
}
