//! Proxies: which one is in the way to a host, and its tunnel (RFC 9110 §9.3.6, CONNECT).

use std::env;
use std::fmt;
use std::io;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::url::{Security, Url, UrlError};
use super::{DialError, Stream};

/// Which proxy a connection goes through. All of them are asked for a tunnel (`CONNECT`), for `ws://` and `http://` too.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What the environment says: `HTTPS_PROXY` for `wss://` and `https://`, `HTTP_PROXY` for the others, `ALL_PROXY` where
    /// they are not set, none for the hosts in `NO_PROXY` (names with their subdomains, addresses, networks as `10.0.0.0/8`,
    /// each with or without a port, or `*`), and none for this machine itself. Lower case comes first. The default.
    #[default]
    Environment,
    /// None, whatever the environment says.
    None,
    /// This one, for all hosts: `http://user:password@proxy:3128`, or `https://` for a proxy behind TLS.
    Url(String),
}

/// Why a proxy made no tunnel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Its URL is not valid.
    #[error("the proxy's URL: {0}")]
    Url(UrlError),
    /// It is neither `http://` nor `https://`.
    #[error("proxies of the kind {scheme:?} are not supported, http and https are")]
    Scheme {
        /// As written.
        scheme: String,
    },
    /// Nobody is there.
    #[error("the proxy cannot be reached: {0}")]
    Unreachable(io::Error),
    /// It answered with another status than 200, such as 407 where it wants a password.
    #[error("the proxy refused the tunnel with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// What it answered is not HTTP.
    #[error("the proxy's answer is not HTTP")]
    Http,
}

/// One proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Via {
    pub(super) url: Url,
    /// The value of `proxy-authorization`.
    authorization: Option<String>,
}

impl Proxy {
    /// The proxy on the way to this URL.
    pub(super) fn of(&self, url: &Url) -> Result<Option<Via>, ProxyError> {
        let text = match self {
            Self::Environment => named_in_environment(url, &|name| env::var(name).ok()),
            Self::None => None,
            Self::Url(text) => Some(text.clone()),
        };
        text.map(|text| Via::parse(&text)).transpose()
    }
}

impl Via {
    fn parse(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let websocket = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws",
            "https" => "wss",
            _ => {
                let scheme = scheme.to_owned();
                return Err(ProxyError::Scheme { scheme });
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (user, host) = match rest[..end].rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, &rest[..end]),
        };
        let url = Url::parse(&format!("{websocket}://{host}")).map_err(ProxyError::Url)?;
        let authorization =
            user.map(|user| format!("Basic {}", STANDARD.encode(percent_decode(user))));
        Ok(Self { url, authorization })
    }
}

/// Asks for a tunnel to the host of a URL.
pub(super) async fn connect(
    stream: &mut Box<dyn Stream>,
    via: &Via,
    url: &Url,
) -> Result<(), DialError> {
    let host = match url.host.contains(':') {
        true => format!("[{}]:{}", url.host, url.port),
        false => format!("{}:{}", url.host, url.port),
    };
    let mut request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(authorization) = &via.authorization {
        request += &format!("Proxy-Authorization: {authorization}\r\n");
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let head = read_head(stream).await?;
    match status(&head).ok_or(ProxyError::Http)? {
        200..=299 => Ok(()),
        status => Err(ProxyError::Refused { status }.into()),
    }
}

/// Byte by byte: what comes behind the head is the tunnel's, not ours.
async fn read_head(stream: &mut Box<dyn Stream>) -> Result<Vec<u8>, DialError> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(ProxyError::Http.into());
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|&byte| byte == b'\r').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    version.starts_with("HTTP/1.").then_some(())?;
    rest.get(..3)?.parse().ok()
}

/// The URL of the proxy that the environment names for a URL.
fn named_in_environment(url: &Url, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let named = |name: &str| {
        let lower = lookup(&name.to_ascii_lowercase());
        lower
            .or_else(|| lookup(name))
            .filter(|text| !text.is_empty())
    };
    if is_this_machine(&url.host) || named("NO_PROXY").is_some_and(|list| is_excluded(url, &list)) {
        return None;
    }
    let own = match url.security {
        Security::Tls => named("HTTPS_PROXY"),
        // Where a web server runs this program, HTTP_PROXY is a header of whoever asks it ("httpoxy").
        Security::Plain if lookup("REQUEST_METHOD").is_some() => lookup("http_proxy"),
        Security::Plain => named("HTTP_PROXY"),
    };
    own.or_else(|| named("ALL_PROXY"))
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn is_excluded(url: &Url, list: &str) -> bool {
    let rules = list.split(',').map(str::trim);
    rules
        .filter(|rule| !rule.is_empty())
        .any(|rule| excludes(rule, url))
}

fn excludes(rule: &str, url: &Url) -> bool {
    if rule == "*" {
        return true;
    }
    if let Ok(address) = url.host.parse() {
        let bare = rule.trim_matches(['[', ']']);
        if let Some((network, bits)) = rule.split_once('/') {
            return is_in_network(address, network, bits);
        }
        if bare.parse() == Ok(address) {
            return true;
        }
    }
    let (name, port) = match rule.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() && !name.ends_with(':') => {
            (name, Some(port))
        }
        Some(_) | None => (rule, None),
    };
    let name = name
        .trim_matches(['[', ']'])
        .trim_start_matches("*.")
        .trim_start_matches('.');
    let has_port = port.is_none_or(|port| port == url.port.to_string());
    has_port && !name.is_empty() && is_or_is_below(&url.host, name)
}

/// Whether a host is this name or one of its subdomains.
fn is_or_is_below(host: &str, name: &str) -> bool {
    let (host, name) = (host.to_ascii_lowercase(), name.to_ascii_lowercase());
    host.strip_suffix(&name)
        .is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

fn is_in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let differing = u32::from(address) ^ u32::from(network);
            differing.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let differing = u128::from(address) ^ u128::from(network);
            differing.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => false,
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    bytes
}

/// Without the URL: it may hold a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::None => "None",
            Self::Url(_) => "Url",
        })
    }
}

/// A head beyond this is no answer to CONNECT.
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_for_both() {
        let set = [("HTTP_PROXY", "plain:1"), ("https_proxy", "tls:2")];
        assert_eq!(
            chosen(&set, "ws://example.org/").as_deref(),
            Some("plain:1")
        );
        assert_eq!(chosen(&set, "wss://example.org/").as_deref(), Some("tls:2"));

        let set = [("ALL_PROXY", "all:3"), ("HTTPS_PROXY", "")];
        assert_eq!(chosen(&set, "wss://example.org/").as_deref(), Some("all:3"));
        assert_eq!(chosen(&[], "wss://example.org/"), None);
    }

    #[test]
    fn a_variable_that_a_visitor_of_a_web_server_can_set_is_not_believed() {
        let set = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil:1")];

        assert_eq!(chosen(&set, "ws://example.org/"), None);
    }

    #[test]
    fn hosts_in_no_proxy_are_reached_directly() {
        for (rules, url, excluded) in [
            ("*", "ws://example.org/", true),
            ("a.org, example.org", "ws://example.org/", true),
            ("example.org", "ws://chat.EXAMPLE.org/", true),
            (".example.org", "ws://chat.example.org/", true),
            ("*.example.org", "ws://chat.example.org/", true),
            ("example.org", "ws://notexample.org/", false),
            ("example.org:8080", "ws://example.org:8080/", true),
            ("example.org:8080", "ws://example.org/", false),
            ("10.0.0.0/8", "ws://10.1.2.3/", true),
            ("10.0.0.0/8", "ws://11.1.2.3/", false),
            ("0.0.0.0/0", "ws://11.1.2.3/", true),
            ("192.0.2.7", "ws://192.0.2.7:9/", true),
            ("[2001:db8::1]", "ws://[2001:db8::1]/", true),
            ("2001:db8::/32", "ws://[2001:db8::1]/", true),
            ("10.0.0.0/99", "ws://10.1.2.3/", false),
            ("", "ws://example.org/", false),
        ] {
            let set = [("ALL_PROXY", "all:3"), ("NO_PROXY", rules)];
            assert_eq!(chosen(&set, url).is_none(), excluded, "{rules} {url}");
        }
    }

    #[test]
    fn this_machine_is_never_behind_a_proxy_of_the_environment() {
        for url in ["ws://localhost/", "ws://127.0.0.2/", "ws://[::1]/"] {
            assert_eq!(chosen(&[("ALL_PROXY", "all:3")], url), None, "{url}");
        }
    }

    #[test]
    fn a_proxy_has_a_port_a_password_and_perhaps_tls() {
        let via = Via::parse("https://us%40er:p%3Aw@proxy.example:8443/").unwrap();
        assert_eq!((&*via.url.host, via.url.port), ("proxy.example", 8443));
        assert_eq!(via.url.security, Security::Tls);
        let expected = format!("Basic {}", STANDARD.encode("us@er:p:w"));
        assert_eq!(via.authorization, Some(expected));

        let via = Via::parse("proxy.example:3128").unwrap();
        assert_eq!((via.url.port, via.authorization), (3128, None));
        assert!(matches!(
            Via::parse("socks5://a:1"),
            Err(ProxyError::Scheme { .. })
        ));
        assert!(matches!(Via::parse("http://:1"), Err(ProxyError::Url(_))));
    }

    fn chosen(set: &[(&str, &str)], url: &str) -> Option<String> {
        let lookup = |name: &str| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        named_in_environment(&Url::parse(url).unwrap(), &lookup)
    }
}
