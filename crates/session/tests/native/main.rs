//! A session's half of the native protocol (`docs/protocol.md`), message by message.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod authentication;
mod calls;
mod client;
mod end;
mod grants;
mod joins;
mod rate;
mod resume;
mod secrets;
mod sequences;
mod time;
