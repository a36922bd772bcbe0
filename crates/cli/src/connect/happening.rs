//! What happens on a connection, in the words of all dialects.

use std::time::Duration;

use bytes::Bytes;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Happening {
    /// The connection is open, or a namespace let us in.
    Open {
        /// Without its query, which may hold a token.
        url: String,
        /// The subprotocol, the session, the id: what the server said of itself.
        detail: Option<String>,
    },
    /// A message.
    Message(Content),
    /// An event of Socket.IO.
    Event {
        /// Where it came, unless that is `/`.
        namespace: Option<String>,
        /// `["name", arguments…]`.
        json: String,
        /// Its binary parts.
        attachments: Vec<Bytes>,
        /// What to answer it with.
        ack: Option<u64>,
    },
    /// The answer to an event of ours.
    Answer {
        /// The event's name.
        to: String,
        /// `[arguments…]`.
        json: String,
        /// Its binary parts.
        attachments: Vec<Bytes>,
    },
    /// What was sent, without secrets.
    Sent(Content),
    /// The server pinged.
    Ping(Bytes),
    /// The server answered a ping.
    Pong {
        /// The bytes of the ping.
        payload: Bytes,
        /// Since the ping, where it was typed.
        took: Option<Duration>,
    },
    /// The connection is lost, and the next attempt follows.
    Waiting {
        /// The pause.
        delay: Duration,
    },
    /// The connection is closed.
    Closed {
        /// 1005 without a code, 1006 without a close frame.
        code: u16,
        /// The server's reason.
        reason: String,
    },
    /// It did not open, it broke, or something was refused.
    Problem(String),
    /// Anything else worth a line.
    Notice(String),
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Happening {
    /// The text that expectations look at and `--count` counts; `None` for what is no message.
    pub(super) fn message(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Message(Content::Text(text)) => Some(text.into()),
            Self::Message(Content::Binary(bytes)) => Some(hex(bytes).into()),
            Self::Event { json, .. } | Self::Answer { json, .. } => Some(json.into()),
            Self::Open { .. }
            | Self::Sent(_)
            | Self::Ping(_)
            | Self::Pong { .. }
            | Self::Waiting { .. }
            | Self::Closed { .. }
            | Self::Problem(_)
            | Self::Notice(_) => None,
        }
    }
}

/// Two digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// We closed.
    ByUs,
    /// The server closed, with this code.
    ByServer {
        /// Its code.
        code: u16,
    },
    /// Socket.IO's server made us leave.
    PutOut,
    /// The server does not let us in.
    Refused,
    /// It cannot be reached, or the connection broke.
    Lost,
}

/// The meaning of a close code (RFC 6455 §7.4.1, IANA's registry, and nuncio's own).
pub(super) const fn close_code_meaning(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1005 => "no code",
        1006 => "lost without a close frame",
        1007 => "invalid text",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "extension expected",
        1011 => "internal error",
        1012 => "restart",
        1013 => "try again later",
        1014 => "bad gateway",
        3000 => "unauthorized",
        3003 => "forbidden",
        3008 => "timeout",
        4000..=4999 => "the application's own",
        _ => "unknown",
    }
}
