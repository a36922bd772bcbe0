//! The users of one shard: a pointer for each in the table, because every connection pays for what the table's growth leaves unused.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use nuncio_model::{Namespace, RateBucket, RoomName, SocketId, UserId};
use smallvec::SmallVec;

/// A user of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UserKey {
    pub(crate) namespace: Namespace,
    pub(crate) user: UserId,
}

/// Who has at least one socket, or had one less than the grace ago.
pub(crate) struct User {
    key: UserKey,
    pub(crate) sockets: SmallVec<[SocketId; 1]>,
    pub(crate) rate: RateBucket,
    /// Sockets that went less than the grace ago: they keep the user's rate and its presence.
    pub(crate) leaving: Option<Box<Leaving>>,
}

#[derive(Default)]
pub(crate) struct Leaving {
    pub(crate) sockets: usize,
    /// Rooms whose members think that the user is online.
    pub(crate) rooms: Vec<RoomName>,
}

/// Users by their keys.
pub(crate) struct Users {
    table: HashTable<Box<User>>,
    hasher: FixedState,
}

impl Users {
    pub(crate) const fn new(hasher: FixedState) -> Self {
        Self {
            table: HashTable::new(),
            hasher,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, key: &UserKey) -> Option<&User> {
        self.table
            .find(self.hasher.hash_one(key), |user| user.key == *key)
            .map(|user| &**user)
    }

    pub(crate) fn get_mut(&mut self, key: &UserKey) -> Option<&mut User> {
        self.table
            .find_mut(self.hasher.hash_one(key), |user| user.key == *key)
            .map(|user| &mut **user)
    }

    /// The user, who begins to exist if need be.
    pub(crate) fn get_or_insert(&mut self, key: UserKey) -> &mut User {
        let Self { table, hasher } = self;
        let hash = hasher.hash_one(&key);
        let entry = table.entry(
            hash,
            |user| user.key == key,
            |user| hasher.hash_one(&user.key),
        );
        entry
            .or_insert_with(|| {
                Box::new(User {
                    key,
                    sockets: SmallVec::new(),
                    rate: RateBucket::default(),
                    leaving: None,
                })
            })
            .into_mut()
    }

    pub(crate) fn remove(&mut self, key: &UserKey) {
        if let Ok(found) = self
            .table
            .find_entry(self.hasher.hash_one(key), |user| user.key == *key)
        {
            found.remove();
        }
    }
}
