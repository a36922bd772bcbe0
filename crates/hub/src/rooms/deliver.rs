//! What comes from the brokers: publications, in their order, and breaks of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nuncio_model::{Position, PositionReason, Publication, Push};
use smallvec::SmallVec;

use super::Rooms;
use crate::broker::{Deliver, RoomKey};
use crate::outbox::Sink;
use crate::room::Queued;

impl<S: Sink> Deliver for Rooms<S> {
    fn deliver(&self, publication: &Arc<Publication>) {
        self.counters.publications.fetch_add(1, Ordering::Relaxed);
        self.observe(|observer| observer.published(publication));
        let key = RoomKey {
            namespace: publication.namespace.clone(),
            room: publication.room.clone(),
        };
        let (index, mut shard) = self.lock(&key);
        let Some(room) = shard.rooms.get_mut(&key) else {
            return;
        };
        let expected = room.position.seq + 1;
        if publication.position.epoch == room.position.epoch && publication.position.seq < expected
        {
            return;
        }
        let broken = publication.position
            != Position {
                seq: expected,
                ..room.position
            };
        let reason = if publication.position.epoch == room.position.epoch {
            PositionReason::Gap
        } else {
            PositionReason::NewEpoch
        };
        room.position = publication.position;
        if broken {
            let position = Position {
                seq: publication.position.seq - 1,
                ..publication.position
            };
            let push = Push::Position {
                room: key.room.clone(),
                position,
                recovered: false,
                reason,
            };
            self.queue(
                index,
                &mut shard,
                &key,
                Queued::Push(Box::new(push)),
                SmallVec::new(),
            );
        }
        self.queue(
            index,
            &mut shard,
            &key,
            Queued::Publication(publication.clone()),
            SmallVec::new(),
        );
    }

    fn position_broken(&self, key: &RoomKey, position: Position, reason: PositionReason) {
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
