//! The document, to read: a page inside the binary.

use http::{HeaderMap, Response, StatusCode, header};
use nuncio_transport::{Body, text};

/// The files of the page: path, media type, content.
const FILES: [(&str, &str, &str); 3] = [
    (
        "/api/docs",
        "text/html; charset=utf-8",
        include_str!("page/page.html"),
    ),
    (
        "/api/docs/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    (
        "/api/docs/page.js",
        "text/javascript; charset=utf-8",
        include_str!("page/page.js"),
    ),
];

/// No script, style or connection but the server's own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a path is one of the page's.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|(known, ..)| *known == path)
}

pub(super) fn response(path: &str, _: &HeaderMap) -> Response<Body> {
    let file = FILES.iter().find(|(known, ..)| *known == path);
    let (status, kind, content) = match file {
        Some((_, kind, content)) => (StatusCode::OK, *kind, *content),
        None => (StatusCode::NOT_FOUND, "text/plain", ""),
    };
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CACHE_CONTROL, "no-cache");
    response.body(text(content)).expect("the headers are valid")
}
