//! The rooms, members, presence and history of one node, and the seam to the cluster.
//!
//! A synchronous, sharded structure that is called directly: no task, no channel, no clock. A publication takes this way:
//!
//! ```text
//! Node::publish -> Broker::publish      the room's log: seq += 1, kept; durable: stored first
//!   -> Rooms::deliver                   it waits in the room; the room is due                        O(1)
//!   -> Rooms::settle                    encoded once per encoder, joined with what else waits,
//!                                       one item into every member's Outbox                         O(members)
//!   -> Flushers::flush_slice            one write per socket with all that waits for it
//! ```
//!
//! Lock order: log, domain, shard, socket, outbox; never two outboxes at once. A flusher's list is the last of all.

mod broker;
mod domain;
mod emit;
mod encode;
mod flush;
mod history;
mod join;
mod memory_broker;
mod node;
mod notice;
mod observer;
mod outbox;
mod policy;
mod queue;
mod random;
mod recover;
mod registry;
mod room;
mod rooms;
mod shard;
mod socket;
mod users;

pub use broker::{Attached, Broker, Deliver, Done, Page, RoomKey, Since, Submission};
pub use domain::{Domain, DomainConfig, Entry, Ledger, Record, Restored, Span, TokenMark};
pub use encode::{Encode, EncoderId, Message};
pub use flush::{Flushers, SLICE, Slice};
pub use history::Log;
pub use join::JoinOutcome;
pub use memory_broker::MemoryBroker;
pub use node::{End, Node};
pub use notice::Notice;
pub use observer::Observer;
pub use outbox::{Flushed, Outbox, Pushed, Sink, Writer};
pub use policy::{Durability, Policies, Quiet, RoomPolicy};
pub use random::Random;
pub use recover::{Claimed, Recovered};
pub use rooms::{Counters, Rooms};
pub use shard::Shards;
pub use socket::{CurrentEncoder, Member, Memberships, Role, Socket};
