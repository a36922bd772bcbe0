//! One client's conversation as a sans-IO state machine.
//!
//! A driver owns a [`Session`] while its client is connected. It feeds messages, notices and the time, and carries out the [`Output`]s; the session
//! decodes, keeps the limits and the grants, and says what is sent. It never waits: what it cannot decide alone is a [`Call`].
//!
//! ```text
//! bytes -> handle_message ─┬─> Output::Send            a refusal, a pong
//!                          └─> Output::Call(call, …)   the server does it, and gives the call back with its outcome:
//!          complete(call) ───> Output::Send, Release
//! ```

mod budget;
mod call;
mod expiry;
mod feed;
mod heartbeat;
mod output;
mod pending;
mod rights;
mod session;
mod settings;
pub mod socketio;

pub use call::Call;
pub use feed::{Feed, FeedOutput};
pub use output::Output;
pub use session::Session;
pub use settings::Settings;
