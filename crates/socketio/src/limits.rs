//! What a peer may ask of this side's memory and patience.

use std::time::Duration;

/// Bounds on what is decoded. Passing one ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Attachments of one packet. Default 10, as in the reference.
    pub attachments_max: usize,
    /// Time from a packet to the last of its attachments. Default 30 s; the reference waits for ever.
    pub attachments_wait: Duration,
    /// Nesting of a packet's JSON or MessagePack, the array of arguments included. Default 100. At most 1,000 is used,
    /// since MessagePack is decoded recursively.
    pub depth_max: usize,
    /// Bytes of a namespace's name, in protocol v4 with the query it may carry. Default 4,096: room for a token.
    pub namespace_bytes_max: usize,
    /// Namespaces of one connection. Default 100. One more is refused with a CONNECT_ERROR.
    pub namespaces_max: usize,
}

impl Limits {
    pub(crate) fn depth(&self) -> usize {
        self.depth_max.min(1_000)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attachments_max: 10,
            attachments_wait: Duration::from_secs(30),
            depth_max: 100,
            namespace_bytes_max: 4_096,
            namespaces_max: 100,
        }
    }
}
