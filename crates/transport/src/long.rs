//! Answers that take long: a poll that waits, a stream of events.
//!
//! For each of its connections hyper keeps two buffers of 8 KiB and 3 KiB beside them. An answer that takes long needs none of it, so its connection is taken
//! off hyper meanwhile: all that is left is the socket, and what the answer comes from. A poll gives the connection back to hyper with its answer.

mod conversation;
mod resumed;
mod streaming;
mod waiting;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) use conversation::{Conversation, Left};
pub(crate) use resumed::Resumed;

use crate::app::Body;
use crate::place::{Long, Place};

/// A connection's bytes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// How a request came, as far as the form of its answer depends on that (RFC 9112 §9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    http: Http,
    after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http {
    /// Nothing tells the end of a body but the end of the connection.
    Http10,
    /// A body whose length nobody knows comes in chunks.
    Http11,
}

/// What becomes of the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Close,
    KeepAlive,
}

impl Asked {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let http = match request.version() {
            Version::HTTP_09 | Version::HTTP_10 => Http::Http10,
            _ => Http::Http11,
        };
        let after = match http {
            Http::Http10 if !says(request.headers(), "keep-alive") => After::Close,
            Http::Http11 if says(request.headers(), "close") => After::Close,
            Http::Http10 | Http::Http11 => After::KeepAlive,
        };
        Self { http, after }
    }

    /// The head of a request that is to be answered in the same form.
    const fn head(self) -> &'static [u8] {
        match (self.http, self.after) {
            (Http::Http10, After::Close) => b"GET / HTTP/1.0\r\n\r\n",
            (Http::Http10, After::KeepAlive) => b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            (Http::Http11, After::Close) => b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
            (Http::Http11, After::KeepAlive) => b"GET / HTTP/1.1\r\n\r\n",
        }
    }
}

/// Whether `Connection` names this option.
fn says(headers: &HeaderMap, option: &str) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|named| named.trim().eq_ignore_ascii_case(option))
}

/// The body of a response as hyper writes it; that of a stream leaves it as soon as its head is written.
pub(crate) struct Carried {
    body: Option<Body>,
    place: Option<Place>,
}

impl Carried {
    /// Has a response carried by hyper, up to its head or to its end.
    pub(crate) fn by(place: &Place, mut response: Response<Body>) -> Response<Self> {
        let leaves = is_stream(&response) && place.may_leave();
        if leaves {
            // Its end is that of the connection.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let place = leaves.then(|| place.clone());
        response.map(|body| Self {
            body: Some(body),
            place,
        })
    }
}

/// Whether it goes on as long as its client reads.
fn is_stream(response: &Response<Body>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|of| of.as_bytes().starts_with(b"text/event-stream"))
        && response.body().size_hint().exact().is_none()
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { body, place } = &mut *self;
        if let Some(place) = place {
            if let Some(body) = body.take() {
                place.leave(Long::Body(body));
            }
            return Poll::Pending;
        }
        match body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::new, HttpBody::size_hint)
    }
}

/// Notices that a client hangs up. What it says meanwhile is kept for later; once there is something, nothing more is read.
fn poll_gone<T: Stream>(stream: &mut T, early: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<()> {
    if !early.is_empty() {
        return Poll::Pending;
    }
    let mut bytes = [0; 512];
    let mut buffer = ReadBuf::new(&mut bytes);
    match std::task::ready!(Pin::new(stream).poll_read(cx, &mut buffer)) {
        Ok(()) if !buffer.filled().is_empty() => {
            early.extend_from_slice(buffer.filled());
            Poll::Pending
        }
        Ok(()) | Err(_) => Poll::Ready(()),
    }
}

#[cfg(test)]
mod tests;
