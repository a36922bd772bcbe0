//! One message of an order domain, and whom it reaches.

use nuncio_model::{
    Content, Emit, Epoch, Namespace, Offset, Push, RoomName, SocketId, Target, UserId,
};
use smallvec::SmallVec;

use crate::broker::RoomKey;
use crate::encode::Message;

/// One message of an order domain: its place, whom it was for, what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place; 0 until it has one.
    pub ordinal: u64,
    /// The namespace of the targets.
    pub namespace: Namespace,
    /// Who gets it.
    pub target: Target,
    /// Who does not.
    pub except: Vec<Target>,
    /// What is said.
    pub content: Content,
}

/// Bytes that an entry costs beside its content.
const OVERHEAD_BYTES: usize = 300;

impl Entry {
    /// A publication, for the members of its room.
    pub fn of_publication(publication: std::sync::Arc<nuncio_model::Publication>) -> Self {
        Self {
            ordinal: 0,
            namespace: publication.namespace.clone(),
            target: Target::Rooms(vec![publication.room.clone()]),
            except: Vec::new(),
            content: Content::Publication(publication),
        }
    }

    /// An emit.
    pub fn of_emit(emit: Emit) -> Self {
        Self {
            ordinal: 0,
            namespace: emit.namespace,
            target: emit.target,
            except: emit.except,
            content: Content::Push(emit.push.into()),
        }
    }

    /// Bytes that it counts in the bound of the log: its content and about 300 more.
    pub fn bytes(&self) -> usize {
        let content = match &self.content {
            Content::Publication(publication) => publication.body.len(),
            Content::Push(push) => push_len(push),
        };
        let targets = std::iter::once(&self.target).chain(&self.except);
        OVERHEAD_BYTES + content + targets.map(target_len).sum::<usize>()
    }

    /// Whether both go to the same sockets.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        self.target == other.target
            && self.except == other.except
            && self.namespace == other.namespace
    }

    /// The one room that it goes to, and the sockets of it that do not get it; `None` for any other target, and where the name may be a socket's
    /// private room.
    pub(crate) fn one_room(&self) -> Option<(RoomKey, SmallVec<[SocketId; 1]>)> {
        let Target::Rooms(rooms) = &self.target else {
            return None;
        };
        let [room] = &rooms[..] else { return None };
        if room.parse::<SocketId>().is_ok() {
            return None;
        }
        let key = RoomKey {
            namespace: self.namespace.clone(),
            room: room.clone(),
        };
        Some((key, plain(&self.except)?))
    }

    /// Whether a socket gets it that is in the rooms which `is_in` says yes to.
    pub(crate) fn reaches(
        &self,
        socket: &SocketId,
        user: &UserId,
        is_in: impl Fn(&RoomName) -> bool,
    ) -> bool {
        let names = |target: &Target| match target {
            Target::Everyone => true,
            Target::Rooms(rooms) => rooms
                .iter()
                .any(|room| is_in(room) || room.parse().as_ref() == Ok(socket)),
            Target::Sockets(sockets) => sockets.contains(socket),
            Target::User(named) => named == user,
        };
        names(&self.target) && !self.except.iter().any(names)
    }

    /// Its place, in a numbering.
    pub const fn offset(&self, epoch: Epoch) -> Offset {
        Offset {
            epoch,
            ordinal: self.ordinal,
        }
    }

    pub(crate) fn as_message(&self) -> Message<'_> {
        match &self.content {
            Content::Publication(publication) => Message::Publication(publication),
            Content::Push(push) => Message::Push(&self.namespace, push),
        }
    }
}

/// Whether a domain orders and keeps such a push: what an application says. Who comes, goes and types is a state that the client asks for anew; a question
/// that was not answered in time has been given up.
pub(crate) const fn is_ordered(push: &Push) -> bool {
    match push {
        Push::Event { .. } | Push::Private { .. } => true,
        Push::Question { .. }
        | Push::Joined { .. }
        | Push::Left { .. }
        | Push::Typing { .. }
        | Push::Presence { .. }
        | Push::PresenceCount { .. }
        | Push::Position { .. }
        | Push::Removed { .. }
        | Push::Reconnect { .. }
        | Push::Expiring { .. } => false,
    }
}

/// The excepted sockets, when the exception names nothing else.
pub(crate) fn plain(except: &[Target]) -> Option<SmallVec<[SocketId; 1]>> {
    let mut ids = SmallVec::new();
    for target in except {
        match target {
            Target::Sockets(sockets) => ids.extend_from_slice(sockets),
            Target::Everyone | Target::Rooms(_) | Target::User(_) => return None,
        }
    }
    Some(ids)
}

/// Bytes of what a push says.
pub(crate) fn push_len(push: &Push) -> usize {
    match push {
        Push::Event {
            name,
            data,
            attachments,
            ..
        }
        | Push::Question {
            name,
            data,
            attachments,
            ..
        } => {
            let binary = attachments.iter().map(bytes::Bytes::len);
            name.len() + data.as_bytes().len() + binary.sum::<usize>()
        }
        Push::Private { content, .. } => content.as_bytes().len(),
        Push::Joined { .. }
        | Push::Left { .. }
        | Push::Typing { .. }
        | Push::Presence { .. }
        | Push::PresenceCount { .. }
        | Push::Position { .. }
        | Push::Removed { .. }
        | Push::Reconnect { .. }
        | Push::Expiring { .. } => 0,
    }
}

fn target_len(target: &Target) -> usize {
    match target {
        Target::Everyone => 0,
        Target::Rooms(rooms) => rooms.iter().map(|room| room.len() + 32).sum(),
        Target::Sockets(sockets) => size_of_val(&sockets[..]),
        Target::User(user) => user.len(),
    }
}
