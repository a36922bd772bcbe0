//! How a server with TLS is checked, for all clients: the platform's roots, roots of one's own, or not at all.

use std::fmt;
use std::sync::Arc;

pub use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};

/// Says how a server is checked, and makes the [`ClientConfig`] that the clients' `tls` takes.
///
/// ```no_run
/// use nuncio_client::tls::{Tls, Trust};
/// use nuncio_client::websocket::ClientConfig;
///
/// let roots = std::fs::read("company-ca.pem")?;
/// let tls = Tls::new(Trust::Roots(&roots)).config()?;
/// let config = ClientConfig::new("wss://chat.internal/ws").tls(tls);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tls<'a> {
    trust: Trust<'a>,
    identity: Option<(&'a [u8], &'a [u8])>,
}

/// Which servers are believed to be who they say that they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trust<'a> {
    /// Those with a certificate that the platform trusts.
    Platform,
    /// Those with a certificate from one of these authorities, in PEM, and no others.
    Roots(&'a [u8]),
    /// Everyone: whoever stands in between reads all, tokens too. For a server of one's own, on the way to a real certificate.
    Anyone,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// What is no PEM, or has nothing of the kind that was asked for.
    #[error("{what} cannot be read: {error}")]
    Pem {
        /// What was to be read.
        what: &'static str,
        /// What the reader says.
        error: rustls::pki_types::pem::Error,
    },
    /// There is no certificate in what should be roots.
    #[error("there is no certificate among the roots")]
    NoRoots,
    /// A root, or the client's own certificate, that cannot be used.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl<'a> Tls<'a> {
    /// Without a certificate of the client.
    pub const fn new(trust: Trust<'a>) -> Self {
        Self {
            trust,
            identity: None,
        }
    }

    /// Shows a certificate of the client's own to servers that ask for one: its chain and its key, in PEM.
    #[must_use]
    pub const fn identity(mut self, chain: &'a [u8], key: &'a [u8]) -> Self {
        self.identity = Some((chain, key));
        self
    }

    /// The configuration. It may be shared by many connections.
    ///
    /// # Errors
    /// Each [`TlsError`].
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = match self.trust {
            Trust::Platform => {
                rustls_platform_verifier::BuilderVerifierExt::with_platform_verifier(builder)?
            }
            Trust::Roots(pem) => with_roots(builder, pem, provider)?,
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Everyone(provider))),
        };
        Ok(Arc::new(match self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key);
                let key = key.map_err(pem("the client's key"))?;
                let chain = certificates(chain, "the client's certificate")?;
                builder.with_client_auth_cert(chain, key)?
            }
        }))
    }
}

fn with_roots(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(pem, "the roots")? {
        roots.add(root)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(builder.with_webpki_verifier(verifier))
}

fn certificates(text: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(text);
    certificates
        .map(|certificate| certificate.map_err(pem(what)))
        .collect()
}

fn pem(what: &'static str) -> impl Fn(rustls::pki_types::pem::Error) -> TlsError {
    move |error| TlsError::Pem { what, error }
}

/// Without the key.
impl fmt::Debug for Tls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("trust", &self.trust)
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

impl fmt::Debug for Trust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "Platform",
            Self::Roots(_) => "Roots",
            Self::Anyone => "Anyone",
        })
    }
}

/// Believes every certificate. The handshake must be signed by it all the same, or it would not even be TLS.
#[derive(Debug)]
struct Everyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Everyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused_before_anything_is_sent() {
        let none = Tls::new(Trust::Roots(b"just text")).config();
        assert!(matches!(none, Err(TlsError::NoRoots)), "{none:?}");

        let tls = Tls::new(Trust::Anyone).identity(b"", b"no key");
        let error = tls.config().unwrap_err().to_string();
        assert!(
            error.starts_with("the client's key cannot be read"),
            "{error}"
        );
    }

    #[test]
    fn a_key_is_not_seen_in_the_log() {
        let tls = Tls::new(Trust::Platform).identity(b"chain", b"s3cret");

        assert_eq!(
            format!("{tls:?}"),
            "Tls { trust: Platform, identity: true }"
        );
    }
}
