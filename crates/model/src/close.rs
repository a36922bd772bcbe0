//! Close codes, and what a client is to do after each.

use std::fmt;

/// A WebSocket close code (RFC 6455 §7.4 and `protocol.md`, "Close codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The peer goes away: a tab closes.
    pub const GOING_AWAY: Self = Self(1001);
    /// A frame broke RFC 6455.
    pub const PROTOCOL: Self = Self(1002);
    /// A kind of data that is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Reported, never sent: a close frame without a code.
    pub const NO_STATUS: Self = Self(1005);
    /// Reported, never sent: the connection broke without a close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// Text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// Authentication, origin, or a client that ignores the rate limit.
    pub const POLICY: Self = Self(1008);
    /// A message beyond the limit; the reason names it.
    pub const TOO_BIG: Self = Self(1009);
    /// A fault of the server.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts.
    pub const RESTART: Self = Self(1012);
    /// A slow consumer, or the server is full.
    pub const TRY_AGAIN: Self = Self(1013);
    /// A newer connection took the session over.
    pub const RESUMED_ELSEWHERE: Self = Self(4001);
    /// The token ended and was not refreshed.
    pub const TOKEN_EXPIRED: Self = Self(4003);
    /// The token or the user was revoked.
    pub const REVOKED: Self = Self(4004);

    /// What a client is to do after this code.
    pub const fn retry(self) -> RetryRule {
        match self.0 {
            1000 | 4001 | 4004 => RetryRule::Never,
            1008 | 4003 => RetryRule::NewToken,
            1012 | 1013 => RetryRule::Announced,
            4000..=4099 => RetryRule::Never,
            4100..=4999 => RetryRule::Application,
            _ => RetryRule::Backoff,
        }
    }

    /// Whether the session may be resumed after a connection ended with this code.
    ///
    /// A clean end (1000, 1001 of a closing tab, 1005), a fault against policy and a takeover end it; a loss, a restart and a slow consumer do not.
    pub const fn resumable(self) -> bool {
        matches!(
            self.0,
            1002 | 1003 | 1006 | 1007 | 1009 | 1011 | 1012 | 1013
        )
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a client may connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRule {
    /// Not by itself.
    Never,
    /// With exponential backoff.
    Backoff,
    /// After the announced delay, plus jitter.
    Announced,
    /// Once it has a new token.
    NewToken,
    /// As the application says.
    Application,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_not_retried_and_a_restart_waits_as_announced() {
        assert_eq!(CloseCode::RESUMED_ELSEWHERE.retry(), RetryRule::Never);
        assert_eq!(CloseCode::RESTART.retry(), RetryRule::Announced);
        assert_eq!(CloseCode::TOKEN_EXPIRED.retry(), RetryRule::NewToken);
        assert_eq!(CloseCode::ABNORMAL.retry(), RetryRule::Backoff);
    }

    #[test]
    fn a_clean_end_ends_the_session_and_a_loss_does_not() {
        assert!(!CloseCode::NORMAL.resumable());
        assert!(!CloseCode::POLICY.resumable());
        assert!(CloseCode::ABNORMAL.resumable());
        assert!(CloseCode::RESTART.resumable());
    }
}
