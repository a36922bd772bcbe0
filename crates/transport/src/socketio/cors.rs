//! What pages of other origins may do (Fetch, "CORS protocol"), as the package `cors` of the reference does it.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::app::{AllowedOrigin, Body, Credentials};
use crate::service::text;

/// What pages of other origins may send and read. Which origins are allowed is the server's to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Headers that pages may send; empty, the default, allows what they ask for.
    pub allowed_headers: Vec<HeaderName>,
    /// Headers of responses that pages may read beside the common ones. Default none.
    pub exposed_headers: Vec<HeaderName>,
}

impl Cors {
    /// What a page may send, answered before it sends it (Fetch, "CORS-preflight fetch").
    pub(crate) fn preflight(&self, headers: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(text(""));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answers = response.headers_mut();
        // Some browsers wait for the body of a 204 that says no length.
        answers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        answers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET,POST"),
        );
        answers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        );
        let allowed = match list(&self.allowed_headers) {
            Some(allowed) => Some(allowed),
            None => {
                let vary = HeaderValue::from_static("access-control-request-headers");
                answers.append(header::VARY, vary);
                headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned()
            }
        };
        if let Some(allowed) = allowed {
            answers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        response
    }

    /// Lets a page read a response.
    pub(crate) fn allow(&self, allowed: AllowedOrigin, headers: &mut HeaderMap) {
        let AllowedOrigin {
            origin,
            credentials,
        } = allowed;
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        match credentials {
            Credentials::Allowed => {
                const CREDENTIALS: HeaderName = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
                headers.insert(CREDENTIALS, HeaderValue::from_static("true"));
            }
            Credentials::Refused => {}
        }
        if let Some(exposed) = list(&self.exposed_headers) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// Names with commas between; `None` for no name.
fn list(names: &[HeaderName]) -> Option<HeaderValue> {
    let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
    let list = HeaderValue::try_from(names.join(",")).ok()?;
    (!list.is_empty()).then_some(list)
}
