//! Certificate and key for `wss://`.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file is not what it should be.
    #[error("server.tls.{key} = {path:?} is not usable: {reason}; a PEM file is wanted", path = path.display())]
    File {
        /// Which of the two.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// They do not fit each other.
    #[error("server.tls.certificate and server.tls.key do not work together: {0}")]
    Pair(rustls::Error),
}

/// Reads both files. TLS 1.3 and 1.2, `http/1.1` by ALPN; one ticket and a small cache, because every session kept costs memory.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error("certificate", &files.certificate, error.to_string()))?;
    if certificates.is_empty() {
        return Err(file_error(
            "certificate",
            &files.certificate,
            "it holds no certificate".to_owned(),
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| file_error("key", &files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = 1;
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(256);
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn file_error(key: &'static str, path: &std::path::Path, reason: String) -> TlsError {
    TlsError::File {
        key,
        path: path.to_owned(),
        reason,
    }
}
