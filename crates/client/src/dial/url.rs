//! `ws://` and `wss://` URLs (RFC 6455 §3).

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) security: Security,
    /// Without brackets, as a resolver wants it.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For the `Host` line: with brackets, and the port unless it is the scheme's own.
    pub(crate) authority: String,
    pub(crate) path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    Tls,
}

/// Why a text is no URL of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `ws://` nor `wss://`.
    #[error("a WebSocket's URL begins with ws:// or wss://")]
    Scheme,
    /// No host, or one with a user name, which would be sent to nobody.
    #[error("the URL's host {host:?} is not valid")]
    Host {
        /// As written.
        host: String,
    },
    /// Not a number from 1 to 65535.
    #[error("the URL's port {port:?} is not a number from 1 to 65535")]
    Port {
        /// As written.
        port: String,
    },
    /// A `#`, which RFC 6455 §3 forbids.
    #[error("a WebSocket's URL has no fragment (RFC 6455 §3)")]
    Fragment,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let (security, rest) = scheme(text)?;
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = host_and_port(authority)?;
        let own = security.port();
        let port = port.unwrap_or(own);
        let authority = if port == own {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        Ok(Self {
            security,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }
}

impl Security {
    const fn port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Tls => 443,
        }
    }
}

fn scheme(text: &str) -> Result<(Security, &str), UrlError> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    if scheme.eq_ignore_ascii_case("ws") {
        Ok((Security::Plain, rest))
    } else if scheme.eq_ignore_ascii_case("wss") {
        Ok((Security::Tls, rest))
    } else {
        Err(UrlError::Scheme)
    }
}

/// Splits at the last colon, unless that is inside the brackets of an IPv6 address.
fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = authority[after_host..].find(':');
    let host = colon.map_or(authority, |colon| &authority[..after_host + colon]);
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_host || host.contains('@') {
        let host = host.to_owned();
        return Err(UrlError::Host { host });
    }
    let Some(colon) = colon else {
        return Ok((host, None));
    };
    let port = &authority[after_host + colon + 1..];
    match port.parse() {
        Ok(number) if number > 0 => Ok((host, Some(number))),
        Ok(_) | Err(_) => Err(UrlError::Port { port: port.into() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scheme_host_port_and_path_are_read() {
        let url = Url::parse("ws://example.org:8080/ws?a=b").unwrap();

        assert_eq!(url.security, Security::Plain);
        assert_eq!((&*url.host, url.port), ("example.org", 8080));
        assert_eq!(url.authority, "example.org:8080");
        assert_eq!(url.path, "/ws?a=b");
    }

    #[test]
    fn what_is_left_out_is_the_scheme_s_own() {
        let url = Url::parse("WSS://example.org?x").unwrap();

        assert_eq!(
            (url.security, url.port, &*url.authority, &*url.path),
            (Security::Tls, 443, "example.org", "/?x")
        );
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets_for_the_resolver_only() {
        let url = Url::parse("ws://[::1]:9000/").unwrap();

        assert_eq!(
            (&*url.host, url.port, &*url.authority),
            ("::1", 9000, "[::1]:9000")
        );
    }

    #[test]
    fn what_is_no_websocket_url_is_refused_by_its_rule() {
        assert_eq!(Url::parse("http://a"), Err(UrlError::Scheme));
        assert_eq!(Url::parse("ws://a/#x"), Err(UrlError::Fragment));
        assert!(matches!(Url::parse("ws:///x"), Err(UrlError::Host { .. })));
        assert!(matches!(
            Url::parse("ws://u:p@a"),
            Err(UrlError::Host { .. } | UrlError::Port { .. })
        ));
        assert!(matches!(Url::parse("ws://a:0"), Err(UrlError::Port { .. })));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(ws|wss)?(://)?\\PC{0,30}") {
            let _ = Url::parse(&text);
        }
    }
}
