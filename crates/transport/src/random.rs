//! Unguessable ids from the system's random source.

use nuncio_model::SocketId;

/// A fresh public id.
///
/// # Panics
/// When the system has no random source, without which no secret would be one.
pub fn socket_id() -> SocketId {
    SocketId::from_random(bytes())
}

/// Fresh random bytes, for secrets.
///
/// # Panics
/// As [`socket_id`].
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    bytes
}
