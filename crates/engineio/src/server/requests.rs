//! The HTTP requests of one polling session.

use std::time::Instant;

use bytes::Bytes;

use super::{CloseReason, Connection, Link, RequestId};
use crate::handshake::{RequestError, Response};
use crate::payload::{Content, Packets};
use crate::polling;

impl Connection {
    /// A poll: GET on a session.
    pub fn handle_get(&mut self, now: Instant, request: RequestId) {
        self.handle_timeout(now);
        match &mut self.link {
            Link::Polling(polling) if polling.poll.is_some() => {
                self.end(CloseReason::TransportError);
                self.respond(request, Response::empty(400));
            }
            Link::Polling(polling) => {
                polling.poll = Some(request);
                polling.release_poll(now);
            }
            Link::WebSocket(_) => self.respond(request, RequestError::BadRequest.response()),
            Link::Closed => self.respond(request, RequestError::UnknownSid.response()),
        }
    }

    /// The head of a POST arrived. Ends the connection when another one is under way, or when a v4 client sends
    /// `application/octet-stream`. `true` when the body is wanted: read at most
    /// [`Config::payload_bytes_max`](crate::Config::payload_bytes_max) bytes of it, then call [`handle_post_body`](Self::handle_post_body) or
    /// [`handle_post_too_large`](Self::handle_post_too_large).
    #[must_use]
    pub fn handle_post(&mut self, now: Instant, request: RequestId, content: Content) -> bool {
        self.handle_timeout(now);
        match &mut self.link {
            Link::Polling(polling)
                if polling.post.is_none() && polling::takes_content(self.protocol, content) =>
            {
                polling.post = Some(request);
                return true;
            }
            Link::Polling(_) => {
                self.end(CloseReason::TransportError);
                self.respond(request, Response::empty(400));
            }
            Link::WebSocket(_) => self.respond(request, RequestError::BadRequest.response()),
            Link::Closed => self.respond(request, RequestError::UnknownSid.response()),
        }
        false
    }

    /// The body of the POST that was announced is complete. Ignored when the request was answered meanwhile.
    pub fn handle_post_body(
        &mut self,
        now: Instant,
        request: RequestId,
        content: Content,
        body: Bytes,
    ) {
        self.handle_timeout(now);
        let protocol = self.protocol;
        let Link::Polling(polling) = &mut self.link else {
            return;
        };
        if polling.post != Some(request) {
            return;
        }
        if body.len() > self.config.payload_bytes_max {
            self.handle_post_too_large(now, request);
            return;
        }
        polling.incoming = Some((Packets::new(protocol, content, body), now));
    }

    /// The body of the announced POST is larger than [`Config::payload_bytes_max`](crate::Config::payload_bytes_max): 413, and the session goes on.
    pub fn handle_post_too_large(&mut self, now: Instant, request: RequestId) {
        self.handle_timeout(now);
        if let Link::Polling(polling) = &mut self.link
            && polling.post == Some(request)
        {
            polling.post = None;
            self.respond(request, Response::empty(413));
        }
    }

    /// A request for the session with a method other than GET and POST.
    pub fn handle_other_method(&mut self, now: Instant, request: RequestId) {
        self.handle_timeout(now);
        match self.link {
            Link::Polling(_) => self.respond(request, Response::empty(500)),
            Link::WebSocket(_) => self.respond(request, RequestError::BadRequest.response()),
            Link::Closed => self.respond(request, RequestError::UnknownSid.response()),
        }
    }

    /// The client cut a request off before its answer was written. Its session ends: packets may be lost.
    /// Ignored for requests that are answered.
    pub fn handle_aborted(&mut self, now: Instant, request: RequestId) {
        self.handle_timeout(now);
        if let Link::Polling(polling) = &mut self.link {
            if polling.poll == Some(request) {
                polling.poll = None;
            } else if polling.post == Some(request) {
                polling.post = None;
            } else {
                return;
            }
            self.end(CloseReason::TransportError);
        }
    }
}
