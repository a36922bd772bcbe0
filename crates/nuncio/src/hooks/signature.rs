//! What shows a backend that a request is ours, and how old it is.

use std::fmt::Write as _;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::config::Secret;

/// Signs requests with HMAC-SHA256 (RFC 2104).
pub(crate) struct Signer(EncodingKey);

impl Signer {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(EncodingKey::from_secret(secret.as_bytes()))
    }

    /// The value of `Nuncio-Signature`: `t=<seconds since 1970>,v1=<hex>`. What is signed is the number, a dot and the body, so that an old request cannot be
    /// passed off as a new one.
    pub(crate) fn header(&self, unix_s: u64, body: &[u8]) -> String {
        let mut message = format!("{unix_s}.").into_bytes();
        message.extend_from_slice(body);
        // HS256 is HMAC-SHA256, from the provider that verifies tokens.
        let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::HS256, &self.0)
            .expect("the key is a secret, as HS256 wants");
        let mut header = format!("t={unix_s},v1=");
        for byte in signer.sign(&message) {
            write!(header, "{byte:02x}").expect("writing to a string does not fail");
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by Python: `hmac.new(secret, b"1700000000." + body, "sha256").hexdigest()`.
    #[test]
    fn the_signature_is_what_others_compute() {
        let signer = Signer::new(&Secret::new("a secret of hooks with more than 32 bytes"));

        let header = signer.header(1_700_000_000, br#"{"type":"connect"}"#);

        assert_eq!(
            header,
            "t=1700000000,v1=4d26fb2fdcd4942f0deb2f39995c147b1b0182ae34a67593510a06851ccd1b82"
        );
    }
}
