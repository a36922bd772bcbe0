//! What a connection's HTTP shares with the requests on it: its place among those that are not a client's yet, and the way out for what takes long.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::Body;
use crate::long::Asked;

/// One of [`handshakes_max`](crate::FrontLimits::handshakes_max) places, kept until the connection is upgraded or ends, or one of its requests turns out to be a client's
/// that waits: a stream, a poll. Those are bounded as sessions are.
///
/// The default is nobody's: another server's connection.
#[derive(Clone, Default)]
pub struct Place(Option<Arc<Held>>);

#[derive(Default)]
struct Held {
    state: Mutex<State>,
    /// Whether something that HTTP has to say did not go out yet.
    blocked: AtomicBool,
}

#[derive(Default)]
struct State {
    permit: Option<OwnedSemaphorePermit>,
    /// The request under way, if its answer may leave HTTP.
    asked: Option<Asked>,
    long: Option<Long>,
}

/// What takes long, and needs no HTTP meanwhile.
pub(crate) enum Long {
    /// The answer that a request waits for.
    Answer(Answer),
    /// The rest of a response whose head is written.
    Body(Body),
}

/// A response that comes later.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

impl Place {
    pub(crate) fn taken(permit: OwnedSemaphorePermit) -> Self {
        let place = Held::default();
        place.state.lock().permit = Some(permit);
        Self(Some(Arc::new(place)))
    }

    /// That of a connection which gave its place up before.
    pub(crate) fn given_up() -> Self {
        Self(Some(Arc::default()))
    }

    /// Gives the place to the next handshake.
    pub fn give_up(&self) {
        if let Some(place) = &self.0 {
            place.state.lock().permit.take();
        }
    }

    /// A request begins; those before are answered. What has a body does not leave: nobody knows how much of it is read.
    pub(crate) fn begin(&self, request: &Request<Incoming>) {
        if let Some(place) = &self.0 {
            let may_leave = request.method() == Method::GET && request.body().is_end_stream();
            place.state.lock().asked = may_leave.then(|| Asked::of(request));
        }
    }

    /// Whether the answer to the request under way may leave HTTP.
    pub(crate) fn may_leave(&self) -> bool {
        let place = self.0.as_ref();
        place.is_some_and(|place| place.state.lock().asked.is_some())
    }

    /// Waits for an answer, apart from HTTP where that may be: then whoever awaits this is dropped, with all that it keeps.
    pub(crate) async fn wait(
        self,
        answer: impl Future<Output = Response<Body>> + Send + 'static,
    ) -> Response<Body> {
        let answer: Answer = Box::pin(answer);
        if self.may_leave() {
            self.leave(Long::Answer(answer));
            return std::future::pending().await;
        }
        answer.await
    }

    /// Leaves it to the connection's task to go on with this, which it does before it sleeps.
    pub(crate) fn leave(&self, long: Long) {
        if let Some(place) = &self.0 {
            place.state.lock().long = Some(long);
        }
    }

    /// What was left, and by which request, once HTTP has nothing more to say itself.
    pub(crate) fn left(&self) -> Option<(Long, Asked)> {
        let place = self.0.as_ref()?;
        if place.blocked.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = place.state.lock();
        let asked = state.asked?;
        state.long.take().map(|long| (long, asked))
    }

    /// Takes notice of what became of the last write.
    pub(crate) fn note_write<T>(&self, write: &Poll<T>) {
        if let Some(place) = &self.0 {
            place.blocked.store(write.is_pending(), Ordering::Relaxed);
        }
    }
}
