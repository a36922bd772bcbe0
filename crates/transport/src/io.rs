//! How a connection's task reads and writes: directly on its socket, or through a stream that only it may use.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use nuncio_hub::Flushed;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::sink::Outbox;

/// The bytes of one connection. Everything is polled with its outbox at hand.
pub(crate) trait Io: Send + Unpin + 'static {
    /// Reads into `buffer`; 0 is the end.
    fn poll_read(
        &mut self,
        outbox: &Outbox,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Writes what waits; ready when nothing does.
    fn poll_write(&mut self, outbox: &Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written.
    fn poll_shutdown(&mut self, outbox: &Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// The socket lives in the outbox, where anyone may write to it: nothing is kept here.
pub(crate) struct Direct;

impl Io for Direct {
    fn poll_read(
        &mut self,
        outbox: &Outbox,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let stream = socket(outbox);
        loop {
            std::task::ready!(stream.poll_read_ready(cx))?;
            let mut read = None;
            // A short read means that the socket is empty: saying so to the runtime saves the read that would find out.
            let tried = stream.try_io(Interest::READABLE, || {
                let (len, _) = rustix::net::recv(stream, &mut *buffer, RecvFlags::DONTWAIT)?;
                read = Some(len);
                if len == 0 || len == buffer.len() {
                    Ok(())
                } else {
                    Err(io::ErrorKind::WouldBlock.into())
                }
            });
            match (read, tried) {
                (Some(len), _) => return Poll::Ready(Ok(len)),
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                (None, Err(error)) => return Poll::Ready(Err(error)),
                (None, Ok(())) => unreachable!("a read that succeeded has a length"),
            }
        }
    }

    fn poll_write(&mut self, outbox: &Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !outbox.is_waiting_for_socket() {
            return Poll::Ready(Ok(()));
        }
        let stream = socket(outbox);
        loop {
            std::task::ready!(stream.poll_write_ready(cx))?;
            let mut flushed = Flushed::Blocked;
            let _ = stream.try_io(Interest::WRITABLE, || {
                flushed = outbox.flush_blocked();
                if flushed == Flushed::Blocked {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match flushed {
                Flushed::Blocked => {}
                Flushed::Broken => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Flushed::Drained | Flushed::Woken => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_shutdown(&mut self, outbox: &Outbox, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(rustix::net::shutdown(
            socket(outbox),
            rustix::net::Shutdown::Write,
        )?))
    }
}

fn socket(outbox: &Outbox) -> &TcpStream {
    outbox
        .sink()
        .socket()
        .expect("a direct connection has its socket in its outbox")
}

/// A stream that only its task writes: TLS, or what another HTTP server upgraded.
pub(crate) struct Woken<T> {
    stream: T,
    writing: VecDeque<Bytes>,
    unflushed: bool,
}

/// Bytes taken out of the outbox at once: a few TLS records.
const TAKE_BYTES: usize = 64 * 1024;

impl<T> Woken<T> {
    pub(crate) const fn new(stream: T) -> Self {
        Self {
            stream,
            writing: VecDeque::new(),
            unflushed: false,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for Woken<T> {
    fn poll_read(
        &mut self,
        _: &Outbox,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, outbox: &Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writing.is_empty() && outbox.take(&mut self.writing, TAKE_BYTES) == 0 {
                break;
            }
            let buffers: Vec<_> = self
                .writing
                .iter()
                .take(64)
                .map(|item| IoSlice::new(item))
                .collect();
            let written =
                std::task::ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &buffers))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        self.writing = VecDeque::new();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<T> Woken<T> {
    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.writing.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.writing.pop_front();
        }
    }
}
