//! The connections that a request may name by its sid.

use std::collections::HashMap;
use std::sync::Arc;

use nuncio_engineio::Session;
use nuncio_model::SocketId;
use parking_lot::Mutex;

use super::mailbox::Mailbox;

/// From the sid of an Engine.IO connection to its task. An entry lives as long as the task, which takes it out when it ends.
#[derive(Default)]
pub(super) struct Table {
    connections: Mutex<HashMap<SocketId, Arc<Mailbox>>>,
}

impl Table {
    /// How many connections there are that began with polling.
    pub(super) fn len(&self) -> usize {
        self.connections.lock().len()
    }

    pub(super) fn insert(&self, sid: SocketId, mailbox: Arc<Mailbox>) {
        self.connections.lock().insert(sid, mailbox);
    }

    pub(super) fn remove(&self, sid: &SocketId) {
        let mut connections = self.connections.lock();
        connections.remove(sid);
        if connections.is_empty() {
            connections.shrink_to_fit();
        }
    }

    /// The connection of a sid, and how it is connected.
    pub(super) fn find(&self, sid: &str) -> Option<(Arc<Mailbox>, Session)> {
        let sid: SocketId = sid.parse().ok()?;
        let mailbox = self.connections.lock().get(&sid)?.clone();
        let session = mailbox.session();
        Some((mailbox, session))
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.len())
    }
}
