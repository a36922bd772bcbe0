//! Which blocks of one room are on disk, and which of them the limits no longer need.

use std::collections::VecDeque;

use nuncio_model::HistoryLimits;

use crate::encoding::{Block, Kind};

/// The blocks of one room as the last commit left them, oldest first.
///
/// Blocks that only hold keys come before the whole ones, because both go from the front.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    keys_only: VecDeque<Block>,
    whole: VecDeque<Block>,
    count: u64,
    bytes: u64,
    keys: u64,
}

impl Blocks {
    /// Takes in the next block.
    pub(crate) fn push(&mut self, block: Block) {
        self.keys += block.keys;
        match block.kind {
            Kind::KeysOnly => self.keys_only.push_back(block),
            Kind::Whole => {
                self.count += block.count;
                self.bytes += block.bytes;
                self.whole.push_back(block);
            }
        }
    }

    /// The last `seq` in any block; 0 without blocks.
    pub(crate) fn last_seq(&self) -> u64 {
        let newest = self.whole.back().or(self.keys_only.back());
        newest.map_or(0, Block::last_seq)
    }

    /// Publications in whole blocks.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Takes the oldest whole block out when no publication in it is within the limits any more, with so many that came after all blocks.
    pub(crate) fn pop_trimmed(
        &mut self,
        limits: &HistoryLimits,
        now_ms: u64,
        after: u64,
    ) -> Option<Block> {
        let oldest = self.whole.front()?;
        let is_over = self.count - oldest.count + after >= limits.messages_max as u64
            || self.bytes - oldest.bytes >= limits.bytes_max as u64
            || oldest.newest_ts < now_ms.saturating_sub(limits.age_max.as_millis() as u64);
        if is_over { self.pop_whole() } else { None }
    }

    /// Takes the oldest whole block out.
    pub(crate) fn pop_whole(&mut self) -> Option<Block> {
        let oldest = self.whole.pop_front()?;
        self.count -= oldest.count;
        self.bytes -= oldest.bytes;
        self.keys -= oldest.keys;
        Some(oldest)
    }

    /// Takes the oldest block of keys out when they are expired, or too many.
    pub(crate) fn pop_expired(&mut self, limits: &HistoryLimits, now_ms: u64) -> Option<Block> {
        let oldest = self.keys_only.front()?;
        if oldest.has_live_keys(limits, now_ms) && self.keys - oldest.keys < KEYS_MAX {
            return None;
        }
        self.keys -= oldest.keys;
        self.keys_only.pop_front()
    }
}

impl Block {
    /// Whether some of its idempotency keys must still be remembered.
    pub(crate) fn has_live_keys(&self, limits: &HistoryLimits, now_ms: u64) -> bool {
        let ttl_ms = limits.idempotency_ttl.as_millis() as u64;
        self.keys > 0 && self.newest_key_ts >= now_ms.saturating_sub(ttl_ms)
    }
}

/// As many keys as a room's log remembers in memory.
const KEYS_MAX: u64 = 10_000;
