//! The commands: one type each, which is the form of its request, and how it is done.

mod emit;
mod grants;
mod history;
mod presence;
mod private;
mod publish;
mod revoke;
mod rooms;
mod server;
mod sessions;
mod stats;
mod who;

use std::pin::Pin;
use std::sync::Arc;

use nuncio_hub::Done;
use nuncio_model::{Namespace, Now, RoomName};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

pub(super) use emit::Emit;
pub(super) use grants::Regrant;
pub(super) use history::{ClearHistory, History};
pub(super) use presence::Presence;
pub(super) use private::Private;
pub(super) use publish::{Broadcast, Publish};
pub(super) use revoke::Revoke;
pub(super) use rooms::{Join, Leave, Rooms};
pub(super) use server::{Health, Server};
pub(super) use sessions::{Disconnect, OneSession, Sessions};
pub(super) use stats::Stats;

use super::failure::{Code, Failure};
use super::keyring::Key;
use super::value::Intention;
use crate::app::Nuncio;

/// What a command is done with.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) app: Arc<Nuncio>,
    pub(super) key: Arc<Key>,
    pub(super) now: Now,
}

/// The answer of a command that was begun.
pub(super) type Begun<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// One thing that a backend asks for. The type is the form of its request.
pub(super) trait Command: DeserializeOwned + JsonSchema + Send + 'static {
    /// The form of its answer.
    type Answer: Serialize + JsonSchema + Send + 'static;

    /// Begins it: what is published is handed over before this returns, so that several go together.
    ///
    /// # Errors
    /// What is refused without being begun.
    fn begin(self, work: &Work) -> Result<Begun<Self::Answer>, Failure>;

    /// Where the key of the `Idempotency-Key` header belongs, for commands that have one.
    fn intention(&mut self) -> Option<&mut Option<Intention>> {
        None
    }
}

/// An answer that is there already.
pub(super) fn ready<T: Send + 'static>(answer: T) -> Begun<T> {
    Box::pin(std::future::ready(Ok(answer)))
}

/// An answer that the hub gives, now or later.
pub(super) fn asked<T: Send + 'static>(ask: impl FnOnce(Done<T>)) -> Begun<T> {
    let (sender, receiver) = oneshot::channel();
    ask(Box::new(move |result| drop(sender.send(result))));
    Box::pin(async move {
        let gone = |_| Failure::new(Code::Unavailable, "the server ended before it was done");
        Ok(receiver.await.map_err(gone)??)
    })
}

impl Work {
    /// Whether the key is for a room of a namespace.
    fn check_room(&self, namespace: &Namespace, room: &RoomName) -> Result<(), Failure> {
        self.key.check_namespace(namespace)?;
        self.key.check_room(room)
    }

    /// Whether the key is for all of a namespace.
    fn check_namespace(&self, namespace: &Namespace) -> Result<(), Failure> {
        self.key.check_namespace(namespace)?;
        self.key.check_free_of_rooms()
    }
}
