//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Counts failed attempts and answers how long to wait. Random numbers are arguments.
#[derive(Debug, Clone)]
pub struct Backoff {
    config: BackoffConfig,
    attempts: u32,
}

impl Backoff {
    /// Nothing has failed yet.
    pub const fn new(config: BackoffConfig) -> Self {
        Self {
            config,
            attempts: 0,
        }
    }

    /// The pause before the next attempt; `None` when there have been as many as allowed. `random` is uniform over `u64`.
    pub fn next_delay(&mut self, random: u64) -> Option<Duration> {
        if self
            .config
            .attempts_max
            .is_some_and(|max| self.attempts >= max)
        {
            return None;
        }
        let ceiling = self.ceiling();
        self.attempts += 1;
        Some(match self.config.jitter {
            Jitter::None => ceiling,
            Jitter::Full => part(ceiling, random),
            Jitter::Around { percent } => {
                let deviation = ceiling * percent.min(100) / 100;
                let longest = (ceiling + deviation).min(self.config.delay_max);
                let shortest = ceiling - deviation;
                shortest + part(longest.saturating_sub(shortest), random)
            }
        })
    }

    /// The bound of the next pause: the first one, doubled for each failed attempt. Only [`Jitter::Around`] goes beyond it.
    pub fn ceiling(&self) -> Duration {
        let doubled = 1u32
            .checked_shl(self.attempts)
            .and_then(|factor| self.config.delay_first.checked_mul(factor));
        doubled.map_or(self.config.delay_max, |delay| {
            delay.min(self.config.delay_max)
        })
    }

    /// Begins anew, once a connection has lasted.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Attempts since the last [`reset`](Self::reset).
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// A uniformly random part of a duration, in whole microseconds.
fn part(whole: Duration, random: u64) -> Duration {
    let micros = whole.as_micros().saturating_mul(u128::from(random)) >> 64;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The pause after the first failure. Default 1 s.
    pub delay_first: Duration,
    /// No pause is longer. Default 30 s: who waits longer is thought to be broken.
    pub delay_max: Duration,
    /// Attempts without success before giving up. Default `None`: never.
    pub attempts_max: Option<u32>,
    /// Default [`Jitter::Full`], so that the clients of a server that comes back do not all come at once.
    pub jitter: Jitter,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            delay_first: Duration::from_secs(1),
            delay_max: Duration::from_secs(30),
            attempts_max: None,
            jitter: Jitter::Full,
        }
    }
}

/// The random part of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// The pause is its bound.
    None,
    /// The pause is anything from nothing to its bound, all equally likely.
    Full,
    /// The pause is anything from so much below its bound to so much above it, but not above `delay_max`, all equally likely:
    /// with 50 what Socket.IO calls a `randomizationFactor` of 0.5.
    Around {
        /// How much, at most 100.
        percent: u32,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_from_one_second_to_thirty() {
        let mut backoff = Backoff::new(BackoffConfig {
            jitter: Jitter::None,
            ..BackoffConfig::default()
        });

        let pauses: Vec<_> = (0..7)
            .map(|_| backoff.next_delay(0).unwrap().as_secs())
            .collect();

        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn full_jitter_spreads_over_the_whole_pause() {
        let pause = |random| {
            Backoff::new(BackoffConfig::default())
                .next_delay(random)
                .unwrap()
        };

        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!(pause(1 << 63), Duration::from_millis(500));
        assert_eq!(pause(u64::MAX), Duration::from_micros(999_999));
    }

    #[test]
    fn jitter_around_a_pause_is_spread_on_both_sides_and_never_beyond_the_longest() {
        let pauses = |random| {
            let mut backoff = Backoff::new(BackoffConfig {
                delay_max: Duration::from_secs(5),
                jitter: Jitter::Around { percent: 50 },
                ..BackoffConfig::default()
            });
            [0; 4].map(|_| backoff.next_delay(random).unwrap().as_millis())
        };

        assert_eq!(pauses(0), [500, 1000, 2000, 2500]);
        assert_eq!(pauses(u64::MAX), [1499, 2999, 4999, 4999]);
    }

    #[test]
    fn it_gives_up_after_the_allowed_attempts_and_begins_anew_after_a_reset() {
        let mut backoff = Backoff::new(BackoffConfig {
            attempts_max: Some(2),
            ..BackoffConfig::default()
        });

        assert!(backoff.next_delay(1).is_some());
        assert!(backoff.next_delay(1).is_some());
        assert_eq!(backoff.next_delay(1), None);
        backoff.reset();
        assert!(backoff.next_delay(1).is_some());
    }

    proptest! {
        #[test]
        fn no_pause_exceeds_its_ceiling(attempts in 0u32..200, random: u64) {
            let mut backoff = Backoff::new(BackoffConfig::default());
            for _ in 0..attempts {
                backoff.next_delay(random);
            }

            let ceiling = backoff.ceiling();

            prop_assert!(ceiling <= Duration::from_secs(30));
            prop_assert!(backoff.next_delay(random).unwrap() <= ceiling);
        }
    }
}
