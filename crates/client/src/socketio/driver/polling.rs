//! The requests of polling: HTTP/1.1 on connections that are kept, and the cookies of the server.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;

use super::endpoint::Endpoint;
use crate::dial::dial;

/// Sends requests. Clones share the connections and the cookies; both end with the last clone.
#[derive(Clone)]
pub(super) struct Http {
    endpoint: Arc<Endpoint>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// Connections without a request.
    kept: Vec<SendRequest<Full<Bytes>>>,
    /// Name and value.
    cookies: Vec<(String, String)>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        let shared = Arc::default();
        Self { endpoint, shared }
    }

    /// A request; the error is a text for people.
    pub(super) async fn request(
        self,
        method: Method,
        query: String,
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = self.build(method, &query, body)?;
        // A server may close a connection that it kept at any time; what was not written yet goes on the next one.
        while let Some(mut kept) = self.take() {
            if kept.ready().await.is_err() {
                continue;
            }
            match kept.try_send_request(request).await {
                Ok(response) => return self.read(kept, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.error().to_string()),
                },
            }
        }
        let mut fresh = self.connect().await?;
        let sent = fresh.send_request(request).await;
        self.read(fresh, sent.map_err(text)?).await
    }

    /// The value of `cookie`: what the application gave, and what the server did.
    pub(super) fn cookie(&self) -> Option<String> {
        let given = self.endpoint.headers.iter();
        let given = given.filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let mut cookies: Vec<_> = given.map(|(_, value)| value.clone()).collect();
        let shared = self.shared();
        cookies.extend(
            shared
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        (!cookies.is_empty()).then(|| cookies.join("; "))
    }

    fn build(
        &self,
        method: Method,
        query: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(&method)
            .uri(self.endpoint.target(query))
            .header(header::HOST, &self.endpoint.url.authority)
            .header(header::ACCEPT, "*/*");
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "text/plain;charset=UTF-8");
        }
        for (name, value) in self.endpoint.headers.iter() {
            if !name.eq_ignore_ascii_case("cookie") {
                request = request.header(name, value);
            }
        }
        if let Some(cookie) = self.cookie() {
            request = request.header(header::COOKIE, cookie);
        }
        request.body(Full::new(body)).map_err(text)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let Endpoint {
            url, tls, proxy, ..
        } = &*self.endpoint;
        let stream = dial(url, tls.as_ref(), proxy).await.map_err(text)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(text)?;
        // It ends with the sender, and what goes wrong on it is told there.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn read(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Result<Answer, String> {
        let status = response.status().as_u16();
        self.shared().take_cookies(response.headers());
        let body = Limited::new(response.into_body(), self.endpoint.body_bytes_max);
        let body = body.collect().await.map_err(text)?.to_bytes();
        self.shared().kept.push(sender);
        Ok(Answer { status, body })
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.shared().kept.pop()
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        // Nothing in there can be half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// `Set-Cookie` (RFC 6265 §5.2) for one host and path: an empty or ended one takes the cookie away.
    fn take_cookies(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let Some((cookie, attributes)) = line.to_str().ok().and_then(parse_cookie) else {
                continue;
            };
            self.cookies.retain(|(name, _)| *name != cookie.0);
            if !cookie.1.is_empty() && !attributes.contains("max-age=0") {
                self.cookies.push(cookie);
                self.cookies.truncate(COOKIES_MAX);
            }
        }
    }
}

fn parse_cookie(line: &str) -> Option<((String, String), String)> {
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    let (name, value) = pair.split_once('=')?;
    let attributes = attributes.to_ascii_lowercase().replace(' ', "");
    let cookie = (name.trim().to_owned(), value.trim().to_owned());
    (!cookie.0.is_empty()).then_some((cookie, attributes))
}

/// The error and what is behind it: hyper's own text names neither host nor cause.
fn text(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> String {
    let error = error.into();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        source = cause.source();
    }
    text
}

/// More cookies than this no server needs to find a session again.
const COOKIES_MAX: usize = 32;

/// Whether a name and a value can be a line of a request.
pub(super) fn is_header(name: &str, value: &str) -> bool {
    HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_taken_away() {
        let mut shared = Shared::default();

        shared.take_cookies(&headers(&["io=abc; Path=/; HttpOnly", "lb = node1"]));
        shared.take_cookies(&headers(&["lb=node2; Secure", "none"]));
        let expected = [("io", "abc"), ("lb", "node2")];
        assert_eq!(
            shared.cookies,
            expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );

        shared.take_cookies(&headers(&["io=gone; Max-Age=0", "lb="]));
        assert_eq!(shared.cookies, []);
    }

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|line| (header::SET_COOKIE, HeaderValue::from_static(line)))
            .collect()
    }
}
