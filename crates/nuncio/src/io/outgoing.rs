//! Events on their way to clients, for handlers that want to see them.

use std::sync::Arc;

use nuncio_model::EventName;

use super::Event;
use super::args::Args;
use super::core::Core;
use super::event::Answering;
use super::listeners::start;

/// Tells those among the sockets that listen, before anything is sent. O(sockets).
pub(super) fn tell(
    core: &Core,
    places: &[Arc<nuncio_transport::Socket>],
    name: &EventName,
    args: &Args,
) {
    for place in places {
        let Some(socket) = core.socket(&place.id) else {
            continue;
        };
        let handlers = socket.outgoing();
        if handlers.is_empty() {
            continue;
        }
        let event = Event {
            socket,
            name: name.clone(),
            args: args.clone(),
            answering: Answering::nobody(),
            reason: None,
        };
        start(&handlers, &event);
    }
}
