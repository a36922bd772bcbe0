//! What comes from the brokers: publications, in their order, and breaks of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nuncio_model::{Position, PositionReason, Publication, Push};
use smallvec::SmallVec;

use super::{Rooms, Shard};
use crate::broker::{Deliver, RoomKey};
use crate::domain::{Domain, Entry};
use crate::outbox::Sink;
use crate::room::Queued;

impl<S: Sink> Deliver for Rooms<S> {
    fn deliver(&self, publication: &Arc<Publication>) {
        if let Some(domain) = self.domain_of(&publication.namespace) {
            return self.append_next(domain, Entry::of_publication(publication.clone()));
        }
        self.tell_published(publication);
        let key = key_of(publication);
        let (index, mut shard) = self.lock(&key);
        if self.advance_room(index, &mut shard, &key, publication) {
            let message = Queued::Publication(publication.clone());
            self.queue(index, &mut shard, &key, message, SmallVec::new());
        }
    }

    fn deliver_entry(&self, entry: &Arc<Entry>) {
        if let Some(domain) = self.order() {
            self.append(domain, &mut domain.lock(), entry.clone());
        }
    }

    fn domain(&self) -> Option<&Domain> {
        self.order()
    }

    fn position_broken(&self, key: &RoomKey, position: Position, reason: PositionReason) {
        let _order = self.settled_domain(&key.namespace);
        let (index, mut shard) = self.lock(key);
        if let Some(room) = shard.rooms.get_mut(key) {
            room.position = position;
        }
        let push = Push::Position {
            room: key.room.clone(),
            position,
            recovered: false,
            reason,
        };
        self.queue(
            index,
            &mut shard,
            key,
            Queued::Push(Box::new(push)),
            SmallVec::new(),
        );
    }
}

impl<S: Sink> Rooms<S> {
    /// Notes that a room has got one publication further, which waits elsewhere.
    pub(super) fn advance(&self, publication: &Arc<Publication>) {
        self.tell_published(publication);
        let key = key_of(publication);
        let (index, mut shard) = self.lock(&key);
        self.advance_room(index, &mut shard, &key, publication);
    }

    fn tell_published(&self, publication: &Arc<Publication>) {
        self.counters.publications.fetch_add(1, Ordering::Relaxed);
        self.observe(|observer| observer.published(publication));
    }

    /// Moves the room's position, and tells the members when it does not follow. `false` when nobody is there, or all have it.
    fn advance_room(
        &self,
        index: usize,
        shard: &mut Shard<S>,
        key: &RoomKey,
        publication: &Publication,
    ) -> bool {
        let Some(room) = shard.rooms.get_mut(key) else {
            return false;
        };
        let expected = room.position.seq + 1;
        let same_epoch = publication.position.epoch == room.position.epoch;
        if same_epoch && publication.position.seq < expected {
            return false;
        }
        let follows = same_epoch && publication.position.seq == expected;
        room.position = publication.position;
        if !follows {
            let position = Position {
                seq: publication.position.seq - 1,
                ..publication.position
            };
            let reason = if same_epoch {
                PositionReason::Gap
            } else {
                PositionReason::NewEpoch
            };
            let push = Push::Position {
                room: key.room.clone(),
                position,
                recovered: false,
                reason,
            };
            let push = Queued::Push(Box::new(push));
            self.queue(index, shard, key, push, SmallVec::new());
        }
        true
    }
}

fn key_of(publication: &Publication) -> RoomKey {
    RoomKey {
        namespace: publication.namespace.clone(),
        room: publication.room.clone(),
    }
}
