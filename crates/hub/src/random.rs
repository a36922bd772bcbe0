//! Random bits from a seed: message ids and epochs must be fresh, not secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64 behind an atomic counter: every call gets other bits, from any thread, without a lock.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// The same seed gives the same sequence, so that a simulation can be repeated.
    pub const fn from_seed(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next 128 bits.
    pub fn next_u128(&self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}
