//! What handlers may ask for: each parameter of a handler is taken from the event by its type.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_model::{EventName, Outcome, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::Args;
use super::event::Answering;
use super::{DisconnectReason, EmitError, Event, Io, Socket};

/// A parameter of a handler.
///
/// Its own extractors a program writes like this:
///
/// ```
/// use nuncio::io::{Event, FromEvent, Mismatch};
///
/// struct Language(String);
///
/// impl FromEvent for Language {
///     fn from_event(event: &Event) -> Result<Self, Mismatch> {
///         let header = event.socket().handshake().header("accept-language");
///         Ok(Self(header.unwrap_or("en").to_owned()))
///     }
/// }
/// ```
pub trait FromEvent: Sized {
    /// Takes it from the event.
    ///
    /// # Errors
    /// [`Mismatch`] when it is not there: the handler is not called, and the event is acknowledged with the error `INVALID_MESSAGE`.
    fn from_event(event: &Event) -> Result<Self, Mismatch>;
}

/// An event is not what its handler wants. The message goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(pub String);

/// The arguments of an event: a tuple stands for several (more are passed over, missing ones are `null`), `()` for none, anything else for the first.
///
/// A fixed array is a tuple to serde; one argument that is an array is a `Vec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Data<T> {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        let read = event.arguments().map(Self);
        read.map_err(|error| Mismatch(format!("the arguments do not fit: {error}")))
    }
}

/// The binary parts of an event, in the order of their placeholders. [`Binary`](super::Binary) finds each in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachments(pub Vec<Bytes>);

impl FromEvent for Attachments {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        Ok(Self(event.attachments().to_vec()))
    }
}

/// The acknowledgement that the client may be waiting for. It is given once; dropped, it is never given, as in the reference (a native client, which is
/// always owed a reply, gets `null`).
///
/// A call with an acknowledgement counts among those that a connection may have under way until it is given or dropped.
pub struct Ack<T = serde_json::Value> {
    answering: Arc<Answering>,
    answer: std::marker::PhantomData<fn(T)>,
}

impl<T: Serialize> Ack<T> {
    /// Acknowledges: a tuple is several arguments of the client's callback.
    ///
    /// # Errors
    /// [`EmitError::Data`] when the value cannot be written as JSON; nothing is sent then.
    pub fn send(self, answer: T) -> Result<(), EmitError> {
        let Args { data, attachments } = Args::encode(&answer)?;
        let reply = Reply::Answer { data, attachments };
        self.answering.answer(Ok(Outcome::Reply(reply)));
        Ok(())
    }
}

impl<T> FromEvent for Ack<T> {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        Ok(Self {
            answering: event.answering.clone(),
            answer: std::marker::PhantomData,
        })
    }
}

/// What the program gave its handlers by [`Io::state`]: a copy, so make it an `Arc` or the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromEvent for State<T> {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        let state = event.socket().io().core.state.read().get::<T>().cloned();
        state.map(Self).ok_or_else(|| {
            let kind = std::any::type_name::<T>();
            tracing::error!("no state of type {kind}: give it by io.state(…) before clients come");
            Mismatch("the server is not ready for this event".to_owned())
        })
    }
}

/// What was kept with the socket by [`Socket::insert`]: a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromEvent for Extension<T> {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        event.socket().extension().map(Self).ok_or_else(|| {
            let kind = std::any::type_name::<T>();
            tracing::warn!("a socket has no {kind}: insert() it in a middleware");
            Mismatch("the server is not ready for this event".to_owned())
        })
    }
}

impl FromEvent for Socket {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        Ok(event.socket.clone())
    }
}

impl FromEvent for Io {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        Ok(event.socket.io().clone())
    }
}

impl FromEvent for EventName {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        Ok(event.name.clone())
    }
}

impl FromEvent for DisconnectReason {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        let none = || Mismatch("only on_disconnect and on_disconnecting have a reason".to_owned());
        event.reason.ok_or_else(none)
    }
}

/// Leaves it to the handler what becomes of an event that does not fit.
impl<T: FromEvent> FromEvent for Result<T, Mismatch> {
    fn from_event(event: &Event) -> Result<Self, Mismatch> {
        Ok(T::from_event(event))
    }
}
