//! The sessions of polls and streams, by their resume tokens.

use std::collections::HashMap;
use std::sync::Arc;

use nuncio_model::{ResumeToken, SocketId};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::mailbox::Mailbox;

/// From a session to its mailbox.
#[derive(Default)]
pub(super) struct Table(Mutex<HashMap<SocketId, Entries>>);

/// One entry. A session that was resumed by a newer poll has two for a moment: the older one still says its goodbye.
type Entries = SmallVec<[(ResumeToken, Arc<Mailbox>); 1]>;

impl Table {
    pub(super) fn len(&self) -> usize {
        self.0.lock().values().map(|entries| entries.len()).sum()
    }

    pub(super) fn insert(&self, token: ResumeToken, mailbox: Arc<Mailbox>) {
        let mut sessions = self.0.lock();
        sessions
            .entry(token.socket)
            .or_default()
            .push((token, mailbox));
    }

    pub(super) fn remove(&self, token: &ResumeToken) {
        let mut sessions = self.0.lock();
        if let Some(entries) = sessions.get_mut(&token.socket) {
            entries.retain(|(known, _)| !known.matches(token));
            if entries.is_empty() {
                sessions.remove(&token.socket);
            }
        }
        if sessions.is_empty() {
            sessions.shrink_to_fit();
        }
    }

    /// The session that a token gives access to.
    pub(super) fn find(&self, token: &ResumeToken) -> Option<Arc<Mailbox>> {
        let sessions = self.0.lock();
        let mut entries = sessions.get(&token.socket)?.iter();
        entries
            .find(|(known, _)| known.matches(token))
            .map(|(_, mailbox)| mailbox.clone())
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.len())
    }
}
