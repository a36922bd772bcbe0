//! Messages that are larger than what one wants to keep: sent and received piece by piece.

use std::io;

use bytes::{Bytes, BytesMut};
pub use nuncio_websocket::MessageKind;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::driver::Command;
use super::{Closed, WebSocket};

/// A piece of a message that did not arrive as a whole. Its pieces follow each other without other messages between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What the message carries.
    pub kind: MessageKind,
    /// The bytes; those of a text are cut between characters.
    pub bytes: Bytes,
    /// Whether the message ends with them. The last piece may be empty.
    pub is_last: bool,
}

/// What a message in pieces is made of on its way to the driver; without an `End` it was given up.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    End,
}

/// Why a stream was not sent.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The stream could not be read. The message cannot be taken back: the connection ends with 1011.
    #[error("the stream cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The connection is closing or closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl WebSocket {
    /// Sends all that a stream has as one message, in fragments of up to 64 KiB (RFC 6455 §5.4), not compressed. No more is
    /// read than the network takes. What other clones send meanwhile waits for the end of it; so does `close`. Returns how
    /// many bytes were sent.
    ///
    /// A text must be UTF-8 as a whole.
    ///
    /// # Errors
    /// [`StreamError`]. When it is dropped before it is done, the connection ends as if the stream could not be read.
    pub async fn send_stream(
        &self,
        kind: MessageKind,
        mut stream: impl AsyncRead + Unpin,
    ) -> Result<u64, StreamError> {
        let (parts, sent) = mpsc::channel(1);
        self.command(Command::Stream { kind, parts: sent }).await?;
        let (mut buffer, mut total) = (BytesMut::new(), 0);
        loop {
            buffer.reserve(PIECE_BYTES_MAX);
            let count = (&mut stream)
                .take(PIECE_BYTES_MAX as u64)
                .read_buf(&mut buffer)
                .await?;
            let part = match count {
                0 => Part::End,
                _ => Part::Bytes(buffer.split().freeze()),
            };
            total += count as u64;
            parts.send(part).await.map_err(|_| Closed)?;
            if count == 0 {
                return Ok(total);
            }
        }
    }
}

/// Bytes of one fragment, at most.
const PIECE_BYTES_MAX: usize = 64 * 1024;
