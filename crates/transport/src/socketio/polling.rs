//! What a connection keeps while its client polls: requests without an answer, a WebSocket that wants to take over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use nuncio_engineio::server::{RequestId, SocketId};
use nuncio_engineio::{Frame, Protocol, Response};
use nuncio_websocket::Connection;
use tokio::io::AsyncRead;

use super::frames;
use super::link::Stream;
use super::mailbox::Answer;
use crate::sink::Outbox;

/// Dropped as a whole once the client has upgraded.
#[derive(Default)]
pub(super) struct Polling {
    answers: Vec<(RequestId, Answer)>,
    /// Out of the outbox, and for one of the next polls.
    frames: VecDeque<Frame>,
    pub(super) probe: Option<Probe>,
    /// When the connection is given up to a newer one.
    pub(super) given_up_at: Option<Instant>,
}

/// Bytes taken out of the outbox at once.
const TAKE_BYTES: usize = 64 * 1024;

/// A WebSocket on which the client tries whether it works.
pub(super) struct Probe {
    pub(super) id: SocketId,
    pub(super) stream: Stream,
    pub(super) connection: Connection,
    pub(super) out: BytesMut,
}

impl Polling {
    pub(super) fn expect(&mut self, request: RequestId, answer: Answer) {
        self.answers.push((request, answer));
    }

    pub(super) fn answer(&mut self, request: RequestId, response: Response) {
        let known = self.answers.iter().position(|(known, _)| *known == request);
        if let Some(index) = known {
            // Nobody waits for it when the request was cut off meanwhile.
            let _ = self.answers.swap_remove(index).1.send(response);
        }
    }

    /// Whether this is the WebSocket that wants to take over.
    pub(super) fn is_probe(&self, socket: SocketId) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.id == socket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
            && self.frames.is_empty()
            && self.probe.is_none()
            && self.given_up_at.is_none()
    }

    /// The next packet for a poll.
    pub(super) fn next_frame(&mut self, outbox: &Outbox, protocol: Protocol) -> Option<Frame> {
        let mut items = VecDeque::new();
        while self.frames.is_empty() && outbox.take(&mut items, TAKE_BYTES) > 0 {
            let read = |item| frames::packets(item, protocol);
            self.frames.extend(items.drain(..).flat_map(read));
        }
        self.frames.pop_front()
    }

    /// What no poll has fetched.
    pub(super) fn take_frames(&mut self) -> VecDeque<Frame> {
        std::mem::take(&mut self.frames)
    }

    /// Drops the requests without an answer: their connections are cut.
    pub(super) fn cut(&mut self) {
        self.answers.clear();
    }
}

impl Probe {
    pub(super) fn new(id: SocketId, stream: Stream, connection: Connection) -> Self {
        Self {
            id,
            stream,
            connection,
            out: BytesMut::new(),
        }
    }

    /// Writes what is to be said; an error shows in the next read.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        while !self.out.is_empty() {
            match Pin::new(self.stream.writer()).poll_write(cx, &self.out) {
                Poll::Ready(Ok(written)) if written > 0 => self.out.advance(written),
                Poll::Ready(Ok(_) | Err(_)) => return self.out.clear(),
                Poll::Pending => return,
            }
        }
        let _ = Pin::new(self.stream.writer()).poll_flush(cx);
    }

    /// Reads into `buffer`; 0 is the end, also that of a broken stream.
    pub(super) fn read(&mut self, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<usize> {
        let mut buffer = tokio::io::ReadBuf::new(buffer);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(buffer.filled().len()),
            Poll::Ready(Err(_)) => Poll::Ready(0),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Says goodbye; the connection goes on without it.
    pub(super) fn close(mut self) {
        if let Some(frame) = self
            .connection
            .close(None, "", nuncio_websocket::Mask::None)
        {
            self.out.extend_from_slice(&frame);
        }
        self.stream.farewell(Bytes::from(self.out));
    }
}
