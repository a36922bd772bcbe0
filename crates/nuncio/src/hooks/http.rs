//! One signed request to a backend.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use nuncio_transport::clock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::signature::Signer;
use crate::config::{BackendUrl, HooksConfig, Secret};

/// Keeps connections to the backends, and signs what goes over them.
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    signer: Signer,
    timeout: Duration,
}

/// What goes to a backend.
#[derive(Debug, Clone)]
pub(crate) struct Post<'a> {
    pub(crate) url: &'a BackendUrl,
    /// What it is about: `connect`, `events`.
    pub(crate) hook: &'static str,
    /// The same when it is repeated.
    pub(crate) id: &'a str,
    pub(crate) body: Bytes,
}

/// Why a backend gave no answer. It never holds what was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// No connection: nothing was sent.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It answered with something else than 2xx.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// The answer is too large.
    #[error("the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// A connection to a backend is kept so long for the next request: less than the 60 s after which many a proxy drops it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl PostError {
    /// Whether the backend got nothing of the request, so that a repetition cannot do anything twice.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the backend is at fault as a whole, and not only with this request: it is not there, too slow, or says so.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::Timeout(_) => true,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLarge => false,
        }
    }

    /// The word for metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Broken(_) => "broken",
            Self::Timeout(_) => "timeout",
            Self::Status(_) => "status",
            Self::TooLarge => "answer",
        }
    }
}

impl Http {
    /// Backends are known by the certificates of the configuration's authorities, or else of those that the system trusts.
    ///
    /// # Errors
    /// What is wrong with these.
    pub(crate) fn new(secret: &Secret, hooks: &HooksConfig) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let https = match &hooks.ca_file {
            Some(path) => builder.with_tls_config(trusting(path, provider)?),
            None => builder.with_provider_and_platform_verifier(provider)?,
        };
        let connector = https
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            signer: Signer::new(secret),
            timeout: hooks.timeout,
        })
    }

    /// Sends a request, and reads the whole of a 2xx answer. Redirects are not followed: what is signed is meant for this URL.
    pub(crate) async fn post(&self, post: &Post<'_>) -> Result<Bytes, PostError> {
        tokio::time::timeout(self.timeout, self.exchange(post))
            .await
            .unwrap_or(Err(PostError::Timeout(self.timeout)))
    }

    async fn exchange(&self, post: &Post<'_>) -> Result<Bytes, PostError> {
        let signature = self.signer.header(clock::now().unix_s(), &post.body);
        let request = Request::builder()
            .method(Method::POST)
            .uri(post.url.uri())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("nuncio-hook", post.hook)
            .header("nuncio-id", post.id)
            .header("nuncio-signature", signature)
            .body(Full::new(post.body.clone()))
            .expect("the headers are valid");
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                PostError::Unreachable(told(&error))
            } else {
                PostError::Broken(told(&error))
            }
        })?;
        if !response.status().is_success() {
            return Err(PostError::Status(response.status()));
        }
        match Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
        {
            Ok(answer) => Ok(answer.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(PostError::TooLarge)
            }
            Err(error) => Err(PostError::Broken(error.to_string())),
        }
    }
}

/// Trusts the authorities of a file, and nobody else.
fn trusting(path: &Path, provider: CryptoProvider) -> std::io::Result<ClientConfig> {
    let unusable = |why: String| {
        let path = path.display();
        std::io::Error::other(format!(
            "hooks.ca_file = {path:?} is not usable: {why}; a PEM file with certificates is wanted",
            path = path.to_string()
        ))
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(error.to_string()))?;
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// An error with what caused it, which says more than the error itself.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

const USER_AGENT: &str = concat!("nuncio/", env!("CARGO_PKG_VERSION"));
