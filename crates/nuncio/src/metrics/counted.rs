//! What was counted, as numbers instead of text.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use nuncio_model::ErrorCode;

use super::{Metrics, memory};

/// The counters at one moment.
pub(crate) struct Counted {
    pub(crate) transports: BTreeMap<&'static str, u64>,
    pub(crate) memory: u64,
    pub(crate) messages_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) publications: u64,
    pub(crate) slow_consumers: u64,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    pub(crate) handshakes_refused: u64,
    pub(crate) committed: u64,
    pub(crate) commits_failed: u64,
}

/// What sessions are counted by, as [`transport`](crate::app::transport) calls it.
const TRANSPORTS: [&str; 4] = ["websocket", "socketio", "sse", "polling"];

impl Metrics {
    /// Reads the counters. Those that were never raised are left out where there is one for each of several names.
    pub(crate) fn counted(&self, hub: &nuncio_hub::Counters) -> Counted {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (resident, _) = memory();
        Counted {
            transports: self.by_transport(),
            memory: resident as u64,
            messages_in: self.messages_in.get(),
            bytes_in: self.bytes_in.get(),
            messages_out: load(&hub.deliveries) + load(&self.replies),
            bytes_out: load(&hub.bytes) + load(&self.reply_bytes),
            publications: load(&hub.publications),
            slow_consumers: self.slow_consumers.get(),
            refused: self.by_error(),
            handshakes_refused: self.handshakes_turned_away(),
            committed: self.committed.get(),
            commits_failed: self.commits_failed.get(),
        }
    }

    fn by_transport(&self) -> BTreeMap<&'static str, u64> {
        let count = |name: &'static str| {
            let sessions = self.sessions.get(&[("transport", name.to_owned())])?.get();
            Some((name, u64::try_from(sessions).unwrap_or(0)))
        };
        TRANSPORTS.into_iter().filter_map(count).collect()
    }

    /// Of every status that a refusal may have.
    fn handshakes_turned_away(&self) -> u64 {
        let count = |status: u16| {
            let label = [("status", status.to_string())];
            Some(self.handshakes_refused.get(&label)?.get())
        };
        (400..600).filter_map(count).sum()
    }

    /// Requests to the server API for a command.
    pub(crate) fn api_requests_for(&self, command: &'static str) -> u64 {
        let requests = self.api_requests.get(&[("command", command.to_owned())]);
        requests.map_or(0, |requests| requests.get())
    }

    /// Requests to the server API that were refused with a code.
    pub(crate) fn api_refusals_with(&self, code: &'static str) -> u64 {
        let refusals = self.api_refusals.get(&[("code", code.to_owned())]);
        refusals.map_or(0, |refusals| refusals.get())
    }

    fn by_error(&self) -> BTreeMap<&'static str, u64> {
        let count = |code: ErrorCode| {
            let label = [("code", code.as_str().to_owned())];
            Some((code.as_str(), self.errors.get(&label)?.get()))
        };
        ErrorCode::ALL.into_iter().filter_map(count).collect()
    }
}
