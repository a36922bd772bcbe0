//! Acknowledgements this side waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::namespace::Namespace;

/// The events of one connection that are not acknowledged yet. Boxed by its owner: most connections wait for none.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    waiting: BTreeMap<(u64, Namespace), Option<Instant>>,
    deadlines: BTreeSet<(Instant, u64, Namespace)>,
}

impl Acks {
    /// An id that waits already is waited for anew.
    pub(crate) fn expect(&mut self, namespace: Namespace, id: u64, deadline: Option<Instant>) {
        self.take(&namespace, id);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id, namespace.clone()));
        }
        self.waiting.insert((id, namespace), deadline);
    }

    /// Whether this acknowledgement was waited for; it is not any more.
    pub(crate) fn take(&mut self, namespace: &Namespace, id: u64) -> bool {
        let Some(deadline) = self.waiting.remove(&(id, namespace.clone())) else {
            return false;
        };
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, id, namespace.clone()));
        }
        true
    }

    /// The namespace is gone, and so are its acknowledgements.
    pub(crate) fn forget(&mut self, namespace: &Namespace) {
        self.waiting.retain(|(_, of), _| of != namespace);
        self.deadlines.retain(|(_, _, of)| of != namespace);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }

    /// The next one that is overdue.
    pub(crate) fn pop_overdue(&mut self, now: Instant) -> Option<(Namespace, u64)> {
        self.poll_timeout().filter(|deadline| *deadline <= now)?;
        let (_, id, namespace) = self.deadlines.pop_first()?;
        self.waiting.remove(&(id, namespace.clone()));
        Some((namespace, id))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
