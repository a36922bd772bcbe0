//! The cookie with the session id, by which a load balancer may find the server of a session again (RFC 6265).

use std::time::Duration;

/// The `Set-Cookie` of the response that opens a session over polling. The defaults are the reference server's when it is told to send one.
///
/// It holds the sid, which is a secret.
///
/// ```
/// use nuncio_engineio::SessionCookie;
///
/// let cookie = SessionCookie::default();
/// assert_eq!(cookie.header("abc"), "io=abc; Path=/; HttpOnly; SameSite=Lax");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCookie {
    /// Its name. Default `io`.
    pub name: String,
    /// The path below which browsers send it. Default `/`; without one, that of the endpoint.
    pub path: Option<String>,
    /// Whether scripts of the page are kept from it. Default true.
    pub http_only: bool,
    /// Whether requests that other sites cause carry it. Default lax.
    pub same_site: SameSite,
    /// Whether it is for encrypted connections only. Default false.
    pub secure: bool,
    /// How long browsers keep it. Default: until they are closed.
    pub max_age: Option<Duration>,
}

/// When browsers send a cookie with requests that pages of other sites cause (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When the user follows a link.
    Lax,
    /// Always; browsers want [`SessionCookie::secure`] for it.
    None,
}

/// A name or path that cannot be in a cookie (RFC 6265 §4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCookie {
    /// The name is no token.
    #[error(
        "cookie name {0:?}: it needs letters, digits or one of !#$%&'*+-.^_`|~, at least one, and nothing else"
    )]
    Name(String),
    /// The path would end the attribute.
    #[error(
        "cookie path {0:?}: it must not have control characters, semicolons or anything but ASCII"
    )]
    Path(String),
}

impl SessionCookie {
    /// Checks that name and path are what a cookie may have.
    ///
    /// # Errors
    /// [`InvalidCookie`], with the one that is not.
    pub fn check(&self) -> Result<(), InvalidCookie> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if self.name.is_empty() || !self.name.chars().all(is_token) {
            return Err(InvalidCookie::Name(self.name.clone()));
        }
        let is_path = |c: char| matches!(c, ' '..='~') && c != ';';
        match &self.path {
            Some(path) if !path.chars().all(is_path) => Err(InvalidCookie::Path(path.clone())),
            Some(_) | None => Ok(()),
        }
    }

    /// The value of the header for a session.
    pub fn header(&self, sid: &str) -> String {
        let mut header = format!("{}={sid}", self.name);
        if let Some(max_age) = self.max_age {
            header += &format!("; Max-Age={}", max_age.as_secs());
        }
        if let Some(path) = self.path.as_deref().filter(|path| !path.is_empty()) {
            header += &format!("; Path={path}");
        }
        if self.http_only {
            header += "; HttpOnly";
        }
        if self.secure {
            header += "; Secure";
        }
        header
            + match self.same_site {
                SameSite::Strict => "; SameSite=Strict",
                SameSite::Lax => "; SameSite=Lax",
                SameSite::None => "; SameSite=None",
            }
    }
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self {
            name: "io".to_owned(),
            path: Some("/".to_owned()),
            http_only: true,
            same_site: SameSite::Lax,
            secure: false,
            max_age: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_stands_where_the_reference_has_it() {
        let cookie = SessionCookie {
            name: "test".to_owned(),
            path: Some("/custom".to_owned()),
            http_only: true,
            same_site: SameSite::None,
            secure: true,
            max_age: Some(Duration::from_millis(60_900)),
        };

        assert_eq!(
            cookie.header("abc"),
            "test=abc; Max-Age=60; Path=/custom; HttpOnly; Secure; SameSite=None"
        );
    }

    #[test]
    fn a_cookie_without_path_and_for_scripts_says_neither() {
        let cookie = SessionCookie {
            path: None,
            http_only: false,
            same_site: SameSite::Strict,
            ..SessionCookie::default()
        };

        assert_eq!(cookie.header("abc"), "io=abc; SameSite=Strict");
    }

    #[test]
    fn what_would_end_the_header_or_an_attribute_is_refused() {
        for name in ["", "a b", "a;b", "a=b", "a\n", "é"] {
            let cookie = SessionCookie {
                name: name.to_owned(),
                ..SessionCookie::default()
            };
            assert_eq!(cookie.check(), Err(InvalidCookie::Name(name.to_owned())));
        }
        for path in ["/;Domain=x", "/\r\nX: y", "/é"] {
            let cookie = SessionCookie {
                path: Some(path.to_owned()),
                ..SessionCookie::default()
            };
            assert_eq!(cookie.check(), Err(InvalidCookie::Path(path.to_owned())));
        }
        assert_eq!(SessionCookie::default().check(), Ok(()));
    }
}
