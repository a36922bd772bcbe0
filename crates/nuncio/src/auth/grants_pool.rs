//! One copy of equal grants for all clients that have them: a million users rarely have more than a few kinds of grants.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use nuncio_model::Grants;

/// Shares equal grants. Bounded: when it is full of grants that are in use, further ones are not shared.
pub(super) struct GrantsPool {
    default: Arc<Grants>,
    shared: Mutex<HashSet<Arc<Grants>>>,
}

impl GrantsPool {
    const LEN_MAX: usize = 4096;

    pub(super) fn new(default: Arc<Grants>) -> Self {
        let shared = Mutex::new(HashSet::from([Arc::clone(&default)]));
        Self { default, shared }
    }

    pub(super) const fn default_grants(&self) -> &Arc<Grants> {
        &self.default
    }

    /// The shared copy of these grants. O(grants); when the pool is full, O(pool) for grants that are new.
    pub(super) fn share(&self, grants: Grants) -> Arc<Grants> {
        // A panic elsewhere leaves a set that is whole.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&grants) {
            return Arc::clone(known);
        }
        if shared.len() >= Self::LEN_MAX {
            shared.retain(|known| Arc::strong_count(known) > 1);
        }
        let grants = Arc::new(grants);
        if shared.len() < Self::LEN_MAX {
            shared.insert(Arc::clone(&grants));
        }
        grants
    }
}

#[cfg(test)]
mod tests {
    use nuncio_model::Pattern;

    use super::*;

    #[test]
    fn equal_grants_are_one_copy() {
        let pool = GrantsPool::new(Arc::default());

        assert!(Arc::ptr_eq(&pool.share(grants(1)), &pool.share(grants(1))));
        assert!(Arc::ptr_eq(
            &pool.share(Grants::default()),
            pool.default_grants()
        ));
    }

    #[test]
    fn the_pool_is_bounded_and_lets_go_of_what_nobody_uses() {
        let pool = GrantsPool::new(Arc::default());
        let kept: Vec<_> = (0..GrantsPool::LEN_MAX)
            .map(|i| pool.share(grants(i)))
            .collect();
        let len = || pool.shared.lock().unwrap().len();
        assert_eq!(len(), GrantsPool::LEN_MAX);

        let beyond = pool.share(grants(1_000_000));
        assert_eq!(
            len(),
            GrantsPool::LEN_MAX,
            "{beyond:?} is served, and not kept"
        );

        drop(kept);
        let first = pool.share(grants(1_000_001));
        assert!(len() < 10);
        assert!(Arc::ptr_eq(&first, &pool.share(grants(1_000_001))));
    }

    fn grants(i: usize) -> Grants {
        Grants {
            private: vec![Pattern::new(&i.to_string())],
            ..Grants::default()
        }
    }
}
