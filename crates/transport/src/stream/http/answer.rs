//! Responses of streams and polls.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use nuncio_model::{CloseCode, Push, Refusal};
use nuncio_protocol::{encode, stream};

use super::super::reply::Reply;
use super::once;
use crate::app::Body;
use crate::service::text;

/// Batches below this many bytes are sent as they are: they fit into one packet anyway.
const GZIP_MIN: usize = 1024;

/// A refused request, as the protocol writes refusals: `{"error":{code,message}}`.
pub fn refuse(status: StatusCode, refusal: &Refusal) -> Response<Body> {
    json(status, stream::error_body(refusal))
}

pub(super) fn reply(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Batch(cursor, texts) => json(StatusCode::OK, stream::batch(cursor, &texts)),
        Reply::Taken(number) => taken(number),
        Reply::Refused(status, body) => json(status, body),
    }
}

/// What was sent is taken; its replies come with the messages.
pub(super) fn taken(number: u64) -> Response<Body> {
    json(StatusCode::OK, format!("{{\"n\":{number}}}").into())
}

/// The answer to a poll, compressed where the client can read that and it is worth while.
pub(super) fn batch(cursor: u64, texts: &[Bytes], coding: Coding) -> Response<Body> {
    let body = stream::batch(cursor, texts);
    let mut response = if body.len() >= GZIP_MIN && coding == Coding::Gzip {
        let mut response = json(StatusCode::OK, gzip(&body));
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
        response
    } else {
        json(StatusCode::OK, body)
    };
    let vary = HeaderValue::from_static("accept-encoding");
    response.headers_mut().append(header::VARY, vary);
    response
}

fn gzip(body: &[u8]) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    let written = gzip.write_all(body).and_then(|()| gzip.finish());
    written.expect("memory takes everything").into()
}

/// How a batch may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if takes_gzip(headers) {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// Whether `Accept-Encoding` names gzip and does not weigh it with zero (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let is_gzip = words
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = words.any(|weight| {
            weight
                .strip_prefix("q=")
                .and_then(|weight| weight.parse::<f32>().ok())
                == Some(0.0)
        });
        is_gzip && !is_refused
    })
}

/// A stream of events. It is never compressed: that would hold events back until enough of them have come.
pub(super) fn event_stream(body: Body) -> Response<Body> {
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .header(header::CACHE_CONTROL, "no-store, no-transform")
        // nginx buffers responses unless it is told not to.
        .header("x-accel-buffering", "no");
    response.body(body).expect("the headers are valid")
}

/// Tells an `EventSource` to come back later: any other status would stop it for good.
pub(super) fn come_back(response: &Response<Body>) -> Response<Body> {
    let seconds = response.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    let after = Duration::from_secs(seconds.unwrap_or(1));
    let reason = "Try again later";
    event_stream(once([
        stream::retry(after),
        stream::event(&encode::push(&Push::Reconnect { after, reason })),
        stream::event(&stream::close(CloseCode::TRY_AGAIN, reason)),
    ]))
}

pub(super) fn no_content() -> Response<Body> {
    let mut response = Response::new(text(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(super) fn not_allowed(methods: &'static str) -> Response<Body> {
    let refusal = Refusal::invalid(format!("use {methods}"));
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, &refusal);
    let allowed = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    match status {
        StatusCode::UNAUTHORIZED => {
            response = response.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            response = response.header(header::RETRY_AFTER, "1");
        }
        _ => {}
    }
    response.body(text(body)).expect("the headers are valid")
}
