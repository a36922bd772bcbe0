//! What is behind an outbox.

use std::io::{self, IoSlice};
use std::sync::OnceLock;

use nuncio_hub::{Sink, Writer};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::net::TcpStream;

/// Where a connection's bytes go.
#[derive(Debug)]
pub enum Wire {
    /// A plain socket, registered with the runtime: written by whoever has something for it.
    Direct(TcpStream),
    /// Anything else (TLS, a stream in somebody's HTTP server): written by its task, once woken.
    Woken,
    /// At first there is none, since the client polls: what waits is taken by its task. Once it has upgraded to a plain socket, it is as if it always had one; boxed, or every outbox would be larger.
    Late(OnceLock<Box<TcpStream>>),
}

/// What every vectored send is asked for: never wait, and no signal from a peer that is gone.
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

impl Wire {
    /// The socket that anyone may write to.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Direct(stream) => Some(stream),
            Self::Late(stream) => stream.get().map(|stream| &**stream),
            Self::Woken => None,
        }
    }
}

impl Sink for Wire {
    fn writer(&self) -> Writer {
        if self.socket().is_some() {
            Writer::Anyone
        } else {
            Writer::Task
        }
    }

    /// `send` rather than `write`: 9 % less CPU on Linux.
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(stream) = self.socket() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let written = match buffers {
            [only] => rustix::net::send(stream, only, FLAGS)?,
            several => {
                rustix::net::sendmsg(stream, several, &mut SendAncillaryBuffer::default(), FLAGS)?
            }
        };
        Ok(written)
    }
}

/// An outbox over one of them.
pub type Outbox = nuncio_hub::Outbox<Wire>;
/// A socket of this server.
pub type Socket = nuncio_hub::Socket<Wire>;
/// The node of this server.
pub type Node = nuncio_hub::Node<Wire>;
/// The rooms of this server.
pub type Rooms = nuncio_hub::Rooms<Wire>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_adds_80_bytes_to_its_socket() {
        // With the two counters of its Arc that is 128 bytes in a release build, one class of the allocator; a debug build has a larger TcpStream.
        assert_eq!(size_of::<Outbox>(), 80 + size_of::<TcpStream>());
        // And with its own two 128 as well.
        assert_eq!(size_of::<Socket>(), 112);
    }
}
