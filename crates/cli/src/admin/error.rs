//! Why the server API did not do what was asked, and how to go on.

use std::time::Duration;

use http::StatusCode;

/// What went wrong between this command and a server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nobody said who asks.
    #[error("{NO_KEY}")]
    NoKey,
    /// No connection.
    #[error("cannot reach {base}: {cause}{}", hint_to_reach(.cause))]
    Unreachable { base: String, cause: String },
    /// The connection broke before the answer was there.
    #[error("the connection to {base} broke: {cause}; try again")]
    Broken { base: String, cause: String },
    /// No answer in time.
    #[error("{base} did not answer within {seconds} s; try again")]
    Timeout { base: String, seconds: u64 },
    /// Something answers there, but no server API.
    #[error("{base} answered {status}, but not as the server API does: {}", hint_to_find(*status))]
    NotTheApi { base: String, status: StatusCode },
    /// The server says no.
    #[error("{}{}", told(*.status, .message), hint(*.status, .code))]
    Refused {
        status: StatusCode,
        code: String,
        message: String,
        retry_after_ms: Option<u64>,
    },
}

const NO_KEY: &str = "no key for the server API: make one with `openssl rand -hex 24`, write it into the server's configuration, \
[api] keys = [{ name = \"me\", key = \"…\", scopes = [\"admin\"] }], and start the server anew; then run this with the same --config, or with --key-file or NUNCIO_API_KEY. \
A demo needs no key when this runs in its folder";

impl ApiError {
    /// When the server wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after_ms, .. } => retry_after_ms.map(Duration::from_millis),
            Self::NoKey
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::NotTheApi { .. } => None,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(super) const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Refused { status, .. } => matches!(
                *status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            ),
            Self::NotTheApi { status, .. } => matches!(
                *status,
                StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            Self::NoKey => false,
        }
    }
}

fn hint_to_reach(cause: &str) -> &'static str {
    let has = |part| cause.contains(part);
    if has("certificate") || has("CaUsed") || has("UnknownIssuer") {
        "; name the certificate's authority with --ca FILE"
    } else if has("InvalidContentType") || has("corrupt message") {
        "; it does not speak TLS: write http:// instead of https://"
    } else if has("refused") {
        "; is the server running? Start it with `nuncio`, or name another with --api URL"
    } else {
        "; name the server with --api URL"
    }
}

const fn hint_to_find(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            "it has no key in its section api, or the API has an address of its own (api.listen), or it is another program: see --api URL"
        }
        StatusCode::BAD_REQUEST => "if it wants TLS, write https:// instead of http://",
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            "a proxy in front of it does not reach it"
        }
        _ => "name the server with --api URL",
    }
}

/// What the server says; of a key that it does not know, what that means here.
fn told(status: StatusCode, message: &str) -> &str {
    match status {
        StatusCode::UNAUTHORIZED => "the server does not know this key",
        _ => message,
    }
}

fn hint(status: StatusCode, code: &str) -> &'static str {
    match (status, code) {
        (StatusCode::UNAUTHORIZED, _) => "; give another with --key-file or NUNCIO_API_KEY",
        (StatusCode::FORBIDDEN, _) => {
            "; change the key in the section api of the server's configuration, or take another"
        }
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
            "; try again in a moment"
        }
        (_, "ROOM_LIMIT") => "; see limits in the server's configuration",
        _ => "",
    }
}
