//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double from one failure to the next, up to a bound; each is shortened by chance to between a half and the whole, so that many who failed
/// together do not come back together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// Between two attempts at a question, whose asker waits.
    pub(crate) const QUESTION: Self = Self {
        first: Duration::from_millis(100),
        max: Duration::from_secs(1),
    };
    /// Between two attempts to deliver events, which nobody waits for.
    pub(crate) const EVENTS: Self = Self {
        first: Duration::from_millis(200),
        max: Duration::from_secs(10),
    };

    /// The pause after so many failures in a row, from 1. `chance` is any number.
    pub(crate) fn pause(self, failures: u32, chance: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.first.saturating_mul(doubled).min(self.max);
        whole / 2 + whole.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound() {
        let whole = |failures| Backoff::EVENTS.pause(failures, u32::MAX);

        let pauses: Vec<_> = [1, 2, 3, 6, 7, 1000].map(whole).into();

        assert_eq!(
            pauses,
            [200, 400, 800, 6_400, 10_000, 10_000].map(Duration::from_millis)
        );
    }

    #[test]
    fn chance_takes_at_most_half_of_a_pause() {
        for chance in [0, 1, u32::MAX / 3, u32::MAX] {
            let pause = Backoff::QUESTION.pause(1, chance);

            assert!(
                (Duration::from_millis(50)..=Duration::from_millis(100)).contains(&pause),
                "{pause:?}"
            );
        }
    }
}
