//! Close frames (RFC 6455 §5.5.1, §7.4).

use std::borrow::Cow;
use std::fmt;

use crate::FrameError;

/// A status code that may stand in a close frame (RFC 6455 §7.4 and the IANA registry "WebSocket Close Code Number").
///
/// 1005, 1006 and 1015 are words for what an endpoint saw and never on the wire, so they have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke a rule of the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: a kind of data that this endpoint does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: data that does not fit the kind of message, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a rule of the application was broken.
    pub const POLICY: Self = Self(1008);
    /// 1009: the message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition in the server.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overloaded, come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: the gateway got an invalid answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code if it may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest close reason in bytes: 125 bytes of payload less the code (RFC 6455 §5.5.1).
pub(crate) const REASON_BYTES_MAX: usize = 123;

/// The longest head of `reason` that fits into a close frame and ends at a character's end.
pub(crate) fn fitting_reason(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

/// Reads the payload of a close frame: nothing, or a code and a reason.
pub(crate) fn parse(
    payload: Cow<'_, [u8]>,
) -> Result<(Option<CloseCode>, Cow<'_, str>), FrameError> {
    let (high, low) = match *payload {
        [] => return Ok((None, Cow::Borrowed(""))),
        [_] => return Err(FrameError::CloseCodeCut),
        [high, low, ..] => (high, low),
    };
    let code = u16::from_be_bytes([high, low]);
    let code = CloseCode::new(code).ok_or(FrameError::CloseCodeIllegal { code })?;
    Ok((Some(code), reason(payload)?))
}

fn reason(payload: Cow<'_, [u8]>) -> Result<Cow<'_, str>, FrameError> {
    match payload {
        Cow::Borrowed(payload) => Ok(Cow::Borrowed(
            simdutf8::basic::from_utf8(&payload[2..])
                .map_err(|_| FrameError::CloseReasonNotUtf8)?,
        )),
        Cow::Owned(mut payload) => {
            payload.drain(..2);
            Ok(Cow::Owned(
                String::from_utf8(payload).map_err(|_| FrameError::CloseReasonNotUtf8)?,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §7.4.1, §7.4.2 and the IANA registry.
    #[test]
    fn every_code_is_legal_or_illegal_as_the_registry_says() {
        let legal: Vec<u16> = (0..=u16::MAX)
            .filter(|code| CloseCode::new(*code).is_some())
            .collect();

        let expected: Vec<u16> = (1000..=1003)
            .chain(1007..=1014)
            .chain(3000..=4999)
            .collect();
        assert_eq!(legal, expected);
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let reason = format!("{}é", "x".repeat(122));

        assert_eq!(fitting_reason(&reason), "x".repeat(122));
        assert_eq!(fitting_reason("short"), "short");
    }
}
