//! The WebSocket of an Engine.IO connection: the one that is its transport.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_engineio::server::SocketId;
use nuncio_websocket::{Connection, ConnectionConfig, DeflateParams, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::io::Io;

/// What an upgrade left: a plain socket, or something that only its task may use.
pub(super) enum Stream {
    Plain(TcpStream),
    Other(Box<dyn Duplex>),
}

/// A WebSocket whose handshake is done.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// What the client sent behind its request.
    pub(super) early: Bytes,
    /// What was agreed on compression.
    pub(super) deflate: Option<DeflateParams>,
}

/// A stream in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The WebSocket that is the transport.
pub(super) struct Link {
    pub(super) id: SocketId,
    pub(super) io: Box<dyn Io>,
    pub(super) connection: Connection,
    pub(super) phase: Phase,
    /// Input that waits until the session has fewer calls under way.
    #[expect(
        clippy::box_collection,
        reason = "8 bytes instead of 24 in every idle connection"
    )]
    pub(super) stash: Option<Box<Vec<u8>>>,
}

/// How far the closing handshake is. Each phase but the first has a deadline, after which the connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// A close frame is on its way, and the client's is awaited.
    Closing(Instant),
    /// Everything is written; reading on keeps the kernel from resetting the connection before the client has read it.
    Lingering(Instant),
    Done,
}

impl Link {
    pub(super) fn new(id: SocketId, io: Box<dyn Io>, connection: Connection) -> Self {
        Self {
            id,
            io,
            connection,
            phase: Phase::Open,
            stash: None,
        }
    }
}

/// One side of a WebSocket whose messages have at most so many bytes.
pub(super) fn server_side(message_bytes_max: usize, deflate: Option<DeflateParams>) -> Connection {
    Connection::new(
        Role::Server,
        ConnectionConfig {
            message_bytes_max: message_bytes_max as u64,
            deflate,
        },
    )
}

/// How long a client may take for its half of a closing handshake.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last bytes may take to arrive.
pub(super) const LINGER: Duration = Duration::from_secs(2);

impl AsyncRead for Stream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => std::pin::Pin::new(stream).poll_read(cx, buffer),
            Self::Other(stream) => std::pin::Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl Stream {
    pub(super) fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Plain(stream) => stream,
            Self::Other(stream) => stream,
        }
    }

    /// Writes the last bytes and waits a moment for the client to close, so that it reads them.
    pub(super) fn farewell(mut self, last: Bytes) {
        tokio::spawn(tokio::time::timeout(CLOSE_TIMEOUT, async move {
            let writer = self.writer();
            writer.write_all(&last).await?;
            writer.shutdown().await?;
            let mut rest = [0; 1024];
            while self.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        }));
    }
}
