//! When a silent client is pinged, and when it is given up.

use std::time::{Duration, Instant};

/// Pings a client after each interval in which it said nothing; one that then stays silent for the time-out is dead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    heard: Instant,
    pinged: Option<Instant>,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Ping,
    Dead,
}

impl Heartbeat {
    pub(super) const fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            heard: now,
            pinged: None,
        }
    }

    /// Anything that the client says is a sign of life.
    pub(super) const fn handle_frame(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match self.pinged {
            Some(pinged) => pinged + self.timeout,
            None => self.heard + self.interval,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Beat> {
        if now < self.poll_timeout() {
            return None;
        }
        if self.pinged.is_some() {
            return Some(Beat::Dead);
        }
        self.pinged = Some(now);
        Some(Beat::Ping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_client_that_says_nothing_is_pinged_and_then_dead() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, start);

        assert_eq!(heartbeat.handle_timeout(start + INTERVAL - TIMEOUT), None);
        assert_eq!(heartbeat.handle_timeout(start + INTERVAL), Some(Beat::Ping));
        assert_eq!(heartbeat.poll_timeout(), start + INTERVAL + TIMEOUT);
        assert_eq!(
            heartbeat.handle_timeout(start + INTERVAL + TIMEOUT),
            Some(Beat::Dead)
        );
    }

    #[test]
    fn any_frame_puts_the_next_ping_off() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, start);
        heartbeat.handle_timeout(start + INTERVAL);

        heartbeat.handle_frame(start + INTERVAL + TIMEOUT / 2);

        assert_eq!(heartbeat.handle_timeout(start + INTERVAL + TIMEOUT), None);
        assert_eq!(heartbeat.poll_timeout(), start + 2 * INTERVAL + TIMEOUT / 2);
    }
}
