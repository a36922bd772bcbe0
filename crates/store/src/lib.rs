//! The embedded durable history of nuncio, on redb.
//!
//! [`Store`] opens a data directory, [`StoreBroker`] is the [`nuncio_hub::Broker`] on it: a publication is committed, then visible, then
//! acknowledged. A publication takes this way:
//!
//! ```text
//! StoreBroker::publish     a room that is not in memory is loaded first, by a reader thread; what comes for it meanwhile waits in its order
//!   -> Queue               bounded; beyond it, publishes are refused
//!   -> Writer              takes all that came while the last commit ran: numbers, one row for all, one transaction, one fsync; rooms get their share later
//!   -> Log, Deliver, done  in the order of the queue, under the lock of the room's log
//! ```
//!
//! A failed write (a full disk) refuses publishes and serves reads; the writer tries again by itself. Nothing here needs a runtime.

mod blocks;
mod broker;
mod cache;
mod config;
mod database;
mod domain;
mod encoding;
mod error;
mod event_log;
mod fault;
mod journal;
mod load;
mod loader;
mod medium;
mod plan;
mod queue;
mod shared;
mod store;
mod sweep;
mod tables;
mod undo;
mod writer;

pub use broker::{Counters, StoreBroker};
pub use config::StoreConfig;
pub use error::StoreError;
pub use event_log::{Begun, Entry, EventLog, EventLogError, EventTotals, Logged};
pub use medium::Medium;
pub use shared::Observer;
pub use store::Store;
