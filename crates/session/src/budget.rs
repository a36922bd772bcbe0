//! How much a session may say.

use std::time::{Duration, Instant};

use nuncio_model::{Command, RateBucket, RateLimits};

/// Two buckets and a count of refusals: 40 bytes in every session.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    messages: RateBucket,
    control: RateBucket,
    refusals: u32,
}

/// Which bucket a message is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Pings: nothing, they keep the connection alive.
    Free,
    /// Joins, leaves and acknowledgements.
    Control,
    /// Everything else.
    Message,
}

impl Cost {
    pub(crate) const fn of(command: &Command) -> Self {
        match command {
            Command::Join(_) | Command::Leave(_) => Self::Control,
            Command::Publish(_)
            | Command::Private { .. }
            | Command::Typing { .. }
            | Command::Presence { .. }
            | Command::History(_)
            | Command::Call { .. }
            | Command::Refresh { .. } => Self::Message,
        }
    }
}

/// A message that is not affordable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broke {
    /// It is refused; the next one may be sent after this pause.
    Wait(Duration),
    /// The client goes on and on: it is to be disconnected.
    Ignorant,
}

impl Budget {
    pub(crate) fn charge(
        &mut self,
        cost: Cost,
        now: Instant,
        limits: &RateLimits,
    ) -> Result<(), Broke> {
        let taken = match cost {
            Cost::Free => return Ok(()),
            Cost::Message => self.messages.take(now, limits.per_second, limits.burst),
            Cost::Control => {
                let factor = limits.control_factor.max(1);
                self.control.take(
                    now,
                    limits.per_second.saturating_mul(factor),
                    limits.burst.saturating_mul(factor),
                )
            }
        };
        taken.map_err(|wait| self.refused(wait, limits))
    }

    /// A message was not only affordable but done: the refusals before it were no more than haste.
    pub(crate) const fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// Counts a refusal, also one of the user's budget.
    pub(crate) const fn refused(&mut self, wait: Duration, limits: &RateLimits) -> Broke {
        self.refusals += 1;
        if self.refusals > limits.refusals_max {
            Broke::Ignorant
        } else {
            Broke::Wait(wait)
        }
    }
}
