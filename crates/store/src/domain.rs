//! The order domain on disk: what was said in it lately, and the sessions that may ask for that.
//!
//! ```text
//! order     ordinal    -> messages of one commit     the key is the first of them
//! sessions  socket id  -> record
//! meta      "order epoch", "order last", "order dropped"
//! ```
//!
//! A publication is in the same transaction as its place in the order.

pub(crate) mod encoding;

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nuncio_hub::{Deliver, Domain, Done, Entry, Ledger, Record, Restored};
use nuncio_model::{Epoch, Namespace, Refusal, SocketId};
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    WriteTransaction,
};

use crate::broker::StoreBroker;
use crate::fault::Fault;
use crate::queue::{Append, Write};
use crate::shared::{closing, full_queue};
use crate::tables::META;

const ORDER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("order");
const SESSIONS: TableDefinition<'_, &[u8; 15], &[u8]> = TableDefinition::new("sessions");

const EPOCH: &str = "order epoch";
const LAST: &str = "order last";
const DROPPED: &str = "order dropped";

/// Sessions to be written, each as it is now; `None` is forgotten.
pub(crate) type Records = HashMap<SocketId, Option<Vec<u8>>, FixedState>;

/// What one commit brings to the order.
#[derive(Default)]
pub(crate) struct OrderPlan {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) records: Records,
}

impl OrderPlan {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.records.is_empty()
    }

    /// Gives the next message of the order its place.
    pub(crate) fn add(&mut self, domain: &Domain, mut entry: Entry) -> Arc<Entry> {
        let last = self.entries.last().map(|entry| entry.ordinal);
        entry.ordinal = last.unwrap_or_else(|| domain.bounds().0) + 1;
        let entry = Arc::new(entry);
        self.entries.push(entry.clone());
        entry
    }

    /// Writes everything, and removes the messages that the domain has let go of.
    pub(crate) fn write(
        &self,
        transaction: &WriteTransaction,
        domain: &Domain,
    ) -> Result<(), Fault> {
        if self.is_empty() {
            return Ok(());
        }
        let mut sessions = transaction.open_table(SESSIONS)?;
        for (socket, record) in &self.records {
            match record {
                Some(record) => sessions.insert(socket.as_bytes(), record.as_slice())?,
                None => sessions.remove(socket.as_bytes())?,
            };
        }
        let Some((first, last)) = self.entries.first().zip(self.entries.last()) else {
            return Ok(());
        };
        let mut order = transaction.open_table(ORDER)?;
        let row = encoding::write_entries(&self.entries);
        order.insert(first.ordinal, row.as_slice())?;
        trim(&mut order, domain.bounds().1)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(LAST, last.ordinal)?;
        meta.insert(DROPPED, domain.marks().1.unwrap_or(0))?;
        Ok(())
    }
}

/// Removes the rows all of whose messages are before `oldest`.
fn trim(order: &mut redb::Table<'_, u64, &'static [u8]>, oldest: u64) -> Result<(), Fault> {
    loop {
        let mut rows = order.iter()?;
        let (first, second) = (rows.next().transpose()?, rows.next().transpose()?);
        let is_past = second.is_some_and(|(row, _)| row.value() <= oldest);
        let Some(first) = first.map(|(row, _)| row.value()).filter(|_| is_past) else {
            return Ok(());
        };
        drop(rows);
        order.remove(first)?;
    }
}

/// Takes back what a commit that failed may have left: later ordinals were given to nobody. Sessions that ended meanwhile are forgotten.
pub(crate) fn undo(transaction: &WriteTransaction, domain: &Domain) -> Result<(), Fault> {
    let (last, _) = domain.bounds();
    transaction
        .open_table(ORDER)?
        .retain_in(last + 1.., |_, _| false)?;
    transaction
        .open_table(SESSIONS)?
        .retain(|socket, _| domain.has_record(&SocketId::from_random(*socket)))?;
    transaction.open_table(META)?.insert(LAST, last)?;
    Ok(())
}

/// Reads the order and the sessions of the namespaces that `covers` says yes to, and forgets all else: nobody keeps their messages from here on.
pub(crate) fn restore(
    database: &Database,
    covers: impl Fn(&Namespace) -> bool,
    fresh_epoch: u64,
) -> Result<Restored, Fault> {
    let transaction = database.begin_write()?;
    let restored = {
        let mut meta = transaction.open_table(META)?;
        let number = |name: &str| -> Result<Option<u64>, Fault> {
            Ok(meta.get(name)?.map(|number| number.value()))
        };
        let (known, last, dropped) = (number(EPOCH)?, number(LAST)?, number(DROPPED)?);
        let epoch = known.unwrap_or(fresh_epoch);
        if known.is_none() {
            meta.insert(EPOCH, epoch)?;
        }
        Restored {
            epoch: Epoch::from_random(epoch),
            last: last.unwrap_or(0),
            dropped: dropped.filter(|dropped| *dropped > 0),
            entries: read_order(&transaction)?,
            records: read_sessions(&transaction, covers)?,
        }
    };
    transaction.commit()?;
    Ok(restored)
}

/// Forgets all sessions, where there are some. Their order goes on: an ordinal is never given twice.
pub(crate) fn forget_sessions(database: &Database) -> Result<(), Fault> {
    match database.begin_read()?.open_table(SESSIONS) {
        Ok(sessions) if !sessions.is_empty()? => {}
        Ok(_) | Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let transaction = database.begin_write()?;
    transaction.open_table(SESSIONS)?.retain(|_, _| false)?;
    transaction.commit()?;
    Ok(())
}

fn read_order(transaction: &WriteTransaction) -> Result<Vec<Arc<Entry>>, Fault> {
    let mut entries = Vec::new();
    for row in transaction.open_table(ORDER)?.iter()? {
        let (first, row) = row?;
        let row = Bytes::copy_from_slice(row.value());
        let read = encoding::read_entries(&row).map_err(|reason| Fault::Damaged {
            room: 0,
            first_seq: first.value(),
            reason,
        })?;
        entries.extend(read);
    }
    Ok(entries)
}

fn read_sessions(
    transaction: &WriteTransaction,
    covers: impl Fn(&Namespace) -> bool,
) -> Result<Vec<(SocketId, Record)>, Fault> {
    let mut records = Vec::new();
    let mut sessions = transaction.open_table(SESSIONS)?;
    sessions.retain(
        |socket, row| match encoding::read_record(&Bytes::copy_from_slice(row)) {
            Ok(record) if covers(&record.namespace) => {
                records.push((SocketId::from_random(*socket), record));
                true
            }
            Ok(_) => false,
            Err(reason) => {
                tracing::error!(%reason, "a damaged session is forgotten: its client begins anew");
                false
            }
        },
    )?;
    Ok(records)
}

impl<D: Deliver> Ledger for StoreBroker<D> {
    fn admit(&self, bytes: usize) -> Result<(), Refusal> {
        let shared = self.shared();
        if let Some(refusal) = shared.health.refusal() {
            return Err(refusal);
        }
        if shared.queue.admit(bytes) {
            return Ok(());
        }
        Err(full_queue())
    }

    fn append(&self, entry: Entry, done: Done<()>) {
        let write = Write::Append(Box::new(Append { entry, done }));
        if let Err(write) = self.shared().queue.push(write) {
            self.shared().refuse_write(*write, &closing());
        }
    }

    fn pass(&self, bytes: usize, then: Box<dyn FnOnce() + Send>) {
        let shared = self.shared().clone();
        self.settle(Box::new(move || {
            shared.queue.release(1, bytes);
            then();
        }));
    }

    fn keep(&self, socket: SocketId, record: Option<&Record>) {
        let record = record.map(encoding::write_record);
        // A closed queue: the process ends, and what it knew is on disk.
        let _ = self.shared().queue.push(Write::Keep { socket, record });
    }

    fn settle(&self, kept: Box<dyn FnOnce() + Send>) {
        if let Err(write) = self.shared().queue.push(Write::Settle(kept))
            && let Write::Settle(kept) = *write
        {
            kept();
        }
    }
}
