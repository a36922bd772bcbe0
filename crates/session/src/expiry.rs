//! The end of a token on a live connection: a warning, then the close.

use std::time::{Duration, Instant};

use nuncio_model::Now;

/// How long before the end the client is warned (`protocol.md`, `auth:expiring`).
const WARNING: Duration = Duration::from_secs(60);

/// When a token ends; most have some end, but none need have.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// Seconds since the Unix epoch; 0 is never.
    exp: u64,
    next: Option<Instant>,
    warned: bool,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expires {
    /// The token ends at this time, in seconds since the Unix epoch.
    Soon(u64),
    /// It has ended.
    Now,
}

impl Expiry {
    pub(crate) fn new(exp: Option<u64>, now: Now) -> Self {
        let Some(exp) = exp else {
            return Self::default();
        };
        Self {
            exp,
            next: now
                .instant
                .checked_add(left(exp, now).saturating_sub(WARNING)),
            warned: false,
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) -> Option<Expires> {
        if now.instant < self.next? {
            return None;
        }
        if self.warned {
            self.next = None;
            return Some(Expires::Now);
        }
        self.warned = true;
        self.next = now.instant.checked_add(left(self.exp, now));
        Some(Expires::Soon(self.exp))
    }
}

/// How long a token has left. An end too far away for the clock is as good as none.
const fn left(exp: u64, now: Now) -> Duration {
    Duration::from_millis(exp.saturating_mul(1000).saturating_sub(now.unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_announced_60_seconds_before_its_end() {
        let start = now();
        let mut expiry = Expiry::new(Some(1_000_000 + 100), start);

        assert_eq!(
            expiry.handle_timeout(start.after(Duration::from_secs(39))),
            None
        );
        assert_eq!(
            expiry.handle_timeout(start.after(Duration::from_secs(40))),
            Some(Expires::Soon(1_000_100))
        );
        assert_eq!(
            expiry.handle_timeout(start.after(Duration::from_secs(99))),
            None
        );
        assert_eq!(
            expiry.handle_timeout(start.after(Duration::from_secs(100))),
            Some(Expires::Now)
        );
    }

    #[test]
    fn a_token_with_less_than_60_seconds_left_is_announced_at_once() {
        let mut expiry = Expiry::new(Some(1_000_005), now());

        assert_eq!(expiry.handle_timeout(now()), Some(Expires::Soon(1_000_005)));
    }

    #[test]
    fn a_token_without_an_end_never_expires() {
        assert_eq!(Expiry::new(None, now()).poll_timeout(), None);
    }

    #[test]
    fn a_token_until_the_end_of_time_does_not_expire_today() {
        let mut expiry = Expiry::new(Some(u64::MAX), now());

        assert_eq!(expiry.handle_timeout(now()), None);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to begin at"
    )]
    fn now() -> Now {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Now {
            instant: *START.get_or_init(Instant::now),
            unix_ms: 1_000_000_000,
        }
    }
}
