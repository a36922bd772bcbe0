//! What holds for all sessions of a server.

use nuncio_model::{ConnectionLimits, RateLimits};

/// The bounds and names that every session of a server shares.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of one connection.
    pub connection: ConnectionLimits,
    /// How fast it may send.
    pub rate: RateLimits,
    /// Most messages that `history:get` and `history` of a join give at once; told in the welcome.
    pub history_max: u32,
    /// The server's name and version, told in the welcome.
    pub server: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connection: ConnectionLimits::default(),
            rate: RateLimits::default(),
            history_max: 100,
            server: concat!("nuncio/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}
