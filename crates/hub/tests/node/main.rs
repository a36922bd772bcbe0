//! One node over the memory broker, seen from its sockets: what reaches whom, in which order, and that nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod concurrency;
mod door;
mod emits;
mod hall;
mod idle_rooms;
mod joins;
mod limits;
mod model;
mod observer;
mod order;
mod presence;
mod recovery;
mod recovery_model;
mod typing;
mod view;
mod visitors;
mod wire;
