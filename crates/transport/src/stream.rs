//! The native protocol without a WebSocket: server-sent events and long polling (`docs/protocol.md`, "SSE and long polling").
//!
//! Two kinds of clients. A **feed** receives what is said in the rooms of its URL and says nothing; it lives in the body of its response, and whoever comes
//! back with the last id it has seen gets what it missed. A **session** is opened by `POST /poll`, and has one task as long as it lives, also between two polls;
//! requests reach the task through a [`Mailbox`](mailbox::Mailbox).

mod driver;
mod feed;
mod http;
mod kept;
mod mailbox;
mod open;
mod pipe;
mod reply;
mod table;

use std::time::Duration;

use ::http::header::RETRY_AFTER;

pub use http::{feed, refuse};

use crate::socketio::Cors;
use table::Table;

/// The endpoints for clients without a WebSocket.
#[derive(Debug)]
pub struct Streams {
    sse: String,
    poll: String,
    send: String,
    options: StreamOptions,
    cors: Cors,
    table: Table,
}

/// What holds for all clients without a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// How long a poll waits for a message before it is answered with none. Default 25 s: below the idle time-out of common proxies (60 s).
    pub poll_wait: Duration,
    /// How long a client may take between two polls, or to open a stream again, before its session counts as lost. Default 20 s.
    pub silence: Duration,
    /// What an `EventSource` is told to wait before it opens a stream again. Default 2 s.
    pub retry: Duration,
    /// Largest body of a `POST /send`, in bytes. Default 256 KiB: a few of the largest messages.
    pub body_bytes_max: usize,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            poll_wait: Duration::from_secs(25),
            silence: Duration::from_secs(20),
            retry: Duration::from_secs(2),
            body_bytes_max: 256 * 1024,
        }
    }
}

/// Which of the endpoints a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Sse,
    Poll,
    Send,
}

impl Streams {
    /// Endpoints beside the WebSocket's path: `/sse`, `/poll` and `/send` for `/ws`.
    pub fn beside(websocket: &str, options: StreamOptions) -> Self {
        let folder = websocket.rfind('/').map_or("/", |end| &websocket[..=end]);
        Self {
            sse: format!("{folder}sse"),
            poll: format!("{folder}poll"),
            send: format!("{folder}send"),
            options,
            cors: Cors {
                exposed_headers: vec![RETRY_AFTER],
                ..Cors::default()
            },
            table: Table::default(),
        }
    }

    pub(crate) fn route(&self, path: &str) -> Option<Route> {
        [
            (&self.sse, Route::Sse),
            (&self.poll, Route::Poll),
            (&self.send, Route::Send),
        ]
        .into_iter()
        .find_map(|(known, route)| (known == path).then_some(route))
    }

    /// How many sessions there are that were opened by a poll.
    pub fn sessions_len(&self) -> usize {
        self.table.len()
    }
}
