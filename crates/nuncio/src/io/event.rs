//! One event on its way to handlers.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_model::{ErrorCode, EventName, Outcome, Refusal, quote};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::args::Args;
use super::{DisconnectReason, Socket};

/// What handlers are given, and [extractors](super::FromEvent) take their parts from.
pub struct Event {
    pub(super) socket: Socket,
    pub(super) name: EventName,
    pub(super) args: Args,
    pub(super) answering: Arc<Answering>,
    pub(super) reason: Option<DisconnectReason>,
}

impl Event {
    /// Its name.
    pub const fn name(&self) -> &EventName {
        &self.name
    }

    /// The socket that it came from.
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The binary parts, by the number in their placeholders.
    pub const fn attachments(&self) -> &[Bytes] {
        &self.args.attachments
    }

    /// The arguments: as a tuple, or the first of them as anything else.
    ///
    /// # Errors
    /// When they are not what is wanted.
    pub fn arguments<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.args.decode()
    }
}

/// Gives the answer to an event, once; when nobody is left who could, nobody did.
pub(super) struct Answering(Mutex<Option<Reply>>);

pub(super) type Reply = Box<dyn FnOnce(Result<Outcome, Refusal>) + Send>;

impl Answering {
    pub(super) fn new(reply: Reply) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(reply))))
    }

    /// For what has no answer: connections and their ends.
    pub(super) fn nobody() -> Arc<Self> {
        Arc::new(Self(Mutex::new(None)))
    }

    /// Answers. The second time it does nothing.
    pub(super) fn answer(&self, result: Result<Outcome, Refusal>) {
        let reply = self.0.lock().take();
        if let Some(reply) = reply {
            reply(result);
        }
    }

    /// A handler returned an error: the log has it, the client is told that there was one.
    pub(super) fn fail(&self, event: &EventName, error: &dyn std::fmt::Display) {
        tracing::warn!(event = event.as_str(), %error, "a handler failed");
        let message = format!("the handler of {} failed", quote(event));
        self.answer(Err(Refusal::new(ErrorCode::Internal, message)));
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.answer(Ok(Outcome::Silent));
    }
}
