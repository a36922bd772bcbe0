//! From the task of a session to the response that carries it as a stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};
use parking_lot::Mutex;

use super::mailbox::{Presence, RequestId};
use crate::sink::Outbox;

/// What is on its way to the socket: bounded, so that a client that does not read is noticed where the bound for that is, in the outbox.
pub(super) struct Pipe {
    /// Whose stream it is; its task is woken once there is room again.
    outbox: Arc<Outbox>,
    pub(super) id: RequestId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parts: VecDeque<Bytes>,
    bytes: usize,
    reader: Option<Waker>,
    phase: Phase,
}

#[derive(Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The task waits for room.
    Full,
    /// Nothing more comes.
    Finished,
}

/// Bytes on their way at once.
const BYTES_MAX: usize = 64 * 1024;

impl Pipe {
    pub(super) fn new(outbox: Arc<Outbox>, id: RequestId) -> Self {
        Self {
            outbox,
            id,
            state: Mutex::default(),
        }
    }

    /// Whether more may be put in; if not, the task is woken once it may.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        let has_room = state.bytes < BYTES_MAX;
        if !has_room && state.phase == Phase::Open {
            state.phase = Phase::Full;
        }
        has_room
    }

    /// Puts parts of the stream in.
    pub(super) fn push(&self, parts: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state.lock();
        for part in parts {
            state.bytes += part.len();
            state.parts.push_back(part);
        }
        state.wake();
    }

    /// Nothing more comes.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Finished;
        state.wake();
    }

    fn poll_part(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        let Some(part) = state.parts.pop_front() else {
            state.parts = VecDeque::new();
            if state.phase == Phase::Finished {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= part.len();
        if state.phase == Phase::Full && state.bytes <= BYTES_MAX / 2 {
            state.phase = Phase::Open;
            drop(state);
            self.outbox.wake();
        }
        Poll::Ready(Some(part))
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The response's side of a pipe. Dropped, the client is gone.
pub(super) struct PipeBody {
    pub(super) pipe: Arc<Pipe>,
    pub(super) _presence: Presence,
}

impl Body for PipeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pipe
            .poll_part(cx)
            .map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
