//! Handlers as they run: started in order, and on their own from the first wait.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What a handler does.
pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a handler: what it does before its first wait is done when this returns, the rest follows by itself. A panic ends the handler, not the server.
pub(super) fn start(task: Task, name: &str) {
    let mut task = Caught(task);
    // Whoever takes the task over polls it at once, with a waker of its own.
    match Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ended) => log(ended, name),
        Poll::Pending => {
            let name = name.to_owned();
            tokio::spawn(async move { log(task.await, &name) });
        }
    }
}

/// Runs what makes a handler's future, which a closure that is not async may do a lot in.
pub(super) fn make<T>(name: &str, make: impl FnOnce() -> T) -> Option<T> {
    let made = catch_unwind(AssertUnwindSafe(make));
    made.map_err(|panic| log_panic(panic, name)).ok()
}

fn log(ended: Result<(), Panic>, name: &str) {
    if let Err(panic) = ended {
        log_panic(panic, name);
    }
}

/// Says in the log what a handler panicked with.
pub(super) fn log_panic(panic: Panic, name: &str) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("");
    tracing::error!(event = name, panic = text, "a handler panicked");
}

pub(super) type Panic = Box<dyn Any + Send>;

/// A future whose panic is its result.
pub(super) struct Caught<F>(pub(super) F);

impl<F: Future + Unpin> Future for Caught<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
