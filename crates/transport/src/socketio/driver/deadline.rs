//! What time wants of a connection, and when it is over.

use std::time::{Duration, Instant};

use nuncio_model::Now;

use super::{Driver, End, Talk};
use crate::app::App;
use crate::socketio::link::Phase;

/// Deadlines further away than this are waited for in two steps, since far ones are rounded up.
const NEAR: Duration = Duration::from_secs(1);

impl<A: App> Driver<A> {
    /// What is over has nothing left to do but a closing handshake, until its deadline.
    pub(super) fn is_done(&self, now: Now) -> bool {
        self.end == End::Over
            && match self.link.as_ref().map(|link| link.phase) {
                Some(Phase::Closing(deadline) | Phase::Lingering(deadline)) => {
                    deadline <= now.instant
                }
                Some(Phase::Open | Phase::Done) | None => true,
            }
    }

    /// A client that has upgraded keeps nothing of its polls.
    pub(super) fn forget_polling(&mut self) {
        if self.link.is_some()
            && self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.is_empty())
        {
            self.polling = None;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let closing = match self.link.as_ref().map(|link| link.phase) {
            Some(Phase::Closing(deadline) | Phase::Lingering(deadline)) => Some(deadline),
            Some(Phase::Open | Phase::Done) | None => None,
        };
        let talk = match &self.talk {
            Talk::Session(session) => session.poll_timeout(),
            Talk::Echo => None,
        };
        let polling = self.polling.as_ref();
        let given_up = polling.and_then(|polling| polling.given_up_at);
        [closing, talk, given_up, self.engine.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn arm(&mut self, now: Now) {
        let Some(deadline) = self.poll_timeout() else {
            return;
        };
        let left = deadline.saturating_duration_since(now.instant);
        let at = if left > 2 * NEAR {
            deadline - NEAR
        } else {
            deadline
        };
        if self
            .armed
            .is_none_or(|armed| at < armed || armed <= now.instant)
        {
            self.shared.timers.arm(at, now.instant, &self.outbox);
            self.armed = Some(at);
        }
    }
}
