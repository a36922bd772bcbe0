//! The request that asks for a WebSocket, and how it is turned down.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};

use crate::app::Body;
use crate::service::text;

/// The request of a client that connects.
#[derive(Debug, Clone)]
pub struct Request {
    parts: Parts,
    address: IpAddr,
}

impl Request {
    pub(super) const fn new(parts: Parts, address: IpAddr) -> Self {
        Self { parts, address }
    }

    /// What was asked for.
    pub const fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The first value of that name in the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The headers, cookies among them.
    pub const fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The client's address, as a trusted proxy tells it.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// What was attached to the request, such as who the client is.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.parts.extensions.get()
    }

    /// Attaches something: the handler gets what [`verify_client`](super::WebSocketOptions::verify_client) attached.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, attached: T) -> Self {
        self.parts.extensions.insert(attached);
        self
    }
}

/// The answer to a client that may not connect: its handshake fails with this status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    body: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Rejection {
    /// An answer with a status and a text. A status that is no refusal (below 400) becomes 403.
    pub fn new(status: StatusCode, body: impl Into<String>) -> Self {
        let is_refusal = status.is_client_error() || status.is_server_error();
        Self {
            status: if is_refusal {
                status
            } else {
                StatusCode::FORBIDDEN
            },
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// 401: nobody says who the client is, or what says so is wrong.
    pub fn unauthorized(body: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer");
        Self::new(StatusCode::UNAUTHORIZED, body).header(header::WWW_AUTHENTICATE, challenge)
    }

    /// Adds a header, or replaces it.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(text(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}
