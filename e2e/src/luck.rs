//! Bad luck that can be repeated.

use std::time::Duration;

/// A xorshift generator, so that two runs have the same luck.
#[derive(Debug)]
pub struct Luck(u64);

impl Luck {
    /// The luck of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// A time between nothing and twice the mean.
    pub fn around(&mut self, mean: Duration) -> Duration {
        let bound = usize::try_from(mean.as_millis()).unwrap_or(usize::MAX) * 2 + 1;
        Duration::from_millis(self.below(bound) as u64)
    }
}
