//! What a connection tells its driver.

use crate::handshake::Response;
use crate::packet::{Frame, Message};

/// The driver's name for a GET or POST of this connection. Any number not in use by another pending request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// The connection's name for one of its WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(pub(super) u32);

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Hand a message to the application.
    Message(Message),
    /// Answer an HTTP request.
    Respond {
        /// The request to answer.
        request: RequestId,
        /// The answer.
        response: Response,
    },
    /// Send a WebSocket message. The frame is ready for the wire.
    Send {
        /// The WebSocket to send it on.
        socket: SocketId,
        /// The message.
        frame: Frame,
    },
    /// Close a WebSocket, without a close code as the reference does, after what was sent on it before.
    CloseSocket {
        /// The WebSocket to close.
        socket: SocketId,
    },
    /// The WebSocket is the transport from here on: everything queued follows as [`Output::Send`].
    Upgraded {
        /// The new transport.
        socket: SocketId,
    },
    /// The connection is over: forget its sid. Responses and closes of its sockets came before.
    Closed(CloseReason),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// A request was cut off, two of the same kind overlapped, or the heartbeat went the wrong way.
    TransportError,
    /// The client closed it.
    TransportClose,
    /// The client was silent for too long.
    PingTimeout,
    /// The client sent something that is no packet.
    ParseError,
    /// [`Connection::close`](super::Connection::close) was called.
    ForcedClose,
}

/// How [`Connection::close`](super::Connection::close) treats what is still queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Waits for the client to fetch it, at most [`close_timeout`](crate::Config::close_timeout).
    Flush,
    /// Drops it.
    Discard,
}

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnd {
    /// With a closing handshake, or the TCP connection was closed.
    Closed,
    /// By an error: a protocol violation, a reset.
    Failed,
}

/// Why [`Connection::send`](super::Connection::send) did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is closed or closing.
    #[error("the connection is closed")]
    Closed,
    /// The client does not poll fast enough.
    #[error("{bytes} bytes wait for a poll, at most {max} may")]
    QueueFull {
        /// Bytes that wait already.
        bytes: usize,
        /// The bound, [`queue_bytes_max`](crate::Config::queue_bytes_max).
        max: usize,
    },
}

impl CloseReason {
    /// The reference server's words, which applications know from `disconnect` handlers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => "transport error",
            Self::TransportClose => "transport close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}
