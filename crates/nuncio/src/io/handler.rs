//! Functions as handlers: whatever their parameters are, as long as each can be taken from an event.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::task::Task;
use super::{Event, FromEvent, Mismatch, Refused};

/// An async function of up to eight [extractors](FromEvent), which returns nothing or a `Result<(), E>`.
///
/// Write it as `async |socket: Socket, Data(text): Data<String>| { … }`, or as a function. One that needs something of its surroundings takes it as
/// [`State`](super::State), or is written `move |socket: Socket| { let db = db.clone(); async move { … } }`.
///
/// An error is logged, and acknowledged as `{ status: "error", code: "INTERNAL", message }`.
#[diagnostic::on_unimplemented(
    message = "this is no handler of events",
    note = "a handler is an async function or closure; each parameter is an extractor with its type written out, such as `socket: Socket`, \
            `Data(text): Data<String>` or `ack: Ack`; it returns nothing or `Result<(), E>`, and borrows nothing of its surroundings"
)]
pub trait Handler<Args>: Send + Sync + 'static {
    /// Makes what it does with an event.
    ///
    /// # Errors
    /// [`Mismatch`] when a parameter is not there.
    fn call(&self, event: &Event) -> Result<Pin<Box<dyn Future<Output = ()> + Send>>, Mismatch>;
}

/// An async function of [extractors](FromEvent) that returns `Result<(), E>`, where `E` becomes a [`Refused`].
#[diagnostic::on_unimplemented(
    message = "this is no middleware",
    note = "a middleware is an async function or closure with extractors as parameters, such as `socket: Socket`; it returns `Result<(), Refused>` and \
            borrows nothing of its surroundings"
)]
pub trait Middleware<Args>: Send + Sync + 'static {
    /// Makes what it does with a client that wants to come in.
    ///
    /// # Errors
    /// [`Mismatch`] when a parameter is not there.
    fn check(&self, event: &Event) -> Result<Checking, Mismatch>;
}

/// A middleware at work.
pub type Checking = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// What a handler may return.
pub trait HandlerOutput {
    /// What went wrong, if anything did.
    fn failure(&self) -> Option<&dyn Display>;
}

impl HandlerOutput for () {
    fn failure(&self) -> Option<&dyn Display> {
        None
    }
}

impl<E: Display> HandlerOutput for Result<(), E> {
    fn failure(&self) -> Option<&dyn Display> {
        self.as_ref().err().map(|error| error as &dyn Display)
    }
}

macro_rules! handlers {
    ($($($parameter:ident $value:ident)*;)*) => {$(
        impl<F, Fut, $($parameter,)*> Handler<($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: HandlerOutput> + Send + 'static,
            $($parameter: FromEvent,)*
        {
            fn call(&self, event: &Event) -> Result<Task, Mismatch> {
                $(let $value = $parameter::from_event(event)?;)*
                let (answering, name) = (event.answering.clone(), event.name.clone());
                let done = self($($value),*);
                Ok(Box::pin(async move {
                    if let Some(error) = done.await.failure() {
                        answering.fail(&name, error);
                    }
                    drop(answering);
                }))
            }
        }
    )*};
}

handlers! {
    ;
    A a;
    A a B b;
    A a B b C c;
    A a B b C c D d;
    A a B b C c D d G g;
    A a B b C c D d G g H h;
    A a B b C c D d G g H h I i;
    A a B b C c D d G g H h I i J j;
}

macro_rules! middlewares {
    ($($($parameter:ident $value:ident)*;)*) => {$(
        impl<F, Fut, E, $($parameter,)*> Middleware<($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<Refused>,
            $($parameter: FromEvent,)*
        {
            fn check(&self, event: &Event) -> Result<Checking, Mismatch> {
                $(let $value = $parameter::from_event(event)?;)*
                let checked = self($($value),*);
                Ok(Box::pin(async move { checked.await.map_err(Into::into) }))
            }
        }
    )*};
}

middlewares! {
    A a;
    A a B b;
    A a B b C c;
    A a B b C c D d;
    A a B b C c D d G g;
    A a B b C c D d G g H h;
    A a B b C c D d G g H h I i;
    A a B b C c D d G g H h I i J j;
}

/// A handler whose parameters are forgotten.
pub(super) type AnyHandler = Arc<dyn Fn(&Event) -> Result<Task, Mismatch> + Send + Sync>;
/// A middleware whose parameters are forgotten.
pub(super) type AnyMiddleware = Arc<dyn Fn(&Event) -> Result<Checking, Mismatch> + Send + Sync>;

pub(super) fn any<Args>(handler: impl Handler<Args>) -> AnyHandler {
    Arc::new(move |event| handler.call(event))
}

pub(super) fn any_middleware<Args>(middleware: impl Middleware<Args>) -> AnyMiddleware {
    Arc::new(move |event| middleware.check(event))
}
