//! Heartbeats of one connection: the server pings; a client that stays silent for interval and timeout together is dead.

use std::time::{Duration, Instant};

/// Decides when to ping and when to give up on a silent client.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    phase: Phase,
    at: Instant,
}

/// `Waiting` is left by time, `Pinged` by any frame or by time. A frame while `Waiting` changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The next ping is due at `at`.
    Waiting,
    /// The client is dead at `at`, unless it says something.
    Pinged,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Ping,
    Dead,
}

impl Heartbeat {
    /// The first ping comes after `first`, which differs between clients so that their pings are spread over time.
    pub(crate) fn new(now: Instant, first: Duration) -> Self {
        Self {
            phase: Phase::Waiting,
            at: now + first,
        }
    }

    /// The instant at which [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub(crate) const fn poll_timeout(&self) -> Instant {
        self.at
    }

    /// The client said something: any frame is a sign of life.
    pub(crate) fn handle_frame(&mut self, interval: Duration, timeout: Duration) {
        if self.phase == Phase::Pinged {
            self.phase = Phase::Waiting;
            self.at = self.at - timeout + interval;
        }
    }

    /// Advances to `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant, timeout: Duration) -> Option<Beat> {
        if now < self.at {
            return None;
        }
        match self.phase {
            Phase::Waiting => {
                self.phase = Phase::Pinged;
                self.at = now + timeout;
                Some(Beat::Ping)
            }
            Phase::Pinged => Some(Beat::Dead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(20);

    #[test]
    fn a_client_that_answers_is_pinged_every_interval() {
        let start = some_instant();
        let mut heartbeat = Heartbeat::new(start, INTERVAL);

        for round in 1..=3 {
            let ping_at = start + INTERVAL * round;
            assert_eq!(heartbeat.poll_timeout(), ping_at);
            assert_eq!(heartbeat.handle_timeout(ping_at, TIMEOUT), Some(Beat::Ping));
            heartbeat.handle_frame(INTERVAL, TIMEOUT);
        }
    }

    #[test]
    fn a_client_without_any_frame_is_dead_after_interval_and_timeout() {
        let start = some_instant();
        let mut heartbeat = Heartbeat::new(start, INTERVAL);
        heartbeat.handle_timeout(start + INTERVAL, TIMEOUT);

        let dead_at = start + INTERVAL + TIMEOUT;
        assert_eq!(
            heartbeat.handle_timeout(dead_at - Duration::from_millis(1), TIMEOUT),
            None
        );
        assert_eq!(heartbeat.handle_timeout(dead_at, TIMEOUT), Some(Beat::Dead));
    }

    #[test]
    fn a_frame_before_the_ping_does_not_put_the_ping_off() {
        let start = some_instant();
        let mut heartbeat = Heartbeat::new(start, INTERVAL);

        heartbeat.handle_frame(INTERVAL, TIMEOUT);

        assert_eq!(heartbeat.poll_timeout(), start + INTERVAL);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to begin at"
    )]
    fn some_instant() -> Instant {
        Instant::now()
    }
}
