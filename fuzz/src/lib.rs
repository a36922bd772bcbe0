//! What the fuzz targets check, as plain functions, so that `cargo test` runs them too.
//!
//! One module for each crate, one function for each target; a target in `fuzz_targets/` is one line that calls it.

pub mod engineio;
pub mod protocol;
pub mod socketio;
pub mod websocket;

#[cfg(test)]
mod corpus;
