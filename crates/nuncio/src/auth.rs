//! Who a client is: tokens found, verified, minted and revoked.
//!
//! A token is a JSON Web Token (RFC 7519) signed with HS256 (RFC 7515), the only algorithm that is accepted: what a token says of its own
//! algorithm decides nothing. The present comes in as an argument, so nothing here reads a clock.

mod claims;
mod credentials;
mod demo_api_key;
mod demo_secret;
mod error;
mod grants_pool;
mod revocation;
mod revocation_file;
mod tokens;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use nuncio_model::{Grants, Json, Namespace, RoomName, UserId};

pub use claims::{Claims, NuncioClaim, RoomClaim};
pub use credentials::{CookieRule, CredentialsError, Token, find_token};
pub use demo_api_key::demo_api_key;
pub use error::{AuthError, DemoSecretError};
pub use revocation::{Revocation, Revocations, RevocationsFull};
pub use tokens::Tokens;

pub use nuncio_model::Identity;
pub(crate) use revocation_file::RevocationFile;
pub use revocation_file::RevocationFileError;

use crate::config::{CheckedConfig, Keys, Secret};
use claims::Header;
use grants_pool::GrantsPool;

/// Verifies tokens, and mints them for development. Shared by all connections.
///
/// ```
/// use nuncio::auth::{Authenticator, Claims};
/// use nuncio::config::{Config, Secret};
///
/// let mut config = Config::default();
/// config.auth.secrets = vec![Secret::new("a secret of 32 bytes or more, kept")];
/// let authenticator = Authenticator::from_config(&config.check()?)?;
/// let token = authenticator.mint(Claims::new("ann", 1_800_000_000));
///
/// let ann = authenticator.verify(&token, 1_799_999_000)?;
/// assert_eq!(ann.user.as_str(), "ann");
/// let error = authenticator.verify(&token, 1_900_000_000).unwrap_err();
/// assert_eq!(error.client_message(), "Invalid token");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Authenticator {
    is_on: bool,
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Vec<String>,
    leeway_s: u64,
    grants: GrantsPool,
    revocations: Revocations,
}

struct Key {
    verifying: DecodingKey,
    signing: EncodingKey,
}

impl Authenticator {
    /// Largest token accepted, in bytes. Fits the 16 KiB of a request's head with room for the rest of it.
    pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

    /// Makes what the configuration says. The demo's secret is made here when its file is missing.
    ///
    /// # Errors
    /// [`DemoSecretError`] when that file cannot be read or made.
    pub fn from_config(config: &CheckedConfig) -> Result<Self, DemoSecretError> {
        let secrets = match &config.keys {
            Keys::Secrets(secrets) => secrets.clone(),
            Keys::Demo(path) => vec![demo_secret::open(path)?],
        };
        let auth = &config.config.auth;
        Ok(Self {
            is_on: !secrets.is_empty() || config.config.hooks.decide_who(),
            keys: secrets.iter().map(Key::new).collect(),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway_s: auth.leeway.as_secs(),
            grants: GrantsPool::new(Arc::clone(&config.grants)),
            revocations: Revocations::default(),
        })
    }

    /// Whether anybody knows who clients are, by their tokens or by a backend's word: a program may leave it to its handlers who comes in.
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Verifies a token at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`AuthError`] says why, for the log; the client is told [`client_message`](AuthError::client_message) only.
    pub fn verify(&self, token: &str, now_unix_s: u64) -> Result<Identity, AuthError> {
        let claims = self.verified_claims(token)?;
        self.check_times(&claims, now_unix_s)?;
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        let identity = self.identity(claims)?;
        if self.revocations.is_revoked(&identity) {
            return Err(AuthError::Revoked);
        }
        Ok(identity)
    }

    /// Signs claims with the first secret. The issuer and the audience that the configuration wants are added where they are missing.
    ///
    /// # Panics
    /// When there is no secret, which only a server in a program may be without; when the operating system's cryptography fails, which no input causes.
    pub fn mint(&self, mut claims: Claims) -> String {
        claims.iss = claims.iss.or_else(|| self.issuer.clone());
        if claims.aud.is_empty() {
            claims.aud.extend(self.audience.first().cloned());
        }
        let claims = serde_json::to_vec(&claims).expect("claims are plain JSON");
        let message = format!("{}.{}", BASE64.encode(Header::HS256), BASE64.encode(claims));
        let signature = self.keys[0].sign(message.as_bytes());
        format!("{message}.{}", BASE64.encode(signature))
    }

    /// Tokens and users that are not let in any more.
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The claims of a token whose signature one of the secrets made.
    fn verified_claims(&self, token: &str) -> Result<Claims, AuthError> {
        if token.len() > Self::TOKEN_BYTES_MAX {
            let (len, max) = (token.len(), Self::TOKEN_BYTES_MAX);
            return Err(AuthError::TooLong { len, max });
        }
        let (message, signature) = token.rsplit_once('.').ok_or(AuthError::NotThreeParts)?;
        let (header, payload) = message.split_once('.').ok_or(AuthError::NotThreeParts)?;
        Header::parse(&decode("header", header)?)?.check()?;
        let signature = decode("signature", signature)?;
        if !self
            .keys
            .iter()
            .any(|key| key.verifies(message.as_bytes(), &signature))
        {
            return Err(AuthError::Signature {
                secrets: self.keys.len(),
            });
        }
        let payload = decode("claims", payload)?;
        let text = str::from_utf8(&payload).map_err(|_| AuthError::NotJson { part: "claims" })?;
        Json::check_depth(text).map_err(|_| AuthError::NotJson { part: "claims" })?;
        serde_json::from_str(text).map_err(|error| AuthError::Claims(error.to_string()))
    }

    fn check_times(&self, claims: &Claims, now: u64) -> Result<(), AuthError> {
        let leeway = self.leeway_s;
        if let Some(exp) = claims.exp
            && now >= exp.saturating_add(leeway)
        {
            return Err(AuthError::Expired { exp, now, leeway });
        }
        if let Some(nbf) = claims.nbf
            && now.saturating_add(leeway) < nbf
        {
            return Err(AuthError::NotYetValid { nbf, now, leeway });
        }
        Ok(())
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), AuthError> {
        match &self.issuer {
            Some(wanted) if claims.iss.as_ref() != Some(wanted) => Err(AuthError::Issuer {
                found: claims.iss.clone().unwrap_or_default(),
                wanted: wanted.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// A token for others must be refused, even where nobody said who we are (RFC 7519 §4.1.3).
    fn check_audience(&self, claims: &Claims) -> Result<(), AuthError> {
        let (found, wanted) = (&claims.aud, &self.audience);
        let is_for_all = found.is_empty() && wanted.is_empty();
        if is_for_all || found.iter().any(|audience| wanted.contains(audience)) {
            return Ok(());
        }
        Err(AuthError::Audience {
            found: found.join(", "),
            wanted: wanted.join(", "),
        })
    }

    fn identity(&self, claims: Claims) -> Result<Identity, AuthError> {
        let nuncio = claims.nuncio.unwrap_or_default();
        let join = nuncio.join.iter().map(|room| RoomName::parse(room));
        Ok(Identity {
            user: UserId::parse(&claims.sub).map_err(AuthError::Subject)?,
            exp: claims.exp,
            iat: claims.iat,
            token_id: claims.jti.map(String::into_boxed_str),
            join: join.collect::<Result<_, _>>().map_err(AuthError::Join)?,
            grants: self.granted(&nuncio)?,
            profile: nuncio.info.map(|info| Json::from(&*info)),
        })
    }

    /// Who a client is by a backend's word: a user, and what the claim `nuncio` would say. What that leaves out comes from `base`, or else from the
    /// configuration. The namespace that the backend was asked about is granted.
    ///
    /// # Errors
    /// [`AuthError`], as [`verify`](Self::verify).
    pub(crate) fn decided(
        &self,
        sub: &str,
        claim: NuncioClaim,
        base: Option<&Identity>,
        namespace: &Namespace,
        now_unix_s: u64,
    ) -> Result<Identity, AuthError> {
        let default = base.map_or_else(|| self.grants.default_grants(), |base| &base.grants);
        let mut grants = claim.grants_over(default)?;
        if !grants.namespaces.contains(namespace) {
            grants.namespaces.push(namespace.clone());
        }
        let join = claim.join.iter().map(|room| RoomName::parse(room));
        let info = claim.info.map(|info| Json::from(&*info));
        Ok(Identity {
            user: UserId::parse(sub).map_err(AuthError::Subject)?,
            profile: info.or_else(|| base?.profile.clone()),
            exp: base.and_then(|base| base.exp),
            // What the backend says it says now; a token was issued when it says.
            iat: base.and_then(|base| base.iat).or(Some(now_unix_s)),
            token_id: base.and_then(|base| base.token_id.clone()),
            join: join.collect::<Result<_, _>>().map_err(AuthError::Join)?,
            grants: self.grants.share(grants),
        })
    }

    fn granted(&self, nuncio: &NuncioClaim) -> Result<Arc<Grants>, AuthError> {
        let default = self.grants.default_grants();
        if nuncio.grants_nothing_itself() {
            return Ok(Arc::clone(default));
        }
        Ok(self.grants.share(nuncio.grants_over(default)?))
    }
}

impl Key {
    fn new(secret: &Secret) -> Self {
        Self {
            verifying: DecodingKey::from_secret(secret.as_bytes()),
            signing: EncodingKey::from_secret(secret.as_bytes()),
        }
    }

    // The provider is named here and not taken from the process: an embedding program may have installed another, or two at once.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&Algorithm::HS256, &self.verifying)
            .expect("the key is a secret, as HS256 wants");
        verifier.verify(message, &signature.to_vec()).is_ok()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::HS256, &self.signing)
            .expect("the key is a secret, as HS256 wants");
        signer.sign(message)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("secrets", &self.keys.len())
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("leeway_s", &self.leeway_s)
            .finish_non_exhaustive()
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, AuthError> {
    BASE64
        .decode(text)
        .map_err(|_| AuthError::NotBase64 { part })
}

#[cfg(test)]
mod tests;
