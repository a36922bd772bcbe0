//! The seam to whatever keeps an order domain beyond this process.

use nuncio_model::{Refusal, SocketId};

use super::{Entry, Record};
use crate::broker::Done;

/// Keeps messages before they are seen, and sessions as they change. What is handed to it is committed in the order in which it came.
///
/// [`keep`](Self::keep) and [`settle`](Self::settle) are called under the lock of the domain: nothing here may wait or call the hub before it returns.
pub trait Ledger: Send + Sync + 'static {
    /// Reserves room for so many bytes, which [`append`](Self::append) or [`pass`](Self::pass) then has to use.
    ///
    /// # Errors
    /// `UNAVAILABLE` when nothing can be kept at present, or too much waits.
    fn admit(&self, bytes: usize) -> Result<(), Refusal>;

    /// Gives an emit that was admitted its place and keeps it, then hands it over by [`Deliver::deliver_entry`](crate::Deliver::deliver_entry), then calls
    /// `done`, which gets `UNAVAILABLE` when it could not be kept: then nobody gets it.
    fn append(&self, entry: Entry, done: Done<()>);

    /// Calls `then` after everything before was handed over, or could not be kept, for what was admitted, is not kept itself, and must not overtake.
    fn pass(&self, bytes: usize, then: Box<dyn FnOnce() + Send>);

    /// Keeps a session as it is now, or forgets it.
    fn keep(&self, socket: SocketId, record: Option<&Record>);

    /// Calls `kept` when everything before is committed, or cannot be.
    fn settle(&self, kept: Box<dyn FnOnce() + Send>);
}
