//! Pings that were typed, until they are answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Pings without an answer yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pings(VecDeque<(Bytes, Instant)>);

impl Pings {
    pub(super) fn push(&mut self, payload: Bytes, now: Instant) {
        self.0.push_back((payload, now));
    }

    /// How long the answer took; `None` for one that nobody typed. A pong answers the newest ping with its bytes, and with it
    /// those before (RFC 6455 §5.5.3).
    pub(super) fn answered(&mut self, payload: &Bytes, now: Instant) -> Option<Duration> {
        let place = self.0.iter().rposition(|(sent, _)| sent == payload)?;
        let (_, sent) = self.0.drain(..=place).next_back()?;
        Some(now.saturating_duration_since(sent))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The connection is lost, and the answers with it.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_answers_the_pings_up_to_the_one_with_its_bytes() {
        let (mut pings, begin) = (Pings::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        for (payload, second) in [("a", 0), ("b", 1), ("c", 2)] {
            pings.push(payload.into(), at(second));
        }

        assert_eq!(pings.answered(&"x".into(), at(3)), None);
        assert_eq!(
            pings.answered(&"b".into(), at(3)),
            Some(Duration::from_secs(2))
        );
        assert_eq!(pings.len(), 1);
    }
}
