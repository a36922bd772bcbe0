//! The client's connection: alone, and against the server's over a network in memory.

mod alone;
mod network;
mod pair;
