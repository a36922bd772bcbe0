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
mod tests {
    use super::*;

    #[test]
    fn a_page_from_the_same_host_and_port_may_connect_and_no_other() {
        for (origin, host, allowed) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("http://localhost:8081", "localhost:8080", false),
            ("http://localhost", "localhost:8080", false),
            ("https://chat.example.com", "chat.example.com", true),
            ("https://chat.example.com", "chat.example.com:443", true),
            ("https://chat.example.com:443", "chat.example.com", true),
            ("https://chat.example.com", "chat.example.com:80", false),
            ("http://chat.example.com", "chat.example.com:80", true),
            ("https://Chat.Example.com", "chat.example.COM", true),
            (
                "https://chat.example.com.evil.test",
                "chat.example.com",
                false,
            ),
            ("https://evil.test", "chat.example.com", false),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]:8080", "[::1]", false),
            ("null", "chat.example.com", false),
            ("", "chat.example.com", false),
            ("https://chat.example.com/path", "chat.example.com", false),
            ("https://user@chat.example.com", "chat.example.com", false),
            ("file://", "chat.example.com", false),
        ] {
            assert_eq!(
                check(&[], origin, host).is_ok(),
                allowed,
                "{origin:?} asks {host}"
            );
        }
    }

    #[test]
    fn a_list_replaces_the_same_host_rule() {
        for (origin, allowed) in [
            ("https://app.example.com", true),
            ("https://app.example.com:443", true),
            ("http://app.example.com", false),
            ("https://app.example.com:8443", false),
            ("https://a.example.org", true),
            ("https://a.b.example.org", true),
            ("https://example.org", false),
            ("https://evilexample.org", false),
            ("https://.example.org", false),
            ("http://a.example.org", false),
            ("https://a.example.org.evil.test", false),
            ("capacitor://localhost", true),
            ("https://asked.test", false),
            ("null", false),
        ] {
            let list = [
                "https://app.example.com",
                "https://*.example.org",
                "capacitor://localhost",
            ];
            assert_eq!(
                check(&list, origin, "asked.test").is_ok(),
                allowed,
                "{origin}"
            );
        }
        assert!(
            check(
                &["https://a.test", "same-host"],
                "https://asked.test",
                "asked.test"
            )
            .is_ok()
        );
    }

    #[test]
    fn a_star_lets_every_page_in_but_trusts_only_those_named() {
        let list = ["*", "https://app.example.com"];

        assert_eq!(
            check(&list, "https://anywhere.test", "asked.test"),
            Ok(Caller::AnyPage)
        );
        assert_eq!(check(&list, "null", "asked.test"), Ok(Caller::AnyPage));
        assert_eq!(
            check(&list, "https://app.example.com", "asked.test"),
            Ok(Caller::TrustedPage)
        );
    }

    #[test]
    fn a_request_without_an_origin_is_a_programs() {
        let origins = Origins::new(&[], Hosts::Any);

        assert_eq!(
            origins.check(&Uri::from_static("/ws"), &HeaderMap::new()),
            Ok(Caller::Program)
        );
    }

    #[test]
    fn two_origins_or_two_hosts_are_no_ones() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("asked.test"));
        headers.append(ORIGIN, HeaderValue::from_static("https://asked.test"));
        let origins = Origins::new(&[], Hosts::Any);
        let uri = Uri::from_static("/ws");
        assert_eq!(origins.check(&uri, &headers), Ok(Caller::TrustedPage));

        let mut two_hosts = headers.clone();
        two_hosts.append(HOST, HeaderValue::from_static("other.test"));
        let mut two_origins = headers;
        two_origins.append(ORIGIN, HeaderValue::from_static("https://other.test"));

        assert!(origins.check(&uri, &two_hosts).is_err());
        assert!(origins.check(&uri, &two_origins).is_err());
    }

    #[test]
    fn the_demo_answers_to_this_machines_names_only() {
        let demo = Origins::new(&[], Hosts::Loopback);
        for (host, answers) in [
            ("localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("LOCALHOST", true),
            ("rebound.evil.test:8080", false),
            ("localhost.evil.test", false),
            ("192.168.0.7:8080", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(
                demo.check(&Uri::from_static("/"), &headers).is_ok(),
                answers,
                "{host}"
            );
        }
    }

    #[test]
    fn an_origin_of_the_configuration_has_no_path() {
        assert!(OriginPattern::from_text("https://a.test/").is_err());
        assert!(OriginPattern::from_text("a.test").is_err());
        for text in ["*", "same-host", "https://a.test", "https://*.a.test:8443"] {
            assert_eq!(OriginPattern::from_text(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn secrets_in_a_query_are_masked_however_they_are_spelt() {
        for (uri, shown) in [
            ("/ws", "/ws"),
            ("/ws?ns=/chat", "/ws?ns=/chat"),
            ("/ws?token=abc&ns=/", "/ws?token=***&ns=/"),
            ("/ws?a=1&resume=abc", "/ws?a=1&resume=***"),
            ("/ws?Token=abc", "/ws?Token=***"),
            ("/ws?t%6Fken=abc", "/ws?t%6Fken=***"),
            ("/ws?token", "/ws?token"),
            ("http://user:pw@h/ws?token=abc", "/ws?token=***"),
        ] {
            assert_eq!(redact(&uri.parse().unwrap()).to_string(), shown);
        }
    }

    fn check(
        list: &[&str],
        origin: &'static str,
        host: &'static str,
    ) -> Result<Caller, OriginError> {
        let list: Vec<_> = list
            .iter()
            .map(|text| OriginPattern::from_text(text).unwrap())
            .collect();
        let headers = HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static(origin)),
            (HOST, HeaderValue::from_static(host)),
        ]);
        Origins::new(&list, Hosts::Any).check(&Uri::from_static("/ws"), &headers)
    }
}
