//! Why sockets end, in the reference's words.

use std::fmt;

/// Why a socket left its namespace, as `disconnect` handlers of the reference are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// `client namespace disconnect`: the client left, by `socket.disconnect()`.
    ClientNamespaceDisconnect,
    /// `server namespace disconnect`: the server made it leave.
    ServerNamespaceDisconnect,
    /// `forced server close`: the server ended the connection, for its token, its rate, a packet out of place or a timeout.
    ForcedServerClose,
    /// `forced close`: a packet could not be decoded, or Engine.IO closed.
    ForcedClose,
    /// `server shutting down`.
    ServerShuttingDown,
    /// `transport close`: the connection was closed or lost.
    TransportClose,
    /// `transport error`: the connection broke, or the client read too slowly.
    TransportError,
    /// `ping timeout`: no sign of life.
    PingTimeout,
    /// `parse error`: that was no Engine.IO packet.
    ParseError,
}

impl DisconnectReason {
    const ALL: [Self; 9] = [
        Self::ClientNamespaceDisconnect,
        Self::ServerNamespaceDisconnect,
        Self::ForcedServerClose,
        Self::ForcedClose,
        Self::ServerShuttingDown,
        Self::TransportClose,
        Self::TransportError,
        Self::PingTimeout,
        Self::ParseError,
    ];

    /// The reference's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ForcedServerClose => "forced server close",
            Self::ForcedClose => "forced close",
            Self::ServerShuttingDown => "server shutting down",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
        }
    }

    /// The reason that these are the words of.
    pub fn parse(words: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|reason| reason.as_str() == words)
    }

    /// Whether the client may come back and have its state recovered: not when one side wanted it gone.
    pub const fn is_recoverable(self) -> bool {
        match self {
            Self::ClientNamespaceDisconnect
            | Self::ServerNamespaceDisconnect
            | Self::ParseError => false,
            Self::ForcedServerClose
            | Self::ForcedClose
            | Self::ServerShuttingDown
            | Self::TransportClose
            | Self::TransportError
            | Self::PingTimeout => true,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
