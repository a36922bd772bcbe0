//! Builds a room's log from its rows.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_hub::{Log, RoomKey};
use nuncio_model::{Body, HistoryLimits, Json, MessageId, Position, Publication};
use redb::{Database, ReadableDatabase};

use crate::blocks::Blocks;
use crate::encoding::{Block, Entry, Kind};
use crate::fault::Fault;
use crate::tables::{MESSAGES, ROOMS, first_epoch, name_of};

/// A room as it is on disk.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The number of the room; `None` before its first publication.
    pub(crate) id: Option<u64>,
    pub(crate) log: Log,
    pub(crate) blocks: Blocks,
}

/// Reads a room. O(what is kept of it).
pub(crate) fn load(
    database: &Database,
    salt: u64,
    key: &RoomKey,
    limits: &HistoryLimits,
    now_ms: u64,
) -> Result<Loaded, Fault> {
    let name = name_of(key);
    let transaction = database.begin_read()?;
    let row = transaction
        .open_table(ROOMS)?
        .get(name.as_slice())?
        .map(|row| row.value());
    let Some((id, epoch, seq)) = row else {
        let position = Position {
            epoch: first_epoch(salt, &name),
            seq: 0,
        };
        return Ok(Loaded {
            id: None,
            log: Log::new(position),
            blocks: Blocks::default(),
        });
    };
    let position = Position {
        epoch: nuncio_model::Epoch::from_random(epoch),
        seq,
    };
    let mut room = Rows {
        key,
        position,
        limits,
        now_ms,
        log: None,
        blocks: Blocks::default(),
    };
    for row in transaction
        .open_table(MESSAGES)?
        .range((id, 0)..=(id, u64::MAX))?
    {
        let (row, value) = row?;
        let (_, first_seq) = row.value();
        room.take(first_seq, value.value())
            .map_err(|reason| Fault::Damaged {
                room: id,
                first_seq,
                reason,
            })?;
    }
    let (mut log, blocks) = room.finish();
    log.trim(now_ms, limits);
    Ok(Loaded {
        id: Some(id),
        log,
        blocks,
    })
}

/// A room half read.
struct Rows<'a> {
    key: &'a RoomKey,
    /// What the room's row says.
    position: Position,
    limits: &'a HistoryLimits,
    now_ms: u64,
    /// `None` until something is found that counts.
    log: Option<Log>,
    blocks: Blocks,
}

impl Rows<'_> {
    fn take(&mut self, first_seq: u64, bytes: &[u8]) -> Result<(), crate::encoding::DecodeError> {
        let header = Block::decode_header(first_seq, bytes)?;
        let counts = match header.kind {
            Kind::Whole => true,
            Kind::KeysOnly => header.has_live_keys(self.limits, self.now_ms),
        };
        if counts {
            let (block, entries) = Block::decode(first_seq, &Bytes::copy_from_slice(bytes))?;
            self.push(&block, entries);
        }
        self.blocks.push(header);
        Ok(())
    }

    fn push(&mut self, block: &Block, entries: Vec<Entry>) {
        let before = Position {
            seq: block.first_seq - 1,
            ..self.position
        };
        let mut log = self.log.take().unwrap_or_else(|| Log::new(before));
        for entry in entries {
            let limits = match block.kind {
                Kind::Whole => self.limits.clone(),
                Kind::KeysOnly => HistoryLimits {
                    messages_max: 0,
                    ..self.limits.clone()
                },
            };
            self.skip_to(&mut log, entry.seq - 1);
            let key = entry.key.clone();
            log.push(Arc::new(self.publication(entry)), key, &limits);
        }
        if block.kind == Kind::KeysOnly {
            self.skip_to(&mut log, block.last_seq());
        }
        self.log = Some(log);
    }

    /// The numbering goes over what is gone, in order to reach the keys and publications after it.
    fn skip_to(&self, log: &mut Log, seq: u64) {
        let none = HistoryLimits {
            messages_max: 0,
            ..self.limits.clone()
        };
        while log.position().seq < seq {
            let seq = log.position().seq + 1;
            let gone = Entry {
                seq,
                id: MessageId::from_u128(0),
                ts: 0,
                author: None,
                key: None,
                body: None,
            };
            log.push(Arc::new(self.publication(gone)), None, &none);
        }
    }

    fn publication(&self, entry: Entry) -> Publication {
        Publication {
            id: entry.id,
            namespace: self.key.namespace.clone(),
            room: self.key.room.clone(),
            position: Position {
                seq: entry.seq,
                ..self.position
            },
            ts: entry.ts,
            author: entry.author,
            body: entry.body.unwrap_or(Body::Chat {
                content: Json::null(),
            }),
        }
    }

    fn finish(mut self) -> (Log, Blocks) {
        let mut log = self.log.take().unwrap_or_else(|| Log::new(self.position));
        if log.position().seq < self.position.seq {
            self.skip_to(&mut log, self.position.seq);
        }
        (log, self.blocks)
    }
}
