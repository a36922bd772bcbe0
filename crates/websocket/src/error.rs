//! Why a peer's bytes were refused, and with which close code.

use crate::CloseCode;

/// Why a peer's frame was refused. Each variant is one rule of RFC 6455 or RFC 7692 and maps to one close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A reserved bit without an extension that gives it a meaning.
    #[error("reserved bits {bits:03b} are set (RFC 6455 §5.2)")]
    ReservedBits {
        /// RSV1, RSV2, RSV3 from the highest bit to the lowest.
        bits: u8,
    },
    /// An opcode without a meaning.
    #[error("opcode {opcode:#x} is reserved (RFC 6455 §5.2)")]
    ReservedOpcode {
        /// 3 to 7 or 11 to 15.
        opcode: u8,
    },
    /// RSV1 on a frame that does not begin a message.
    #[error("the compression bit is set on a continuation or control frame (RFC 7692 §6)")]
    CompressionBitMisplaced,
    /// A length that would have fitted into fewer bytes.
    #[error("length {len} is not written in the fewest bytes (RFC 6455 §5.2)")]
    LengthNotMinimal {
        /// The length as written.
        len: u64,
    },
    /// A 64-bit length with its highest bit set.
    #[error("length {len} has its highest bit set (RFC 6455 §5.2)")]
    LengthTooLarge {
        /// The length as written.
        len: u64,
    },
    /// A client that does not mask.
    #[error("client frame without a mask (RFC 6455 §5.1)")]
    Unmasked,
    /// A server that masks.
    #[error("server frame with a mask (RFC 6455 §5.1)")]
    Masked,
    /// A continuation where no message has begun.
    #[error("continuation frame outside a message (RFC 6455 §5.4)")]
    ContinuationOutsideMessage,
    /// A text or binary frame where a continuation is due.
    #[error("new message inside a fragmented message (RFC 6455 §5.4)")]
    MessageInsideMessage,
    /// A ping, pong or close in pieces.
    #[error("fragmented control frame (RFC 6455 §5.5)")]
    ControlFragmented,
    /// A ping, pong or close longer than 125 bytes.
    #[error("control frame longer than 125 bytes (RFC 6455 §5.5)")]
    ControlTooLong,
    /// A message longer than the limit.
    #[error("message of at least {len} bytes exceeds the limit of {max}")]
    TooBig {
        /// Bytes announced or inflated so far.
        len: u64,
        /// [`ConnectionConfig::message_bytes_max`](crate::ConnectionConfig::message_bytes_max).
        max: u64,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8 (RFC 6455 §8.1)")]
    TextNotUtf8,
    /// A close frame with half a code.
    #[error("close frame of one byte (RFC 6455 §5.5.1)")]
    CloseCodeCut,
    /// A close code that must not be sent.
    #[error("close code {code} must not be sent (RFC 6455 §7.4)")]
    CloseCodeIllegal {
        /// The code as received.
        code: u16,
    },
    /// A close reason that is not UTF-8.
    #[error("close reason is not UTF-8 (RFC 6455 §5.5.1)")]
    CloseReasonNotUtf8,
    /// Compressed data that no compressor makes.
    #[error("compressed data is corrupt (RFC 7692 §7.2.2)")]
    Deflate,
}

impl FrameError {
    /// The code with which the connection is closed (RFC 6455 §7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::TooBig { .. } => CloseCode::TOO_BIG,
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 | Self::Deflate => CloseCode::INVALID_DATA,
            Self::ReservedBits { .. }
            | Self::ReservedOpcode { .. }
            | Self::CompressionBitMisplaced
            | Self::LengthNotMinimal { .. }
            | Self::LengthTooLarge { .. }
            | Self::Unmasked
            | Self::Masked
            | Self::ContinuationOutsideMessage
            | Self::MessageInsideMessage
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::CloseCodeCut
            | Self::CloseCodeIllegal { .. } => CloseCode::PROTOCOL,
        }
    }
}
