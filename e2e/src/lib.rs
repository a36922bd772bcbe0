//! The whole server against outside judges. What tests share: a server of their own, and a client that is not ours.

pub mod autobahn;
pub mod backend;
pub mod cable;
pub mod chaos;
pub mod client;
pub mod command;
pub mod embedded;
pub mod events;
pub mod example;
pub mod hook_backend;
pub mod hops;
pub mod http;
pub mod luck;
pub mod poll;
pub mod polling;
pub mod program;
pub mod python;
pub mod raw;
pub mod reference;
pub mod server;
pub mod terminal;

use std::time::Duration;

pub use backend::Backend;
pub use cable::Cable;
pub use client::Client;
pub use embedded::Embedded;
pub use events::Events;
pub use example::Example;
pub use hook_backend::HookBackend;
pub use poll::Poll;
pub use program::Program;
pub use raw::Raw;
pub use reference::Reference;
pub use server::TestServer;
pub use terminal::Terminal;

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The present, in seconds since the Unix epoch.
pub fn unix_s() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}
