//! Who is connected to this node: sockets by id, and users with their sockets.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use nuncio_model::{Namespace, RateLimits, RoomName, SocketId};

use crate::shard::Shards;
use crate::socket::Socket;
use crate::users::{UserKey, Users};

/// Sockets and users, each in shards of their own.
pub(crate) struct Registry<S> {
    sockets: Shards<HashSet<Connected<S>, FixedState>>,
    users: Shards<Users>,
    len: AtomicUsize,
}

/// A socket, found by its id: the set holds 8 bytes for each.
struct Connected<S>(Arc<Socket<S>>);

impl<S> Borrow<SocketId> for Connected<S> {
    fn borrow(&self) -> &SocketId {
        &self.0.id
    }
}

impl<S> Hash for Connected<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl<S> PartialEq for Connected<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl<S> Eq for Connected<S> {}

/// The user has as many sessions as one may have.
#[derive(Debug)]
pub(crate) struct TooManySessions;

impl<S> Registry<S> {
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            sockets: Shards::new(seed, || HashSet::with_hasher(hasher.clone())),
            users: Shards::new(seed, || Users::new(hasher.clone())),
            len: AtomicUsize::new(0),
        }
    }

    /// Sockets connected at present.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Users with at least one socket, or gone for less than the grace. O(shards).
    pub(crate) fn users_len(&self) -> usize {
        self.users.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Takes a socket in. `online` is called under the lock of its user, when that was not known before.
    pub(crate) fn add(
        &self,
        socket: Arc<Socket<S>>,
        sessions_max: usize,
        online: impl FnOnce(),
    ) -> Result<(), TooManySessions> {
        if socket.is_seen() {
            let key = socket.user_key();
            let mut users = self.users.of(&key).lock();
            let is_new = users.get(&key).is_none();
            let user = users.get_or_insert(key);
            if user.sockets.len() >= sessions_max {
                return Err(TooManySessions);
            }
            user.sockets.push(socket.id);
            if is_new {
                online();
            }
        }
        self.len.fetch_add(1, Ordering::Relaxed);
        self.sockets
            .of(&socket.id)
            .lock()
            .replace(Connected(socket));
        Ok(())
    }

    /// Takes a socket out; its user stays until [`left`](Self::left) is called for it after the grace.
    /// `false` when it is not there.
    pub(crate) fn remove(&self, socket: &Socket<S>, rooms: &[RoomName]) -> bool {
        let mut sockets = self.sockets.of(&socket.id).lock();
        // A session that comes back has the id of the one before: only the socket itself is taken out.
        let found = sockets.get(&socket.id);
        if !found.is_some_and(|found| std::ptr::eq(&raw const *found.0, socket)) {
            return false;
        }
        sockets.remove(&socket.id);
        drop(sockets);
        self.len.fetch_sub(1, Ordering::Relaxed);
        if !socket.is_seen() {
            return true;
        }
        let key = socket.user_key();
        let mut users = self.users.of(&key).lock();
        let user = users.get_or_insert(key);
        if let Some(index) = user.sockets.iter().position(|id| *id == socket.id) {
            user.sockets.swap_remove(index);
        }
        let leaving = user.leaving.get_or_insert_default();
        leaving.sockets += 1;
        leaving.rooms.extend_from_slice(rooms);
        true
    }

    /// The grace of one removed socket is over. `Some` when the user is offline now, with the rooms it was in; `offline` is called before that, under the
    /// lock of the user.
    pub(crate) fn left(&self, key: &UserKey, offline: impl FnOnce()) -> Option<Vec<RoomName>> {
        let mut users = self.users.of(key).lock();
        let user = users.get_mut(key)?;
        let leaving = user.leaving.as_mut()?;
        leaving.sockets -= 1;
        if leaving.sockets > 0 {
            return None;
        }
        let rooms = user.leaving.take().map(|leaving| leaving.rooms);
        if !user.sockets.is_empty() {
            return None;
        }
        users.remove(key);
        offline();
        rooms
    }

    /// Whether the user was in the room less than the grace ago.
    pub(crate) fn was_in(&self, key: &UserKey, room: &RoomName) -> bool {
        let users = self.users.of(key).lock();
        users
            .get(key)
            .and_then(|user| user.leaving.as_ref())
            .is_some_and(|leaving| leaving.rooms.contains(room))
    }

    pub(crate) fn socket(&self, id: &SocketId) -> Option<Arc<Socket<S>>> {
        self.sockets
            .of(id)
            .lock()
            .get(id)
            .map(|connected| connected.0.clone())
    }

    /// The sockets of one user.
    pub(crate) fn of_user(&self, key: &UserKey) -> Vec<Arc<Socket<S>>> {
        let ids = self
            .users
            .of(key)
            .lock()
            .get(key)
            .map(|user| user.sockets.clone())
            .unwrap_or_default();
        ids.iter().filter_map(|id| self.socket(id)).collect()
    }

    /// All sockets of a namespace, or of all namespaces. O(sockets).
    pub(crate) fn all(&self, namespace: Option<&Namespace>) -> Vec<Arc<Socket<S>>> {
        let belongs = |socket: &&Arc<Socket<S>>| {
            namespace.is_none_or(|namespace| socket.namespace == *namespace)
        };
        let shards = self.sockets.iter();
        shards
            .flat_map(|shard| {
                shard
                    .lock()
                    .iter()
                    .map(|connected| &connected.0)
                    .filter(belongs)
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Takes one token of the user's budget, which outlives its connections.
    pub(crate) fn charge(
        &self,
        key: &UserKey,
        now: Instant,
        limits: &RateLimits,
    ) -> Result<(), Duration> {
        let mut users = self.users.of(key).lock();
        users.get_mut(key).map_or(Ok(()), |user| {
            user.rate.take(now, limits.per_second, limits.burst)
        })
    }
}

impl<S> Socket<S> {
    pub(crate) fn user_key(&self) -> UserKey {
        UserKey {
            namespace: self.namespace.clone(),
            user: self.user.clone(),
        }
    }
}
