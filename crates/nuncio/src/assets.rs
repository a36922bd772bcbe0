//! The demo page, inside the binary.

use http::{Response, StatusCode, header};
use nuncio_transport::{Body, text};
use rust_embed::RustEmbed;

/// The files of the page.
#[derive(RustEmbed)]
#[folder = "assets"]
struct Files;

/// Serves the page, where it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assets {
    /// In the demo.
    Served,
    /// Elsewhere: somebody's own page is somewhere else.
    Absent,
}

/// No script, style or connection but the server's own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Assets {
    /// The file at a path; `/` is the page.
    pub(crate) fn response(self, path: &str, etag: Option<&str>) -> Option<Response<Body>> {
        if self == Self::Absent {
            return None;
        }
        let name = if path == "/" {
            "index.html"
        } else {
            path.strip_prefix('/')?
        };
        let file = Files::get(name)?;
        let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..12]));
        let response = Response::builder()
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::ETAG, &tag);
        let response = if etag == Some(&*tag) {
            response.status(StatusCode::NOT_MODIFIED).body(text(""))
        } else {
            response
                .header(header::CONTENT_TYPE, media_type(name))
                .body(text(file.data.into_owned()))
        };
        Some(response.expect("the headers are valid"))
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
