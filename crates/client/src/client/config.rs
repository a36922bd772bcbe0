//! What a client is started with.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::session::{Credential, SessionConfig};
use crate::websocket::ClientConfig;

/// What [`Client::start`](super::Client::start) is started with.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The connection: URL, headers, TLS, timeouts.
    pub websocket: ClientConfig,
    /// The conversation: backoff, timeouts, bounds.
    pub session: SessionConfig,
    /// Events that may wait to be read. Default 1024; beyond that nothing is read from the server.
    pub events_max: usize,
    pub(super) token: Option<TokenSource>,
}

/// Asks the application for a token.
pub(super) type TokenSource = Arc<dyn Fn() -> TokenFuture + Send + Sync>;
pub(super) type TokenFuture = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

impl Config {
    /// A client of this URL, which says who it is in the URL or in a header unless [`token`](Self::token) is given.
    pub fn new(url: impl Into<String>) -> Self {
        let session = SessionConfig {
            credential: Credential::Request,
            ..SessionConfig::default()
        };
        Self {
            websocket: ClientConfig::new(url).subprotocol("nuncio.v1"),
            session,
            events_max: 1024,
            token: None,
        }
    }

    /// Gives a token in the first message of each new session, and a new one when the old one ends. `None` from the callback
    /// means that there is none at present: the client tries again later.
    #[must_use]
    pub fn token<F, T>(mut self, source: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Option<String>> + Send + 'static,
    {
        self.session.credential = Credential::Token;
        self.token = Some(Arc::new(move || Box::pin(source())));
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("websocket", &self.websocket)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
