//! The endpoint for Socket.IO clients, as configured.

use std::sync::Arc;

use nuncio_transport::{Purpose, SocketIo, SocketIoOptions};

use crate::config::CheckedConfig;

/// `None` where it is turned off.
pub(crate) fn endpoint(config: &CheckedConfig) -> Option<Arc<SocketIo>> {
    let section = &config.config.socketio;
    let payload_bytes_max = section.max_payload.0;
    let options = SocketIoOptions {
        path: section.path.clone(),
        purpose: Purpose::Sessions,
        ping_interval: section.ping_interval,
        ping_timeout: section.ping_timeout,
        connect_timeout: section.connect_timeout,
        payload_bytes_max,
        // Who polls cannot read while its request travels: a few of the largest messages must fit.
        outbox_bytes_max: config
            .connection
            .outbox_bytes_max
            .max(OUTBOX_PAYLOADS * payload_bytes_max),
    };
    section.enabled.then(|| Arc::new(SocketIo::new(options)))
}

/// How many of the largest messages may wait for a client.
const OUTBOX_PAYLOADS: usize = 4;
