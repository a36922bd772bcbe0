//! What the server counts, for whoever watches it live.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rooms::{PAGE_MAX, page};
use super::{Begun, Command, Work, ready};
use crate::api::failure::{Code, Failure};
use crate::api::route::routes;
use crate::api::value::{EpochId, Ns, Room};

/// What is open at present, and what was counted since each node started. Two answers, compared, give rates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "StatsQuery")]
pub(in crate::api) struct Stats {
    /// How many rooms are told, those with the most sessions first: none when left out, at most 1000.
    #[serde(default)]
    rooms: Option<u32>,
}

/// The nodes and their largest rooms.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Stats")]
pub(in crate::api) struct StatsState {
    /// One entry for each node. Counters begin with 0 when a node starts.
    nodes: Vec<NodeState>,
    /// The rooms with the most sessions, in all namespaces.
    rooms: Vec<RoomState>,
}

/// A node.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Node")]
struct NodeState {
    /// Its version.
    version: String,
    /// Whether it takes new clients.
    ready: bool,
    /// How long it runs, in milliseconds.
    uptime: u64,
    /// Open connections, whoever is behind them.
    connections: u64,
    /// Sessions that are connected, and feeds of visitors.
    sessions: u64,
    /// The same by transport: `websocket`, `socketio`, `sse`, `polling`.
    transports: BTreeMap<&'static str, u64>,
    /// Sessions whose connection was lost, and that may be resumed.
    parked: u64,
    /// Users online, or gone for less than the grace.
    users: u64,
    /// Rooms with members.
    rooms: u64,
    /// Memory of the process in RAM, in bytes; 0 where the system does not tell.
    memory: u64,
    /// What was counted since it started.
    counters: Counters,
}

/// Counted since the node started.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Counters {
    /// Messages from clients.
    messages_in: u64,
    /// Their bytes.
    bytes_in: u64,
    /// Messages handed to clients: fan-out, replies and replayed messages.
    messages_out: u64,
    /// Their bytes.
    bytes_out: u64,
    /// Publications delivered to rooms.
    publications: u64,
    /// Clients disconnected because they read too slowly.
    slow_consumers: u64,
    /// Messages of clients that were refused, by error code.
    refused: BTreeMap<&'static str, u64>,
    /// Handshakes that were refused.
    handshakes_refused: u64,
    /// Requests to this API that were read.
    api_requests: u64,
    /// Requests to this API that were refused.
    api_refusals: u64,
    /// Messages committed to the store.
    committed: u64,
    /// Messages refused because a commit failed.
    commits_failed: u64,
}

/// One of the largest rooms.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LargeRoom")]
struct RoomState {
    /// Its namespace.
    ns: Ns,
    /// The room.
    room_id: Room,
    /// Sessions in it, and feeds of visitors.
    sessions: u64,
    /// Users in it.
    users: u64,
    /// The life of its numbering.
    epoch: EpochId,
    /// Its newest message.
    seq: u64,
}

impl Command for Stats {
    type Answer = StatsState;

    fn begin(self, work: &Work) -> Result<Begun<StatsState>, Failure> {
        work.key.check_free()?;
        let limit = self.rooms.unwrap_or(0).min(PAGE_MAX) as usize;
        Ok(ready(StatsState {
            nodes: vec![node(work)],
            rooms: largest(work, limit),
        }))
    }
}

fn node(work: &Work) -> NodeState {
    let app = &work.app;
    let counted = app.metrics.counted(app.node.rooms().counters());
    let routes = routes().iter().map(|route| route.name);
    let requests = routes.map(|name| app.metrics.api_requests_for(name));
    let codes = Code::ALL.into_iter().map(Code::as_str);
    let refusals = codes.map(|code| app.metrics.api_refusals_with(code));
    let uptime = work.now.instant.saturating_duration_since(app.began);
    NodeState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: app.is_ready.load(Ordering::Relaxed),
        uptime: uptime.as_millis() as u64,
        connections: u64::try_from(app.metrics.connections.get()).unwrap_or(0),
        sessions: app.node.sockets_len() as u64,
        transports: counted.transports,
        parked: app.parking.len() as u64,
        users: app.node.users_len() as u64,
        rooms: app.node.rooms().len() as u64,
        memory: counted.memory,
        counters: Counters {
            messages_in: counted.messages_in,
            bytes_in: counted.bytes_in,
            messages_out: counted.messages_out,
            bytes_out: counted.bytes_out,
            publications: counted.publications,
            slow_consumers: counted.slow_consumers,
            refused: counted.refused,
            handshakes_refused: counted.handshakes_refused,
            api_requests: requests.sum(),
            api_refusals: refusals.sum(),
            committed: counted.committed,
            commits_failed: counted.commits_failed,
        },
    }
}

/// O(rooms), where any are asked for.
fn largest(work: &Work, limit: usize) -> Vec<RoomState> {
    if limit == 0 {
        return Vec::new();
    }
    let rooms = work.app.node.rooms_list();
    let (rooms, _) = page(rooms, limit, |(key, sessions, ..)| {
        (
            std::cmp::Reverse(*sessions),
            key.namespace.clone(),
            key.room.clone(),
        )
    });
    let state = |(key, sessions, users, position): (
        nuncio_hub::RoomKey,
        usize,
        u64,
        nuncio_model::Position,
    )| RoomState {
        ns: Ns(key.namespace),
        room_id: Room(key.room),
        sessions: sessions as u64,
        users,
        epoch: EpochId(position.epoch),
        seq: position.seq,
    };
    rooms.into_iter().map(state).collect()
}
