//! From a URL to an open connection: a stream, and the opening handshake on it.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use nuncio_websocket::handshake::{Agreement, ClientRequest, ResponseError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ClientConfig;
use crate::dial::{DialError, ProxyError, Stream, Url, UrlError, dial};

/// An open connection, before its first frame.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    pub(super) agreement: Agreement,
    /// What came behind the response's head: the first frames.
    pub(super) rest: BytesMut,
}

/// Why a connection did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// No such host, nobody there, or the connection broke.
    #[error("the server cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// The roots of the platform cannot be read, or a host that has no name to check.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The proxy made no tunnel.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The server answered the request for a WebSocket in another way.
    #[error("{error}")]
    Refused {
        /// The rule that the response broke, or its status.
        error: ResponseError,
        /// Its `Retry-After`, where it is written in seconds.
        retry_after: Option<Duration>,
    },
    /// It took longer than [`ClientConfig::open_timeout`].
    #[error("not open within {limit:?}")]
    Timeout {
        /// The bound.
        limit: Duration,
    },
    /// `close` was called before it was open.
    #[error("closed before it was open")]
    Closed,
}

impl OpenError {
    /// The status of a response that refused the upgrade.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused {
                error: ResponseError::Status { status },
                ..
            } => Some(*status),
            Self::Url(_)
            | Self::Io(_)
            | Self::Tls(_)
            | Self::Proxy(_)
            | Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Closed => None,
        }
    }
}

impl From<DialError> for OpenError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Io(error) => Self::Io(error),
            DialError::Tls(error) => Self::Tls(error),
            DialError::Proxy(error) => Self::Proxy(error),
        }
    }
}

/// Connects within the configured time.
pub(super) async fn open(config: &ClientConfig) -> Result<Opened, OpenError> {
    let limit = config.open_timeout;
    tokio::time::timeout(limit, open_slowly(config))
        .await
        .unwrap_or(Err(OpenError::Timeout { limit }))
}

async fn open_slowly(config: &ClientConfig) -> Result<Opened, OpenError> {
    let url = Url::parse(&config.url)?;
    let stream = dial(&url, config.tls.as_ref(), &config.proxy).await?;
    shake_hands(stream, config, &url).await
}

async fn shake_hands(
    mut stream: Box<dyn Stream>,
    config: &ClientConfig,
    url: &Url,
) -> Result<Opened, OpenError> {
    let subprotocols: Vec<_> = config.subprotocols.iter().map(|name| &**name).collect();
    let headers: Vec<_> = config
        .headers
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let request = ClientRequest {
        host: &url.authority,
        path: &url.path,
        key: super::random(),
        subprotocols: &subprotocols,
        deflate: config.deflate,
        headers: &headers,
    };
    stream
        .write_all(&request.encode().map_err(refused)?)
        .await?;
    stream.flush().await?;
    let (agreement, rest) = read_response(&mut stream, &request).await?;
    Ok(Opened {
        stream,
        agreement,
        rest,
    })
}

async fn read_response(
    stream: &mut Box<dyn Stream>,
    request: &ClientRequest<'_>,
) -> Result<(Agreement, BytesMut), OpenError> {
    let mut input = BytesMut::with_capacity(4096);
    while input.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let response = request
            .check_response(&input)
            .map_err(|error| OpenError::Refused {
                error,
                retry_after: retry_after(&input),
            })?;
        if let Some((agreement, head_len)) = response {
            return Ok((agreement, input.split_off(head_len)));
        }
    }
    Err(refused(ResponseError::Http))
}

const fn refused(error: ResponseError) -> OpenError {
    OpenError::Refused {
        error,
        retry_after: None,
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); its other form, a date, would need both clocks to agree.
fn retry_after(head: &[u8]) -> Option<Duration> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let seconds = value.trim().parse().ok()?;
            name.eq_ignore_ascii_case("retry-after")
                .then(|| Duration::from_secs(seconds))
        })
}

/// A response's head beyond this is no answer to a request of a few hundred bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
