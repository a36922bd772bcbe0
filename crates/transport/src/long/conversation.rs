//! The task of one connection: HTTP, and what takes long in between.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use tokio::sync::OwnedSemaphorePermit;

use super::streaming::Streaming;
use super::waiting::{Answered, Waiting};
use super::{Asked, Resumed, Stream};
use crate::app::{App, Body};
use crate::listener::Front;
use crate::place::{Long, Place};

/// What takes long, and the connection that it left HTTP on.
pub(crate) struct Left<T> {
    pub(crate) long: Long,
    pub(crate) asked: Asked,
    pub(crate) stream: T,
    /// Read already, and not understood yet.
    pub(crate) early: Bytes,
}

/// One connection, from its first request to its end. Each stage is on the heap, so that the others take no room in it.
pub(crate) struct Conversation<A, T> {
    front: Arc<Front<A>>,
    peer: SocketAddr,
    stage: Stage<T>,
}

enum Stage<T> {
    Http(Pin<Box<dyn Future<Output = Option<Left<T>>> + Send>>),
    Waiting(Box<Waiting<T>>),
    Streaming(Box<Streaming<T>>),
    Done,
}

impl<A: App, T: Stream> Conversation<A, T> {
    pub(crate) fn new(
        front: Arc<Front<A>>,
        stream: T,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let mut conversation = Self {
            front,
            peer,
            stage: Stage::Done,
        };
        conversation.serve(stream, Bytes::new(), Place::taken(permit), None);
        conversation
    }

    /// Has HTTP carry the connection on; `first` answers its first request.
    fn serve(&mut self, stream: T, early: Bytes, place: Place, first: Option<Response<Body>>) {
        let stream = Resumed::new(stream, early, place.clone());
        let serving = self
            .front
            .clone()
            .serve_http(stream, self.peer, place, first);
        self.stage = Stage::Http(Box::pin(serving));
    }

    fn leave(&mut self, left: Left<T>) {
        let Left {
            long,
            asked,
            stream,
            early,
        } = left;
        self.stage = match long {
            Long::Answer(answer) => {
                Stage::Waiting(Box::new(Waiting::new(stream, &early, asked, answer)))
            }
            Long::Body(body) => {
                Stage::Streaming(Box::new(Streaming::new(stream, &early, asked, body)))
            }
        };
    }

    fn answer(&mut self, response: Response<Body>) {
        if let Stage::Waiting(waiting) = std::mem::replace(&mut self.stage, Stage::Done) {
            let Answered {
                stream,
                early,
                response,
            } = waiting.answered(response);
            self.serve(stream, early.into(), Place::given_up(), Some(response));
        }
    }
}

impl<A: App, T: Stream> Future for Conversation<A, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.stage {
                Stage::Http(serving) => match std::task::ready!(serving.as_mut().poll(cx)) {
                    Some(left) => self.leave(left),
                    None => self.stage = Stage::Done,
                },
                Stage::Waiting(waiting) => match std::task::ready!(waiting.poll_answer(cx)) {
                    Some(response) => self.answer(response),
                    None => self.stage = Stage::Done,
                },
                Stage::Streaming(streaming) => {
                    std::task::ready!(streaming.poll_end(cx));
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(()),
            }
        }
    }
}

impl<A, T> Unpin for Conversation<A, T> {}
