//! The seam to whatever numbers, keeps and spreads publications: this process's memory, the embedded store, or a cluster's broker.

use std::sync::Arc;

use nuncio_model::{
    HistoryQuery, Namespace, Now, Position, Publication, PublishRequest, Published, Refusal,
    RoomName, UserId,
};

use crate::domain::{Domain, Entry};

/// A room of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoomKey {
    /// The namespace.
    pub namespace: Namespace,
    /// The room.
    pub room: RoomName,
}

/// Called once with the outcome of an operation, perhaps before the operation returns, perhaps on another thread.
///
/// It runs under the lock of the room's log, so that no publication of the room can be delivered meanwhile; it must be short and must not
/// call the broker.
pub type Done<T> = Box<dyn FnOnce(Result<T, Refusal>) + Send>;

/// A request to publish, with who asks and when.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The room's namespace.
    pub namespace: Namespace,
    /// Who publishes; `None` for the backend.
    pub author: Option<UserId>,
    /// What and where.
    pub request: PublishRequest,
    /// The clock at arrival.
    pub now: Now,
}

/// Where a member comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// At the present.
    Now,
    /// At the present, after so many of the newest publications.
    Newest(u32),
    /// After the last publication it saw.
    Position(Position),
}

/// A room's state at the moment a member comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Publications up to here are in `replay` or before it; what follows is delivered live.
    pub position: Position,
    /// Whether `replay` is all that the member missed.
    pub recovered: bool,
    /// In order of `seq`.
    pub replay: Vec<Arc<Publication>>,
}

/// One page of a room's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The room's newest position.
    pub position: Position,
    /// In order of `seq`.
    pub publications: Vec<Arc<Publication>>,
}

/// Numbers, keeps and spreads publications.
///
/// **Contract.** Each publication of a room gets the next `seq`; [`Deliver::deliver`] is called once for each, in that order, while the room's log
/// is locked, and before `done` of [`publish`](Self::publish). `done` of [`attach`](Self::attach) is called under the same lock: a member that it adds gets
/// exactly the publications after [`Attached::position`].
pub trait Broker: Send + Sync + 'static {
    /// Gives a publication its number, keeps it, delivers it on every node, and says where it landed.
    ///
    /// A repeat of an idempotency key gives the first one's answer and is not delivered again.
    ///
    /// # Errors (to `done`)
    /// `UNAVAILABLE` when it cannot be kept.
    fn publish(&self, submission: Submission, done: Done<Published>);

    /// Gives the state of a room to whoever joins it. The broker counts attachments, so that it may forget a room that nobody is in.
    fn attach(&self, room: &RoomKey, since: Since, now: Now, done: Done<Attached>);

    /// Takes one attachment back.
    fn detach(&self, room: &RoomKey, now: Now);

    /// Reads a page of history.
    fn history(&self, room: &RoomKey, query: &HistoryQuery, now: Now, done: Done<Page>);

    /// Forgets all publications of a room; its numbering goes on.
    fn clear(&self, room: &RoomKey, done: Done<Position>);

    /// Drops what is too old. Called about once a second.
    fn handle_timeout(&self, now: Now);
}

/// Where a broker hands publications over: the rooms of this node.
pub trait Deliver: Send + Sync + 'static {
    /// Queues a publication for every member. O(1): members are visited by the flush.
    fn deliver(&self, publication: &Arc<Publication>);

    /// Hands over a message of an order domain that was committed with its place.
    fn deliver_entry(&self, _entry: &Arc<Entry>) {}

    /// The domain that orders some namespaces: whatever is committed there needs a place in it.
    fn domain(&self) -> Option<&Domain> {
        None
    }

    /// Tells the members that a room's continuity broke.
    fn position_broken(
        &self,
        room: &RoomKey,
        position: Position,
        reason: nuncio_model::PositionReason,
    );
}
