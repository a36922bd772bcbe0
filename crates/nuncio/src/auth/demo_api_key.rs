//! The demo's key for the server API: made of its secret, so that whoever may read that needs no other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};

use super::DemoSecretError;
use super::demo_secret;
use crate::config::{CheckedConfig, Keys, Secret};

/// What the key is made for: a token is another message, so none is ever the key.
const PURPOSE: &[u8] = b"nuncio server API";

/// The key of the demo whose data a configuration names: 43 characters, the same as long as that data is there. `None` where the configuration is no demo's, or has keys of
/// its own, or no demo ever ran with that data.
///
/// # Errors
/// [`DemoSecretError`] when the demo's secret cannot be read.
pub fn demo_api_key(config: &CheckedConfig) -> Result<Option<Secret>, DemoSecretError> {
    match &config.keys {
        Keys::Demo(path) if config.api_keys.is_empty() && path.exists() => {
            demo_secret::open(path).map(|secret| Some(key_of(&secret)))
        }
        Keys::Demo(_) | Keys::Secrets(_) => Ok(None),
    }
}

/// HMAC-SHA256 (RFC 2104) of the purpose.
fn key_of(secret: &Secret) -> Secret {
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::HS256, &key)
        .expect("the key is a secret, as HS256 wants");
    Secret::new(&BASE64.encode(signer.sign(PURPOSE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_demo_has_a_key_once_it_has_a_secret_and_it_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::demo();
        config.store.path = folder.path().join("data");
        let config = config.check().unwrap();

        assert_eq!(demo_api_key(&config).unwrap(), None);
        assert!(
            !folder.path().join("data").exists(),
            "to look makes nothing"
        );
        super::super::Authenticator::from_config(&config).unwrap();
        let key = demo_api_key(&config).unwrap().unwrap();

        assert_eq!(key.as_bytes().len(), 43);
        assert_eq!(demo_api_key(&config).unwrap(), Some(key));
    }

    /// Computed by Python: `base64.urlsafe_b64encode(hmac.new(secret, b"nuncio server API", "sha256").digest())`.
    #[test]
    fn the_key_is_the_hmac_of_its_purpose() {
        let secret = Secret::new("a secret of at least thirty-two bytes");

        assert_eq!(
            key_of(&secret),
            Secret::new("ShsGi-FsTj0OnJwM6rpTI3lMv9ag15QHp9xAiEVBxUs")
        );
    }
}
