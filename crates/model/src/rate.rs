//! A token bucket in sixteen bytes.

use std::time::{Duration, Instant};

/// How fast something may happen: the generic cell rate algorithm (ITU-T I.371), which needs one instant instead of a counter and a clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateBucket {
    /// When the bucket will be full again.
    full_at: Option<Instant>,
}

impl RateBucket {
    /// Takes one token of a bucket of `burst` tokens that refills with `per_second`. `per_second` 0 never refuses.
    ///
    /// # Errors
    /// How long until the next token.
    pub fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> Result<(), Duration> {
        if per_second == 0 {
            return Ok(());
        }
        let token = Duration::from_secs(1) / per_second;
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        let capacity = token * burst.max(1);
        let after = full_at + token;
        let wait = after
            .saturating_duration_since(now)
            .saturating_sub(capacity);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full_at = Some(after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_sustained_rate() {
        let (mut bucket, start) = (RateBucket::default(), some_instant());

        assert_eq!(
            (0..30)
                .filter(|_| bucket.take(start, 10, 20).is_ok())
                .count(),
            20
        );
        assert_eq!(bucket.take(start, 10, 20), Err(Duration::from_millis(100)));

        let later = start + Duration::from_millis(500);
        assert_eq!(
            (0..30)
                .filter(|_| bucket.take(later, 10, 20).is_ok())
                .count(),
            5
        );
    }

    #[test]
    fn a_rate_of_zero_never_refuses() {
        let (mut bucket, start) = (RateBucket::default(), some_instant());

        assert!((0..1000).all(|_| bucket.take(start, 0, 1).is_ok()));
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to begin at"
    )]
    fn some_instant() -> Instant {
        Instant::now()
    }
}
