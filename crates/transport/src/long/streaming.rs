//! A connection that is a stream of events from here on.

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::Body as _;

use super::{Asked, Http, Stream, poll_gone};
use crate::app::Body;

/// Writes what a body says until it ends, or the client hangs up. Silent, it owns no buffer.
pub(super) struct Streaming<T> {
    stream: T,
    early: Vec<u8>,
    http: Http,
    body: Body,
    writing: Bytes,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The body has ended; what is written is the last.
    Ending,
}

/// Bytes of a body that are written at once, about.
const PIECE: usize = 16 * 1024;

impl<T: Stream> Streaming<T> {
    pub(super) fn new(stream: T, early: &[u8], asked: Asked, body: Body) -> Self {
        Self {
            stream,
            early: early.to_vec(),
            http: asked.http,
            body,
            writing: Bytes::new(),
            phase: Phase::Open,
        }
    }

    /// Ready when nothing more is to be done.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.poll_write(cx);
        if written.is_ready() {
            return Poll::Ready(());
        }
        poll_gone(&mut self.stream, &mut self.early, cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while self.writing.has_remaining() {
                let stream = Pin::new(&mut self.stream);
                match std::task::ready!(stream.poll_write(cx, &self.writing)) {
                    Ok(len) if len > 0 => self.writing.advance(len),
                    Ok(_) | Err(_) => return Poll::Ready(()),
                }
            }
            self.writing = Bytes::new();
            if self.phase == Phase::Ending {
                return Pin::new(&mut self.stream).poll_shutdown(cx).map(|_| ());
            }
            if self.poll_piece(cx).is_pending() {
                return match Pin::new(&mut self.stream).poll_flush(cx) {
                    Poll::Ready(Err(_)) => Poll::Ready(()),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                };
            }
        }
    }

    /// Has what the body says next written; ready when there is something, the end included.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    piece.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                }
                Poll::Ready(None) => {
                    self.phase = Phase::Ending;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if piece.is_empty() && self.phase == Phase::Open {
            return Poll::Pending;
        }
        self.writing = self.framed(piece).into();
        Poll::Ready(())
    }

    /// As a chunk (RFC 9112 §7.1), with the last chunk behind it at the end.
    fn framed(&self, piece: Vec<u8>) -> Vec<u8> {
        if self.http == Http::Http10 {
            return piece;
        }
        let mut chunk = Vec::with_capacity(piece.len() + 16);
        if !piece.is_empty() {
            write!(chunk, "{:x}\r\n", piece.len()).expect("memory takes everything");
            chunk.extend_from_slice(&piece);
            chunk.extend_from_slice(b"\r\n");
        }
        if self.phase == Phase::Ending {
            chunk.extend_from_slice(b"0\r\n\r\n");
        }
        chunk
    }
}
