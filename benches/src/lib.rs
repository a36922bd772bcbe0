//! The floors: the least that a server on this kernel must do to carry a room's messages.
//!
//! A floor speaks just enough of the native protocol that the load generator of `nuncio bench fanout` drives it like
//! the real server: no tokens, one room, no history, no limits, no encoding. What nuncio costs above its floor is what
//! all of that costs.
//!
//! **Invariant:** nothing here is shared with the server, so that a slow server cannot slow its own yardstick.

pub mod floor;
