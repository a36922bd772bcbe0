//! Plain HTTP: the page, monitoring, the demo's tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use nuncio_model::{Json, UserId, quote};
use nuncio_transport::{Body, RequestBody, clock, text};
use serde::{Deserialize, Serialize};

use crate::api;
use crate::app::Nuncio;
use crate::auth::Claims;
use crate::config::Mode;

/// Largest body of a request for a token, in bytes.
const TOKEN_REQUEST_BYTES_MAX: usize = 1024;
/// How long a token of the demo lasts, in seconds: a day.
const DEMO_TOKEN_TTL_S: u64 = 24 * 60 * 60;

pub(crate) async fn respond(
    app: &Arc<Nuncio>,
    request: Request<RequestBody>,
    peer: IpAddr,
) -> Response<Body> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if api::is_served(app, request.uri().path()) {
        return api::respond(app, request, peer).await;
    }
    match request.uri().path() {
        "/metrics" if !serves_metrics(app) => not_found("/metrics"),
        path @ ("/healthz" | "/readyz" | "/metrics") if is_read => monitoring(app, path),
        "/demo/token" if app.config.config.mode() == Mode::Demo => match *request.method() {
            Method::POST => demo_token(app, request).await,
            _ => not_allowed("POST"),
        },
        path if is_read => {
            let etag = request
                .headers()
                .get(header::IF_NONE_MATCH)
                .and_then(|tag| tag.to_str().ok());
            app.assets
                .response(path, etag)
                .unwrap_or_else(|| not_found(path))
        }
        path => not_found(path),
    }
}

/// Whether `/metrics` is on the main address.
fn serves_metrics(app: &Nuncio) -> bool {
    let metrics = &app.config.config.metrics;
    metrics.enabled && metrics.listen.is_none()
}

/// What monitoring asks for.
pub(crate) fn monitoring(app: &Nuncio, path: &str) -> Response<Body> {
    match path {
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/readyz" => readiness(app),
        "/metrics" => metrics(app),
        path => not_found(path),
    }
}

fn metrics(app: &Nuncio) -> Response<Body> {
    let response = Response::builder().header(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    response
        .body(text(app.scrape()))
        .expect("the headers are valid")
}

fn readiness(app: &Nuncio) -> Response<Body> {
    if !app.is_ready.load(Ordering::Relaxed) {
        plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else if !(app.store_is_healthy)() {
        plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store cannot write: is the disk full?\n",
        )
    } else {
        plain(StatusCode::OK, "ready\n")
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    name: String,
}

#[derive(Serialize)]
struct TokenResponse {
    token: String,
}

/// A token for whoever asks, under the name it chooses. Exists in the demo only, which listens on this machine only.
async fn demo_token(app: &Nuncio, request: Request<RequestBody>) -> Response<Body> {
    if app
        .config
        .origins
        .check(request.uri(), request.headers())
        .is_err()
    {
        return error(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "the page that asks is not this server's",
        );
    }
    let body = Limited::new(request.into_body(), TOKEN_REQUEST_BYTES_MAX).collect();
    let Ok(body) = tokio::time::timeout(app.config.config.server.head_timeout, body).await else {
        return error(
            StatusCode::REQUEST_TIMEOUT,
            "INVALID_MESSAGE",
            "the body took too long",
        );
    };
    let Ok(body) = body else {
        return error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "TOO_LARGE",
            "the body must be at most 1024 bytes",
        );
    };
    let Ok(TokenRequest { name }) = serde_json::from_slice(&body.to_bytes()) else {
        return error(
            StatusCode::BAD_REQUEST,
            "INVALID_MESSAGE",
            r#"the body must be JSON: {"name":"ann"}"#,
        );
    };
    match UserId::parse(name.trim()) {
        Ok(user) => {
            let exp = clock::now().unix_s() + DEMO_TOKEN_TTL_S;
            let token = app.authenticator.mint(Claims::new(&user, exp));
            json(StatusCode::OK, &TokenResponse { token })
        }
        Err(wrong) => error(
            StatusCode::BAD_REQUEST,
            "INVALID_MESSAGE",
            &wrong.to_string(),
        ),
    }
}

fn not_found(path: &str) -> Response<Body> {
    error(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        &format!("nothing is at {}", quote(path)),
    )
}

fn not_allowed(method: &'static str) -> Response<Body> {
    let mut response = error(
        StatusCode::METHOD_NOT_ALLOWED,
        "INVALID_MESSAGE",
        &format!("use {method}"),
    );
    response
        .headers_mut()
        .insert(header::ALLOW, http::HeaderValue::from_static(method));
    response
}

fn error(status: StatusCode, code: &'static str, message: &str) -> Response<Body> {
    #[derive(Serialize)]
    struct Wrapped<'a> {
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        code: &'static str,
        message: &'a str,
    }
    json(
        status,
        &Wrapped {
            error: Inner { code, message },
        },
    )
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json");
    let response = response.header(header::CACHE_CONTROL, "no-store");
    response
        .body(text(Json::of(value).as_bytes().clone()))
        .expect("the headers are valid")
}

fn plain(status: StatusCode, body: &'static str) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let response = response.header(header::CACHE_CONTROL, "no-store");
    response.body(text(body)).expect("the headers are valid")
}
