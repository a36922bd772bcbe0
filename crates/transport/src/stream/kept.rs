//! Messages that a client without a WebSocket may not have: what it does not acknowledge is given again.

use std::collections::VecDeque;

use bytes::Bytes;
use nuncio_protocol::stream::{Item, items};

use crate::sink::Outbox;

/// Bytes of a batch, and of what a stream keeps for a client that comes back: about this many, one message at least.
pub(super) const BYTES_MAX: usize = 64 * 1024;

/// The messages behind a client's cursor, numbered from 1 as they leave the outbox.
#[derive(Debug, Default)]
pub(super) struct Kept {
    items: VecDeque<Item>,
    bytes: usize,
    /// Up to here the client has them, or they are given up.
    acknowledged: u64,
    /// What was given out before the last look at the time.
    marked: u64,
}

impl Kept {
    /// The newest message's number.
    pub(super) fn newest(&self) -> u64 {
        self.acknowledged + self.items.len() as u64
    }

    /// The first that is kept is the one after this.
    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The client has everything up to `cursor`. `false` when that is none of the numbers it can have.
    pub(super) fn acknowledge(&mut self, cursor: u64) -> bool {
        if cursor < self.acknowledged || cursor > self.newest() {
            return false;
        }
        while self.acknowledged < cursor {
            self.forget_first();
        }
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
        true
    }

    /// Takes about so many bytes of messages out of the outbox.
    pub(super) fn fill(&mut self, outbox: &Outbox, bytes_max: usize) {
        let mut taken = VecDeque::new();
        outbox.take(&mut taken, bytes_max);
        for item in taken.into_iter().flat_map(items) {
            self.bytes += item.event().len();
            self.items.push_back(item);
        }
    }

    /// The messages alone.
    pub(super) fn texts(&self) -> Vec<Bytes> {
        self.items.iter().map(Item::text).collect()
    }

    /// The messages after `number`, each with its own.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = (u64, &Item)> {
        let numbers = self.acknowledged + 1..;
        numbers
            .zip(&self.items)
            .filter(move |(own, _)| *own > number)
    }

    /// Gives up the oldest of what a stream has written, so that no more is kept than may be.
    pub(super) fn trim(&mut self) {
        while self.bytes > BYTES_MAX && self.items.len() > 1 {
            self.forget_first();
        }
    }

    /// Gives up what was written before the time this was last called: it has arrived by now, or the client is about to notice that nothing does.
    pub(super) fn age(&mut self) {
        let marked = self.marked.clamp(self.acknowledged, self.newest());
        self.acknowledge(marked);
        self.marked = self.newest();
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.items.pop_front() {
            self.bytes -= first.event().len();
            self.acknowledged += 1;
        }
    }
}
