//! The section for native clients without a WebSocket.

use std::time::Duration;

use nuncio_transport::StreamOptions;
use toml::Value;

use super::section::{Key, Section, section};
use super::setting::{ByteSize, Raw, Setting, Wrong};

section! {
    /// Server-sent events and long polling, for native clients without a WebSocket: `/sse`, `/poll` and `/send`, beside `server.path`.
    StreamsConfig in "streams" {
        /// Whether they exist.
        enabled: bool = true,
        /// How long a poll waits for a message: less than the time-out of the proxies on the way, often 60s.
        poll_wait: Duration = StreamOptions::default().poll_wait,
        /// How long a client may take to poll again, or to open its stream again, before its session counts as lost.
        silence: Duration = StreamOptions::default().silence,
        /// How long an `EventSource` is told to wait before it opens its stream again.
        retry: Duration = StreamOptions::default().retry,
        /// Largest body of `POST /send`, which may have several messages. One message is always let through.
        body_bytes: ByteSize = ByteSize(StreamOptions::default().body_bytes_max),
    }
}
