//! A connection whose request waits for its answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use super::{Asked, Stream, poll_gone};
use crate::app::Body;
use crate::place::Answer;

/// Ready with the answer; or with nothing, when the client has hung up.
pub(super) struct Waiting<T> {
    stream: T,
    early: Vec<u8>,
    asked: Asked,
    answer: Answer,
}

/// An answer, the connection that it is for, and what HTTP is to read before anything else: a request to be answered with it, and what came behind.
pub(super) struct Answered<T> {
    pub(super) stream: T,
    pub(super) early: Vec<u8>,
    pub(super) response: Response<Body>,
}

impl<T: Stream> Waiting<T> {
    pub(super) fn new(stream: T, early: &[u8], asked: Asked, answer: Answer) -> Self {
        Self {
            stream,
            early: early.to_vec(),
            asked,
            answer,
        }
    }

    /// The client's end is noticed as long as it says nothing more.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Response<Body>>> {
        if let Poll::Ready(response) = Pin::new(&mut self.answer).poll(cx) {
            return Poll::Ready(Some(response));
        }
        poll_gone(&mut self.stream, &mut self.early, cx).map(|()| None)
    }

    pub(super) fn answered(self, response: Response<Body>) -> Answered<T> {
        Answered {
            stream: self.stream,
            early: [self.asked.head(), &self.early].concat(),
            response,
        }
    }
}
