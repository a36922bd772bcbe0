//! The seam to whatever keeps an order domain beyond this process.

use nuncio_model::SocketId;

use super::{Entry, Record};

/// Keeps messages before they are seen, and sessions as they change. What is handed to it is committed in the order in which it came.
///
/// It is called under the lock of the domain: it must neither wait nor call the hub.
pub trait Ledger: Send + Sync + 'static {
    /// Gives an emit its place and keeps it, then hands it over by [`Deliver::deliver_entry`](crate::Deliver::deliver_entry). `false` when it cannot be
    /// kept: then nobody gets it.
    fn append(&self, entry: Entry) -> bool;

    /// Keeps a session as it is now, or forgets it.
    fn keep(&self, socket: SocketId, record: Option<&Record>);

    /// Calls `kept` when everything before is committed, or cannot be.
    fn settle(&self, kept: Box<dyn FnOnce() + Send>);
}
