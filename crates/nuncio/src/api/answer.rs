//! Responses of the API.

use http::{Response, header};
use nuncio_model::Json;
use nuncio_transport::{Body, text};

use super::failure::{Code, Failed, Failure};

pub(super) fn done(json: Json) -> Response<Body> {
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    response
        .body(text(json.as_bytes().clone()))
        .expect("the headers are valid")
}

pub(super) fn failed(failure: &Failure) -> Response<Body> {
    let body = Json::of(&Failed {
        error: failure.told(),
    });
    let mut response = Response::builder()
        .status(failure.code.status())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    if failure.code == Code::Unauthorized {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    if let Some(methods) = &failure.allow {
        response = response.header(header::ALLOW, methods);
    }
    let is_over = failure.code == Code::Unavailable;
    if let Some(after) = failure.retry_after {
        response = response.header(header::RETRY_AFTER, after.as_secs().max(1));
    } else if is_over {
        response = response.header(header::RETRY_AFTER, 1);
    }
    response
        .body(text(body.as_bytes().clone()))
        .expect("the headers are valid")
}
