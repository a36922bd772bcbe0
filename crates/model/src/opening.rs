//! The request that opened a connection, as far as somebody asks for it later.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::Secret;

/// What is remembered of the request that opened a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Its token, which is empty where it had none: nobody will ask for more.
    Token(Secret),
    /// All of it, for a program that looks at it.
    Request(Arc<Head>),
}

/// The head of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// The token that it carried, wherever that was.
    pub token: Option<Secret>,
    /// The query of its URL, without the question mark.
    pub query: Box<str>,
    /// Its headers in their order, the names in lower case.
    pub headers: Box<[(Box<str>, Bytes)]>,
}

impl Opening {
    /// Remembers the token alone.
    pub fn token_only(token: Option<Secret>) -> Self {
        Self::Token(token.unwrap_or_else(|| Secret::new("")))
    }

    /// The token of the request.
    pub fn token(&self) -> Option<Secret> {
        match self {
            Self::Token(token) => Some(token.clone()).filter(|token| !token.reveal().is_empty()),
            Self::Request(head) => head.token.clone(),
        }
    }

    /// The head of the request, where it was kept.
    pub const fn head(&self) -> Option<&Arc<Head>> {
        match self {
            Self::Token(_) => None,
            Self::Request(head) => Some(head),
        }
    }
}

/// Shows how much there is: cookies, headers and the query carry tokens.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({} headers)", self.headers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_costs_no_more_than_a_token() {
        assert_eq!(size_of::<Opening>(), size_of::<Option<Secret>>());
        assert_eq!(Opening::token_only(None).token(), None);
        assert_eq!(
            Opening::token_only(Some("t".into())).token(),
            Some("t".into())
        );
    }

    #[test]
    fn what_a_request_carried_is_not_seen_in_a_log() {
        let head = Head {
            token: Some("secret".into()),
            query: "token=secret".into(),
            headers: [("cookie".into(), Bytes::from_static(b"token=secret"))].into(),
        };

        let opening = Opening::Request(Arc::new(head));

        assert!(!format!("{opening:?}").contains("secret"));
        assert_eq!(opening.token(), Some("secret".into()));
    }
}
