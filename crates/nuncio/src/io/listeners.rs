//! Which handlers a socket has, and how an event finds them.

use nuncio_model::{ErrorCode, EventName, Refusal, quote};
use smallvec::SmallVec;

use super::handler::{AnyHandler, AnyMiddleware};
use super::{Event, task};

/// The handlers of one socket, in the order in which they were given.
#[derive(Default)]
pub(super) struct Listeners {
    events: Vec<Listener>,
    any: Vec<AnyHandler>,
    pub(super) disconnecting: Vec<AnyHandler>,
    pub(super) disconnect: Vec<AnyHandler>,
    /// What few sockets have: 8 bytes for the others.
    rare: Option<Box<Rare>>,
}

/// Handlers for what most programs leave alone.
#[derive(Default)]
pub(super) struct Rare {
    pub(super) middleware: Vec<AnyMiddleware>,
    pub(super) outgoing: Vec<AnyHandler>,
    pub(super) upgrade: Vec<AnyHandler>,
}

/// Where a handler comes among those for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    First,
    Last,
}

struct Listener {
    name: EventName,
    handler: AnyHandler,
    times: Times,
}

/// How often a handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Always,
    Once,
}

impl Listeners {
    pub(super) fn add(&mut self, name: EventName, handler: AnyHandler, times: Times) {
        self.events.push(Listener {
            name,
            handler,
            times,
        });
    }

    pub(super) fn add_any(&mut self, handler: AnyHandler, order: Order) {
        insert(&mut self.any, handler, order);
    }

    pub(super) fn add_outgoing(&mut self, handler: AnyHandler, order: Order) {
        insert(&mut self.rare_mut().outgoing, handler, order);
    }

    pub(super) fn remove_any(&mut self) {
        self.any.clear();
    }

    /// What few sockets have, where this one has any of it.
    pub(super) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.events.retain(|listener| *listener.name != *name);
    }

    /// The handlers of an event, those for any before its own, and how many of them are its own. What was for one time is taken out.
    pub(super) fn take(&mut self, name: &EventName) -> (SmallVec<[AnyHandler; 2]>, usize) {
        let mut handlers: SmallVec<[AnyHandler; 2]> = self.any.iter().cloned().collect();
        self.events.retain(|listener| {
            let is_it = listener.name == *name;
            if is_it {
                handlers.push(listener.handler.clone());
            }
            !(is_it && listener.times == Times::Once)
        });
        let own = handlers.len() - self.any.len();
        (handlers, own)
    }
}

fn insert(handlers: &mut Vec<AnyHandler>, handler: AnyHandler, order: Order) {
    match order {
        Order::First => handlers.insert(0, handler),
        Order::Last => handlers.push(handler),
    }
}

/// Starts handlers in their order.
pub(super) fn start(handlers: &[AnyHandler], event: &Event) {
    for handler in handlers {
        match task::make(&event.name, || handler(event)) {
            Some(Ok(work)) => task::start(work, &event.name),
            Some(Err(mismatch)) => {
                tracing::info!(event = event.name.as_str(), %mismatch, "an event does not fit its handler");
                let message = format!("event {}: {mismatch}", quote(&event.name));
                let refusal = Refusal::new(ErrorCode::InvalidMessage, message);
                event.answering.answer(Err(refusal));
            }
            None => {}
        }
    }
}
