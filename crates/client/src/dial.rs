//! From a URL to a byte stream: TCP, the tunnel of a proxy, TLS.

mod proxy;
mod url;

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::{Tls, Trust};
use proxy::Via;

pub use proxy::{Proxy, ProxyError};
pub use url::UrlError;
pub(crate) use url::{Security, Url};

/// A byte stream to the server, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(String),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// Connects to the host of a URL.
pub(crate) async fn dial(
    url: &Url,
    config: Option<&Arc<rustls::ClientConfig>>,
    proxy: &Proxy,
) -> Result<Box<dyn Stream>, DialError> {
    let stream = match proxy.of(url)? {
        Some(via) => tunnel(&via, url, config).await?,
        None => tcp(&url.host, url.port).await?,
    };
    match url.security {
        Security::Plain => Ok(stream),
        Security::Tls => encrypt(stream, &url.host, config).await,
    }
}

async fn tunnel(
    via: &Via,
    url: &Url,
    config: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Box<dyn Stream>, DialError> {
    let reached = tcp(&via.url.host, via.url.port).await;
    let mut stream = reached.map_err(ProxyError::Unreachable)?;
    if via.url.security == Security::Tls {
        stream = encrypt(stream, &via.url.host, config).await?;
    }
    proxy::connect(&mut stream, via, url).await?;
    Ok(stream)
}

async fn tcp(host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((host, port)).await?;
    // Messages are small and somebody waits for them.
    tcp.set_nodelay(true)?;
    Ok(Box::new(tcp))
}

async fn encrypt(
    stream: Box<dyn Stream>,
    host: &str,
    config: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Box<dyn Stream>, DialError> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| DialError::Tls(error.to_string()))?;
    let config = config.map_or_else(platform, |config| Ok(config.clone()))?;
    let encrypted = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Box::new(encrypted))
}

/// By the roots that the platform trusts.
fn platform() -> Result<Arc<rustls::ClientConfig>, DialError> {
    let config = Tls::new(Trust::Platform).config();
    config.map_err(|error| DialError::Tls(error.to_string()))
}
