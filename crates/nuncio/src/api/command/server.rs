//! What the server says of itself.

use std::sync::atomic::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work, ready};
use crate::api::failure::{Code, Failure};

/// Version and counts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServerQuery")]
pub(in crate::api) struct Server {}

/// The server at present.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Server")]
pub(in crate::api) struct ServerState {
    /// Its version.
    version: String,
    /// The version of the native protocol.
    protocol: u32,
    /// How long it runs, in milliseconds.
    uptime: u64,
    /// Open connections, whoever is behind them.
    connections: u64,
    /// Sessions that are connected, and feeds of visitors.
    sessions: u64,
    /// Sessions whose connection was lost, and that may be resumed.
    parked: u64,
    /// Users online, or gone for less than the grace.
    users: u64,
    /// Rooms with members.
    rooms: u64,
}

impl Command for Server {
    type Answer = ServerState;

    fn begin(self, work: &Work) -> Result<Begun<ServerState>, Failure> {
        let app = &work.app;
        let uptime = work.now.instant.saturating_duration_since(app.began);
        Ok(ready(ServerState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: nuncio_protocol::VERSION,
            uptime: uptime.as_millis() as u64,
            connections: u64::try_from(app.metrics.connections.get()).unwrap_or(0),
            sessions: app.node.sockets_len() as u64,
            parked: app.parking.len() as u64,
            users: app.node.users_len() as u64,
            rooms: app.node.rooms().len() as u64,
        }))
    }
}

/// Whether the server is ready to serve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HealthQuery")]
pub(in crate::api) struct Health {}

/// The server is ready.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Healthy")]
pub(in crate::api) struct Healthy {
    #[schemars(extend("const" = "ok"))]
    status: &'static str,
}

impl Command for Health {
    type Answer = Healthy;

    fn begin(self, work: &Work) -> Result<Begun<Healthy>, Failure> {
        let unavailable = |message| Err(Failure::new(Code::Unavailable, message));
        if !work.app.is_ready.load(Ordering::Relaxed) {
            return unavailable("shutting down");
        }
        if !(work.app.store_is_healthy)() {
            return unavailable("the store cannot write: is the disk full?");
        }
        Ok(ready(Healthy { status: "ok" }))
    }
}
