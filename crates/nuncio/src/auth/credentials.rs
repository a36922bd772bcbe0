//! Where a token is in an HTTP request: `?token=`, `Authorization: Bearer`, a cookie, the list of subprotocols.

use std::borrow::Cow;
use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue, Uri};

use crate::origin::Caller;

/// A token as it came. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes the text as a token; nothing is verified.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Why the token of a request could not be told: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Several different ones; choosing would be guessing.
    #[error("Several different tokens")]
    Different,
    /// One that is no text.
    #[error("The token in {0} is not readable")]
    Unreadable(&'static str),
}

/// Whether a cookie may hold the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieRule<'a> {
    /// Its name; `None` when cookies are not read.
    pub name: Option<&'a str>,
    /// Whose page sent the request, as [`Origins::check`](crate::origin::Origins::check) found.
    ///
    /// Browsers send a cookie along for every page, so it counts only for a page that is trusted: by its `Origin`, or, where none was sent, when the browser says
    /// `Sec-Fetch-Site: same-origin`.
    pub caller: Caller,
}

/// Finds the token of a request. The same token in several places is fine; an empty one is none.
///
/// # Errors
/// [`CredentialsError`]: answer 400.
pub fn find_token(
    uri: &Uri,
    headers: &HeaderMap,
    cookie: CookieRule<'_>,
) -> Result<Option<Token>, CredentialsError> {
    let mut found = Vec::new();
    from_query(uri, &mut found)?;
    from_authorization(headers, &mut found)?;
    from_subprotocols(headers, &mut found)?;
    if let Some(name) = cookie.name
        && cookie_counts(headers, cookie.caller)
    {
        from_cookie(headers, name, &mut found)?;
    }
    found.retain(|token| !token.is_empty());
    let Some(first) = found.pop() else {
        return Ok(None);
    };
    if found.iter().any(|other| *other != first) {
        return Err(CredentialsError::Different);
    }
    Ok(Some(Token::new(first)))
}

fn from_query<'a>(uri: &'a Uri, found: &mut Vec<Cow<'a, str>>) -> Result<(), CredentialsError> {
    let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
    for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        if percent_decode(name).is_some_and(|name| name == "token") {
            found.push(percent_decode(value).ok_or(CredentialsError::Unreadable("the query"))?);
        }
    }
    Ok(())
}

fn from_authorization<'a>(
    headers: &'a HeaderMap,
    found: &mut Vec<Cow<'a, str>>,
) -> Result<(), CredentialsError> {
    for value in headers.get_all(AUTHORIZATION) {
        let value = text(value, "Authorization")?;
        match value.split_once(' ') {
            // Other schemes are for others: a proxy's Basic, a poll's session.
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                found.push(token.trim().into())
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn from_subprotocols<'a>(
    headers: &'a HeaderMap,
    found: &mut Vec<Cow<'a, str>>,
) -> Result<(), CredentialsError> {
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let names = text(value, "Sec-WebSocket-Protocol")?
            .split(',')
            .map(str::trim);
        found.extend(
            names
                .filter_map(|name| name.strip_prefix("bearer."))
                .map(Cow::from),
        );
    }
    Ok(())
}

fn cookie_counts(headers: &HeaderMap, caller: Caller) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    match caller {
        Caller::TrustedPage => true,
        Caller::Program => headers
            .get(SEC_FETCH_SITE)
            .is_some_and(|site| site == "same-origin"),
        Caller::AnyPage => false,
    }
}

fn from_cookie<'a>(
    headers: &'a HeaderMap,
    name: &str,
    found: &mut Vec<Cow<'a, str>>,
) -> Result<(), CredentialsError> {
    for value in headers.get_all(COOKIE) {
        let pairs = text(value, "Cookie")?
            .split(';')
            .filter_map(|pair| pair.split_once('='));
        let ours = pairs.filter(|(written, _)| written.trim() == name);
        found.extend(ours.map(|(_, token)| token.trim().trim_matches('"').into()));
    }
    Ok(())
}

fn text<'a>(value: &'a HeaderValue, header: &'static str) -> Result<&'a str, CredentialsError> {
    value
        .to_str()
        .map_err(|_| CredentialsError::Unreadable(header))
}

/// Resolves `%2E`; `None` when an escape is broken or the result is not UTF-8. Tokens have no spaces, so `+` is itself.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(is_hex.then(|| u8::from_str_radix(digits, 16).ok())??);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_wherever_it_may_be() {
        for (uri, header, value) in [
            ("/ws?token=abc.def", "x-other", ""),
            ("/ws?ns=/&t%6Fken=abc%2Edef", "x-other", ""),
            ("/ws", "authorization", "Bearer abc.def"),
            ("/ws", "authorization", "bearer  abc.def"),
            ("/ws", "sec-websocket-protocol", "nuncio.v1, bearer.abc.def"),
            ("/ws", "cookie", "a=b; session=abc.def; c=d"),
            ("/ws", "cookie", "session=\"abc.def\""),
        ] {
            assert_eq!(
                find(uri, &[(header, value)]),
                Ok(Some(Token::new("abc.def"))),
                "{uri} {header}: {value}"
            );
        }
    }

    #[test]
    fn no_token_and_an_empty_one_are_the_same() {
        for (uri, header, value) in [
            ("/ws", "x-other", ""),
            ("/ws?token=", "x-other", ""),
            ("/ws?token", "x-other", ""),
            ("/ws?nottoken=abc", "x-other", ""),
            ("/ws", "authorization", "Bearer "),
            ("/ws", "authorization", "Basic abc"),
            ("/ws", "authorization", "Nuncio-Session abc"),
            ("/ws", "sec-websocket-protocol", "nuncio.v1, bearer."),
            ("/ws", "cookie", "xsession=abc; session="),
        ] {
            assert_eq!(
                find(uri, &[(header, value)]),
                Ok(None),
                "{uri} {header}: {value}"
            );
        }
    }

    #[test]
    fn different_tokens_in_one_request_are_an_error_and_equal_ones_are_not() {
        let bearer = ("authorization", "Bearer abc");
        let cookie = ("cookie", "session=abc");

        assert_eq!(
            find("/ws?token=abc", &[bearer, cookie]),
            Ok(Some(Token::new("abc")))
        );
        for (uri, headers) in [
            ("/ws?token=other", [bearer, cookie]),
            ("/ws?token=abc&token=other", [bearer, cookie]),
            ("/ws", [bearer, ("sec-websocket-protocol", "bearer.other")]),
            ("/ws", [bearer, ("cookie", "session=other")]),
            ("/ws", [bearer, ("cookie", "session=abc; session=other")]),
        ] {
            assert_eq!(
                find(uri, &headers),
                Err(CredentialsError::Different),
                "{uri} {headers:?}"
            );
        }
    }

    #[test]
    fn a_cookie_counts_only_for_a_page_that_is_trusted() {
        let cookie = ("cookie", "session=abc");
        for (caller, site, counts) in [
            (Caller::TrustedPage, "cross-site", true),
            (Caller::Program, "same-origin", true),
            (Caller::Program, "same-site", false),
            (Caller::Program, "cross-site", false),
            (Caller::Program, "none", false),
            (Caller::AnyPage, "same-origin", false),
            (Caller::AnyPage, "cross-site", false),
        ] {
            let found = find_as(caller, "/ws", &[cookie, ("sec-fetch-site", site)]);
            assert_eq!(found.unwrap().is_some(), counts, "{caller:?} {site}");
        }
        assert_eq!(
            find_as(Caller::Program, "/ws", &[cookie]),
            Ok(None),
            "neither header: nobody says whose page it is"
        );
    }

    #[test]
    fn a_cookie_that_does_not_count_does_not_contradict_either() {
        let headers = [("cookie", "session=abc"), ("authorization", "Bearer other")];

        assert_eq!(
            find_as(Caller::Program, "/ws", &headers),
            Ok(Some(Token::new("other")))
        );
    }

    #[test]
    fn cookies_are_not_read_without_a_name() {
        let uri = Uri::from_static("/ws");
        let rule = CookieRule {
            name: None,
            caller: Caller::TrustedPage,
        };

        assert_eq!(
            find_token(&uri, &header_map(&[("cookie", "session=abc")]), rule),
            Ok(None)
        );
    }

    #[test]
    fn a_token_that_is_no_text_is_an_error() {
        for uri in [
            "/ws?token=%F",
            "/ws?token=%zz",
            "/ws?token=%FF",
            "/ws?token=%+1",
        ] {
            assert_eq!(
                find(uri, &[]),
                Err(CredentialsError::Unreadable("the query")),
                "{uri}"
            );
        }
        let headers = HeaderMap::from_iter([(
            AUTHORIZATION,
            HeaderValue::from_bytes(b"Bearer \xFF").unwrap(),
        )]);
        let rule = CookieRule {
            name: None,
            caller: Caller::Program,
        };
        assert!(find_token(&Uri::from_static("/ws"), &headers, rule).is_err());
    }

    #[test]
    fn a_token_is_hidden_in_debug_output() {
        assert_eq!(format!("{:?}", Token::new("abc")), "Token(hidden)");
    }

    fn find(
        uri: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Option<Token>, CredentialsError> {
        find_as(Caller::TrustedPage, uri, headers)
    }

    fn find_as(
        caller: Caller,
        uri: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Option<Token>, CredentialsError> {
        let rule = CookieRule {
            name: Some("session"),
            caller,
        };
        find_token(&Uri::from_static(uri), &header_map(headers), rule)
    }

    fn header_map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = headers.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }
}
