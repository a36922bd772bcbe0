//! One room of this node: its members, what waits for them, and which users they are.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use nuncio_model::{
    Epoch, Member, Namespace, Position, PresencePage, Publication, Push, SocketId, UserId,
};
use smallvec::SmallVec;

use crate::domain::Entry;
use crate::encode::{Encode, EncoderId, Message, PerEncoder};
use crate::outbox::{Outbox, Pushed};

/// Members, pending messages and users of a room. Locked by its shard.
pub(crate) struct Room<S> {
    /// Up to here publications were queued for the members.
    pub(crate) position: Position,
    slots: Vec<Option<Slot<S>>>,
    free: Vec<u32>,
    /// Members by encoder, so that a flush knows what to encode.
    encoders: PerEncoder<u32>,
    pending: Vec<Pending>,
    users: BTreeMap<UserId, u32>,
    typists: Vec<Typist>,
    /// Whether the number of users changed since it was last announced.
    count_changed: bool,
    /// Whether members were told a number last, and not names.
    is_counted: bool,
}

/// What the fan-out reads of each member, side by side: 24 bytes.
struct Slot<S> {
    outbox: Arc<Outbox<S>>,
    socket: SocketId,
    encoder: EncoderId,
}

/// One message that waits for the flush.
struct Pending {
    message: Queued,
    except: SmallVec<[SocketId; 1]>,
}

pub(crate) enum Queued {
    Publication(Arc<Publication>),
    Push(Box<Push>),
    /// A message with its place in the namespace's order.
    Entry(Arc<Entry>, Epoch),
}

struct Typist {
    socket: SocketId,
    user: UserId,
    until: Instant,
}

/// What a settled room cost.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Settled {
    pub(crate) encodes: u64,
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
}

/// Pending messages that go to the same members, written once for each encoder.
struct Run {
    messages: u64,
    except: SmallVec<[SocketId; 1]>,
    frames: PerEncoder<Bytes>,
}

impl<S: crate::outbox::Sink> Room<S> {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position,
            slots: Vec::new(),
            free: Vec::new(),
            encoders: PerEncoder::new(),
            pending: Vec::new(),
            users: BTreeMap::new(),
            typists: Vec::new(),
            count_changed: false,
            is_counted: false,
        }
    }

    /// Queues a message. Returns whether it is the first that waits, so that the room becomes due.
    pub(crate) fn queue(&mut self, message: Queued, except: SmallVec<[SocketId; 1]>) -> bool {
        self.pending.push(Pending { message, except });
        self.pending.len() == 1
    }

    pub(crate) const fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Hands everything that waits to the members' outboxes: each message is encoded once per encoder, and each member gets one item for a run of
    /// messages. Outboxes that became due are added to `due`, by the number of their flusher. O(members).
    pub(crate) fn settle(
        &mut self,
        namespace: &Namespace,
        encode: &dyn Encode,
        due: &mut [Vec<Arc<Outbox<S>>>],
    ) -> Settled {
        let mut settled = Settled::default();
        if self.pending.is_empty() {
            return settled;
        }
        let pending = std::mem::take(&mut self.pending);
        let runs = self.runs(namespace, &pending, encode, &mut settled);
        for slot in self.slots.iter().flatten() {
            for run in &runs {
                if run.except.contains(&slot.socket) {
                    continue;
                }
                let Some(frame) = run.frames.get(slot.encoder) else {
                    continue;
                };
                settled.deliveries += run.messages;
                settled.bytes += frame.len() as u64;
                if slot.outbox.push(frame.clone()) == Pushed::Due {
                    due[slot.outbox.home(due.len())].push(slot.outbox.clone());
                }
            }
        }
        self.pending = pending;
        self.pending.clear();
        settled
    }

    fn runs(
        &self,
        namespace: &Namespace,
        pending: &[Pending],
        encode: &dyn Encode,
        settled: &mut Settled,
    ) -> SmallVec<[Run; 1]> {
        let mut runs = SmallVec::<[Run; 1]>::new();
        let mut start = 0;
        while start < pending.len() {
            let same = |other: &&Pending| other.except == pending[start].except;
            let len = pending[start..].iter().take_while(same).count();
            let messages = &pending[start..start + len];
            let mut frames = PerEncoder::new();
            for (encoder, _) in self.encoders.iter() {
                frames.insert(*encoder, join(namespace, messages, encode, *encoder));
                settled.encodes += len as u64;
            }
            runs.push(Run {
                messages: len as u64,
                except: messages[0].except.clone(),
                frames,
            });
            start += len;
        }
        runs
    }

    /// Takes a member in and says in which slot. What waits must be settled before, or the member would get it too.
    pub(crate) fn add(
        &mut self,
        outbox: Arc<Outbox<S>>,
        socket: SocketId,
        encoder: EncoderId,
    ) -> u32 {
        debug_assert!(self.pending.is_empty(), "settle first");
        *self.encoders.entry(encoder, || 0) += 1;
        let slot = Some(Slot {
            outbox,
            socket,
            encoder,
        });
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        }
    }

    /// Takes the member in a slot out.
    pub(crate) fn remove(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::take) else {
            return;
        };
        self.uncount(slot.encoder);
        self.free.push(index);
        if self.members() == 0 {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }

    /// Writes to the member in a slot in another way from here on.
    pub(crate) fn reencode(&mut self, index: u32, encoder: EncoderId) {
        let Some(Some(slot)) = self.slots.get_mut(index as usize) else {
            return;
        };
        let former = std::mem::replace(&mut slot.encoder, encoder);
        self.uncount(former);
        *self.encoders.entry(encoder, || 0) += 1;
    }

    fn uncount(&mut self, encoder: EncoderId) {
        let members = self.encoders.entry(encoder, || 1);
        *members -= 1;
        if *members == 0 {
            self.encoders.remove(encoder);
        }
    }

    /// Sockets that get the room's messages.
    pub(crate) fn members(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Their ids. O(members).
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketId> + '_ {
        self.slots.iter().flatten().map(|slot| slot.socket)
    }

    /// Counts one more session of a user. `true` when it is the first.
    pub(crate) fn enter(&mut self, user: &UserId) -> bool {
        if let Some(sessions) = self.users.get_mut(user) {
            *sessions += 1;
            return false;
        }
        self.users.insert(user.clone(), 1);
        self.count_changed = true;
        true
    }

    /// Counts one session of a user less. `true` when it was the last.
    pub(crate) fn exit(&mut self, user: &UserId) -> bool {
        let Some(sessions) = self.users.get_mut(user) else {
            return false;
        };
        *sessions -= 1;
        if *sessions > 0 {
            return false;
        }
        self.users.remove(user);
        self.count_changed = true;
        true
    }

    /// The number of users, when members are to be told: it changed, and is above `names_max`, or was when they were last told.
    pub(crate) fn changed_count(&mut self, names_max: usize) -> Option<u64> {
        let was_counted = self.is_counted;
        let changed = std::mem::take(&mut self.count_changed);
        if changed {
            self.is_counted = self.users() > names_max as u64;
        }
        (changed && (was_counted || self.is_counted)).then(|| self.users())
    }

    /// Users in the room, also those whose connection was lost a moment ago.
    pub(crate) fn users(&self) -> u64 {
        self.users.len() as u64
    }

    /// One page of users in the order of their ids. O(log users + page).
    pub(crate) fn page(&self, after: Option<&UserId>, limit: u32) -> PresencePage {
        let count = self.users();
        if limit == 0 {
            return PresencePage {
                count,
                members: None,
                next: None,
            };
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut users = self.users.range::<UserId, _>((from, Bound::Unbounded));
        let page = users.by_ref().take(limit as usize);
        let members: Vec<_> = page
            .map(|(user, &sessions)| Member {
                user: user.clone(),
                sessions,
            })
            .collect();
        let next = users
            .next()
            .and(members.last())
            .map(|last| last.user.clone());
        PresencePage {
            count,
            members: Some(members),
            next,
        }
    }

    /// Notes that someone types. `true` when that is news: the user did not type in any of its sessions.
    pub(crate) fn typing_started(
        &mut self,
        socket: SocketId,
        user: &UserId,
        until: Instant,
    ) -> bool {
        let news = !self.is_typing(user);
        let mut typists = self.typists.iter_mut();
        match typists.find(|typist| typist.socket == socket) {
            Some(typist) => typist.until = until,
            None => self.typists.push(Typist {
                socket,
                user: user.clone(),
                until,
            }),
        }
        news
    }

    /// Notes that a socket no longer types. `true` when that is news: the user types in no other session.
    pub(crate) fn typing_stopped(&mut self, socket: SocketId) -> bool {
        let mut typists = self.typists.iter();
        let Some(index) = typists.position(|typist| typist.socket == socket) else {
            return false;
        };
        let stopped = self.typists.swap_remove(index);
        !self.is_typing(&stopped.user)
    }

    /// Takes out those who have not typed for long enough.
    pub(crate) fn typing_expired(&mut self, now: Instant) -> Vec<(SocketId, UserId)> {
        let expired = self.typists.extract_if(.., |typist| typist.until <= now);
        let mut expired: Vec<_> = expired.map(|typist| (typist.socket, typist.user)).collect();
        expired.retain(|(_, user)| !self.is_typing(user));
        expired.dedup_by(|one, other| one.1 == other.1);
        expired
    }

    fn is_typing(&self, user: &UserId) -> bool {
        self.typists.iter().any(|typist| typist.user == *user)
    }

    /// Whether a node may forget the room.
    pub(crate) fn is_empty(&self) -> bool {
        self.members() == 0 && self.users.is_empty()
    }
}

/// The bytes of a run: one message as it is, several one behind the other, copied once for all members.
fn join(
    namespace: &Namespace,
    messages: &[Pending],
    encode: &dyn Encode,
    encoder: EncoderId,
) -> Bytes {
    if let [only] = messages {
        return only.message.encode(namespace, encode, encoder);
    }
    let frames: SmallVec<[Bytes; 16]> = messages
        .iter()
        .map(|pending| pending.message.encode(namespace, encode, encoder))
        .collect();
    let mut joined = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
    for frame in frames {
        joined.extend_from_slice(&frame);
    }
    joined.freeze()
}

impl Queued {
    fn encode(&self, namespace: &Namespace, encode: &dyn Encode, encoder: EncoderId) -> Bytes {
        match self {
            Self::Publication(publication) => {
                encode.encode(encoder, Message::Publication(publication))
            }
            Self::Push(push) => encode.encode(encoder, Message::Push(namespace, push)),
            Self::Entry(entry, epoch) => {
                encode.encode_at(encoder, entry.as_message(), entry.offset(*epoch))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_costs_24_bytes_in_its_room() {
        assert_eq!(size_of::<Option<Slot<()>>>(), 24);
    }
}
