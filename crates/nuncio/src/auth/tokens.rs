//! Tokens for a program's own use: verified and minted now.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nuncio_model::Identity;
use nuncio_transport::clock;

use super::{AuthError, Authenticator, Claims};
use crate::config::{Config, Problem, Problems, Secret};
use crate::server::Server;

/// Verifies and mints tokens at the present time. Clones are the same.
///
/// ```
/// use std::time::Duration;
/// use nuncio::auth::Tokens;
///
/// let tokens = Tokens::new("a secret of 32 bytes or more, kept")?;
/// let token = tokens.mint("ann", Duration::from_secs(3600));
/// assert_eq!(tokens.verify(&token)?.user.as_str(), "ann");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tokens(Arc<Authenticator>);

impl Tokens {
    /// Tokens that are signed with this secret (HS256), of at least 32 bytes.
    ///
    /// # Errors
    /// [`Problems`]: the secret is too short, or the one of the documentation.
    pub fn new(secret: &str) -> Result<Self, Problems> {
        let mut config = Config::embedded();
        config.auth.secrets.push(Secret::new(secret));
        let authenticator = Authenticator::from_config(&config.check()?);
        Ok(Self(Arc::new(authenticator.expect(
            "only the demo's secret is in a file that may be unreadable",
        ))))
    }

    /// The same with the secret that an environment variable holds.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when it is not set.
    pub fn from_env(variable: &str) -> Result<Self, Problems> {
        let secret = std::env::var(variable).unwrap_or_default();
        if secret.is_empty() {
            let found = format!("the variable {variable}");
            let fault = "it is not set: put the output of `openssl rand -base64 32` into it";
            return Err(Problems(vec![Problem::rule("auth.secrets", found, fault)]));
        }
        Self::new(&secret)
    }

    /// Who a token speaks of.
    ///
    /// # Errors
    /// [`AuthError`], for the log; a client is told [`client_message`](AuthError::client_message) only.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        self.0.verify(token, clock::now().unix_s())
    }

    /// A token of a user that lasts so long, and grants what the server grants by default.
    ///
    /// # Panics
    /// As [`Authenticator::mint`].
    pub fn mint(&self, user: &str, ttl: Duration) -> String {
        let exp = clock::now().unix_s() + ttl.as_secs();
        self.0.mint(Claims::new(user, exp))
    }
}

impl Server {
    /// The tokens that clients of this server enter with.
    pub fn tokens(&self) -> Tokens {
        Tokens(self.app.authenticator.clone())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(hidden)")
    }
}
