//! Whether a backend is asked at all, after it failed.

use std::time::{Duration, Instant};

/// Stops asking a backend that fails, and tries it out again after a pause.
///
/// ```text
///          failures in a row                 pause over: one question
/// Closed ────────────────────> Open ────────────────────────────────> Trying
///    ^                          ^ └──────────────── failed ──────────────┤
///    └──────────────────────────┼─────────────────── answered ───────────┘
///                               └── until its pause is over, or an answer comes
/// ```
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    pause: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// So many failures in a row.
    Closed { failures: u32 },
    /// Nobody asks until then.
    Open { until: Instant },
    /// One asks. If nothing is heard of it, the next one may then.
    Trying { until: Instant },
}

/// How it stands, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Closed = 0,
    Trying = 1,
    Open = 2,
}

impl Breaker {
    pub(crate) const fn new(failures_max: u32, pause: Duration) -> Self {
        Self {
            failures_max,
            pause,
            state: State::Closed { failures: 0 },
        }
    }

    /// Whether a question may be asked at `now`.
    ///
    /// # Errors
    /// How long it is too early.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } | State::Trying { until } if now < until => Err(until - now),
            State::Open { .. } | State::Trying { .. } => {
                self.state = State::Trying {
                    until: now + self.pause,
                };
                Ok(())
            }
        }
    }

    /// The backend answered, whatever it said.
    pub(crate) const fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// It did not answer, or said that it cannot.
    pub(crate) fn failed(&mut self, now: Instant) {
        let failures = match self.state {
            State::Closed { failures } => failures + 1,
            State::Trying { .. } => self.failures_max,
            // Somebody who asked before it opened.
            State::Open { .. } => return,
        };
        self.state = if failures >= self.failures_max {
            State::Open {
                until: now + self.pause,
            }
        } else {
            State::Closed { failures }
        };
    }

    pub(crate) const fn standing(&self) -> Standing {
        match self.state {
            State::Closed { .. } => Standing::Closed,
            State::Open { .. } => Standing::Open,
            State::Trying { .. } => Standing::Trying,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[test]
    fn it_opens_after_failures_in_a_row_and_says_for_how_long() {
        let (mut breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        breaker.failed(now);
        breaker.failed(now);
        breaker.answered();
        breaker.failed(now);
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Ok(()));

        breaker.failed(now);

        assert_eq!(breaker.admit(now + PAUSE / 5), Err(PAUSE * 4 / 5));
        assert_eq!(breaker.standing(), Standing::Open);
    }

    #[test]
    fn after_the_pause_one_question_tries_the_backend_out() {
        let (mut breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        breaker.failed(now);

        assert_eq!(breaker.admit(now + PAUSE), Ok(()));
        assert_eq!(breaker.admit(now + PAUSE), Err(PAUSE));
        breaker.answered();
        assert_eq!(breaker.admit(now + PAUSE), Ok(()));
        assert_eq!(breaker.standing(), Standing::Closed);
    }

    #[test]
    fn a_failed_trial_opens_it_anew_for_a_whole_pause() {
        let (mut breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        (0..3).for_each(|_| breaker.failed(now));
        assert_eq!(breaker.admit(now + PAUSE), Ok(()));

        breaker.failed(now + PAUSE);

        assert_eq!(breaker.admit(now + PAUSE), Err(PAUSE));
        assert_eq!(breaker.admit(now + 2 * PAUSE), Ok(()));
    }

    #[test]
    fn a_trial_of_which_nothing_is_heard_does_not_keep_it_shut() {
        let (mut breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        breaker.failed(now);
        assert_eq!(breaker.admit(now + PAUSE), Ok(()));

        assert_eq!(breaker.admit(now + 2 * PAUSE), Ok(()));
    }

    #[test]
    fn late_failures_of_earlier_questions_do_not_lengthen_the_pause() {
        let (mut breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        breaker.failed(now);

        breaker.failed(now + PAUSE / 2);

        assert_eq!(breaker.admit(now + PAUSE), Ok(()));
    }
}
