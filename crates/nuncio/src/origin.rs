//! Which pages may connect, and what of a request's address may be written to a log.
//!
//! Browsers let any page open a WebSocket to any server, and send the server's cookies along; only the `Origin` header tells whose page it is
//! (RFC 6455 §10.2). Programs send none.

use std::fmt;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use nuncio_model::quote;
use toml::Value;

use crate::config::{Setting, Wrong, text_settings};

/// One entry of `server.origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// Every page: `*`.
    Any,
    /// Pages from the host that is asked: `same-host`.
    SameHost,
    /// One origin: `https://app.example.com`.
    Exact(Origin),
    /// Every subdomain, but not the domain itself: `https://*.example.com`. The origin here is the domain's.
    Subdomains(Origin),
}

/// An origin as browsers write it: scheme, host, port (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    /// The scheme's own where none is written; `None` for schemes that have none.
    port: Option<u16>,
}

impl Origin {
    /// Reads an origin; `None` when the text is not one: `null`, a path, something without `://`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(authority)?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return None;
        }
        let port = port.or_else(|| default_port(&scheme));
        Some(Self { scheme, host, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if default_port(&self.scheme) != Some(port) => write!(f, ":{port}"),
            Some(_) | None => Ok(()),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" | "wss" => Some(443),
        "http" | "ws" => Some(80),
        _ => None,
    }
}

/// Splits `host:port` and `[::1]:port`; the host comes in lower case, with its brackets.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let after_host = authority.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[after_host..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            (host, Some(port[1..].parse().ok()?))
        }
        None => (authority, None),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    (!host.is_empty() && host.chars().all(is_host)).then(|| (host.to_ascii_lowercase(), port))
}

impl OriginPattern {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Any),
            "same-host" => Some(Self::SameHost),
            _ => match text.split_once("://*.") {
                Some((scheme, domain)) => {
                    Origin::parse(&format!("{scheme}://{domain}")).map(Self::Subdomains)
                }
                None => Origin::parse(text).map(Self::Exact),
            },
        }
    }

    fn allows(&self, origin: &Origin, host: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::SameHost => host.is_some_and(|host| is_same_host(origin, host)),
            Self::Exact(allowed) => allowed == origin,
            Self::Subdomains(domain) => {
                let below = origin
                    .host
                    .strip_suffix(&domain.host)
                    .and_then(|host| host.strip_suffix('.'));
                origin.scheme == domain.scheme
                    && origin.port == domain.port
                    && below.is_some_and(|name| !name.is_empty())
            }
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::SameHost => f.write_str("same-host"),
            Self::Exact(origin) => write!(f, "{origin}"),
            Self::Subdomains(domain) => {
                f.write_str(&domain.to_string().replacen("://", "://*.", 1))
            }
        }
    }
}

text_settings! {
    OriginPattern, "origin",
        r#"an origin: "https://app.example.com" without a path, "https://*.example.com", "same-host" or "*""#,
        Self::parse, ToString::to_string;
}

/// Why a request was refused for its origin: 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// A page that is not allowed to connect.
    #[error("origin {} is not allowed; server.origins lists those that are", quote(.0))]
    NotAllowed(String),
    /// The demo was asked by a name that is not this machine's: a page can make its own name mean this machine (DNS rebinding).
    #[error("host {} is not this machine; the demo answers to localhost only", quote(.0))]
    NotLoopback(String),
}

/// Whose page a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// No page: no `Origin` was sent.
    Program,
    /// A page that is allowed by name or by host: it may use cookies too.
    TrustedPage,
    /// A page that is allowed because every page is. Cookies do not count, else it could act as whoever looks at it.
    AnyPage,
}

/// The rule for the `Origin` of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    patterns: Vec<OriginPattern>,
    hosts: Hosts,
}

/// Which names of the server requests may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Every name.
    Any,
    /// Only `localhost` and loopback addresses.
    Loopback,
}

impl Origins {
    /// Allows what one of the patterns allows; without patterns, pages from the host that is asked.
    pub fn new(patterns: &[OriginPattern], hosts: Hosts) -> Self {
        let patterns = match patterns {
            [] => vec![OriginPattern::SameHost],
            patterns => patterns.to_vec(),
        };
        Self { patterns, hosts }
    }

    /// Checks a request before anything is done for it.
    ///
    /// # Errors
    /// [`OriginError`]: answer 403. `Origin: null` (a sandboxed frame, a local file) passes only where every page does.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, OriginError> {
        let host = host(uri, headers);
        if self.hosts == Hosts::Loopback && !host.is_some_and(is_loopback) {
            return Err(OriginError::NotLoopback(
                host.unwrap_or_default().to_owned(),
            ));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(Caller::Program),
            (Some(origin), None) => self.check_origin(origin, host),
            (Some(_), Some(_)) => Err(OriginError::NotAllowed("sent twice".to_owned())),
        }
    }

    fn check_origin(
        &self,
        origin: &HeaderValue,
        host: Option<&str>,
    ) -> Result<Caller, OriginError> {
        let parsed = origin.to_str().ok().and_then(Origin::parse);
        let named = self
            .patterns
            .iter()
            .filter(|pattern| **pattern != OriginPattern::Any);
        if let Some(origin) = parsed
            && named
                .into_iter()
                .any(|pattern| pattern.allows(&origin, host))
        {
            return Ok(Caller::TrustedPage);
        }
        if self.patterns.contains(&OriginPattern::Any) {
            return Ok(Caller::AnyPage);
        }
        Err(OriginError::NotAllowed(
            String::from_utf8_lossy(origin.as_bytes()).into_owned(),
        ))
    }
}

/// The host that is asked, with its port if written: of the request's target, or else of `Host` (RFC 9112 §3.2).
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// Compares host and port. Not the scheme: a proxy may have taken the encryption off.
fn is_same_host(origin: &Origin, host: &str) -> bool {
    let Some((host, port)) = split_port(host) else {
        return false;
    };
    origin.host == host && origin.port == port.or_else(|| default_port(&origin.scheme))
}

fn is_loopback(host: &str) -> bool {
    let Some((name, _)) = split_port(host) else {
        return false;
    };
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Parts of a query that are secrets.
const SECRETS: [&str; 4] = ["token", "access_token", "resume", "session"];

/// Shows path and query with the secrets in it masked, for logs.
///
/// ```
/// use nuncio::origin::redact;
///
/// let uri = "/ws?ns=/&token=eyJhbGciOi".parse().unwrap();
/// assert_eq!(redact(&uri).to_string(), "/ws?ns=/&token=***");
/// ```
pub fn redact(uri: &Uri) -> impl fmt::Display + '_ {
    struct Redacted<'a>(&'a Uri);

    impl fmt::Display for Redacted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0.path())?;
            let pairs = self
                .0
                .query()
                .into_iter()
                .flat_map(|query| query.split('&'));
            for (i, pair) in pairs.enumerate() {
                f.write_str(if i == 0 { "?" } else { "&" })?;
                match pair.split_once('=') {
                    Some((name, _)) if is_secret(name) => write!(f, "{name}=***")?,
                    Some(_) | None => f.write_str(pair)?,
                }
            }
            Ok(())
        }
    }

    Redacted(uri)
}

fn is_secret(name: &str) -> bool {
    // A name with escapes may spell any of them.
    name.contains('%')
        || SECRETS
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
