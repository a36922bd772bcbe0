//! `nuncio connect`, the program itself: against real servers, through pipes, and on a terminal.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod ends;
mod native;
mod peer;
mod raw;
mod run;
mod socketio;
mod terminal;
mod tls;
