//! Who is told what happens in the rooms: the seam for a backend's event hooks.

use std::sync::Arc;

use nuncio_model::{Namespace, Publication, UserId};

use crate::broker::RoomKey;
use crate::outbox::Sink;
use crate::policy::Quiet;
use crate::rooms::Rooms;
use crate::socket::Member;

/// Is told what happens on this node, in the order in which it happens.
///
/// The calls come under the lock of the room's or the user's shard: an observer notes what it needs and returns. It must not call the hub.
///
/// With several nodes each tells of its own sockets only, so what is said of a socket is said once. The others are said once for each node: a room is
/// occupied and a user is online on every node that knows it, and a publication is delivered by all of them. Whoever sums them up needs to know who
/// counts.
pub trait Observer: Send + Sync + 'static {
    /// A socket became a member of a room.
    fn joined(&self, room: &RoomKey, member: Member<'_>);

    /// A socket is a member no longer.
    fn left(&self, room: &RoomKey, member: Member<'_>);

    /// A room got its first member.
    fn occupied(&self, room: &RoomKey);

    /// A room lost its last user, and the grace for its return is over.
    fn vacated(&self, room: &RoomKey);

    /// A user has a first session.
    fn online(&self, namespace: &Namespace, user: &UserId);

    /// A user has no session any more, and the grace for its return is over.
    fn offline(&self, namespace: &Namespace, user: &UserId);

    /// A publication was stored, and goes to the members of its room.
    fn published(&self, publication: &Arc<Publication>);
}

impl<S: Sink> Rooms<S> {
    /// Tells somebody what happens. To be called before the rooms are shared.
    #[must_use]
    pub fn observed_by(mut self, observer: Option<Arc<dyn Observer>>) -> Self {
        self.observer = observer;
        self
    }

    /// Leaves it to somebody else to tell who comes and goes in the namespaces that `quiet` says yes to. Only the first call counts.
    pub fn set_quiet(&self, quiet: Quiet) {
        let _ = self.quiet.set(quiet);
    }

    pub(crate) fn is_quiet(&self, namespace: &Namespace) -> bool {
        self.quiet.get().is_some_and(|quiet| quiet(namespace))
    }

    pub(crate) fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            tell(&**observer);
        }
    }
}
