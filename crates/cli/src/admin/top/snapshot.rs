//! What the server says of itself at one moment.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The answer of `/stats`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Snapshot {
    pub(super) nodes: Vec<Node>,
    pub(super) rooms: Vec<Room>,
}

/// A node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) version: String,
    pub(super) ready: bool,
    /// In milliseconds.
    pub(super) uptime: u64,
    pub(super) connections: u64,
    pub(super) sessions: u64,
    pub(super) transports: BTreeMap<String, u64>,
    pub(super) parked: u64,
    pub(super) users: u64,
    pub(super) rooms: u64,
    /// In bytes.
    pub(super) memory: u64,
    pub(super) counters: Counters,
}

/// Counted since the node started.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counters {
    pub(super) messages_in: u64,
    pub(super) bytes_in: u64,
    pub(super) messages_out: u64,
    pub(super) bytes_out: u64,
    pub(super) publications: u64,
    pub(super) slow_consumers: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) handshakes_refused: u64,
    pub(super) api_requests: u64,
    pub(super) api_refusals: u64,
    pub(super) committed: u64,
    pub(super) commits_failed: u64,
}

/// A room with members.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Room {
    pub(super) ns: String,
    pub(super) room_id: String,
    pub(super) sessions: u64,
    pub(super) users: u64,
    pub(super) epoch: String,
    pub(super) seq: u64,
}

impl Room {
    /// What it is called where there may be other namespaces.
    pub(super) fn name(&self) -> String {
        if self.ns == "/" {
            self.room_id.clone()
        } else {
            format!("{} {}", self.ns, self.room_id)
        }
    }
}
