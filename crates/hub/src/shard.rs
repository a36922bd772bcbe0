//! A fixed number of locks in place of one, so that rooms do not wait for each other.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use parking_lot::Mutex;

/// How many shards a structure has: a power of two, several times the cores of a large machine.
const SHARDS: usize = 64;

/// Values of which each key has exactly one, each behind its own lock.
#[derive(Debug)]
pub struct Shards<T> {
    shards: Box<[Mutex<T>]>,
    hasher: FixedState,
}

impl<T> Shards<T> {
    /// Makes all shards. `seed` keeps clients from choosing names that meet in one shard.
    pub fn new(seed: u64, make: impl Fn() -> T) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(make())).collect();
        Self {
            shards,
            hasher: FixedState::with_seed(seed.rotate_left(17)),
        }
    }

    /// The shard of a key.
    pub fn of<K: Hash>(&self, key: &K) -> &Mutex<T> {
        &self.shards[self.index_of(key)]
    }

    /// The number of a key's shard.
    pub fn index_of<K: Hash>(&self, key: &K) -> usize {
        // The high bits, because the maps inside use the low ones.
        (self.hasher.hash_one(key) >> 48) as usize % SHARDS
    }

    /// The shard with a number.
    pub fn at(&self, index: usize) -> &Mutex<T> {
        &self.shards[index]
    }

    /// All shards.
    pub fn iter(&self) -> std::slice::Iter<'_, Mutex<T>> {
        self.shards.iter()
    }
}
