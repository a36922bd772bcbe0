//! What the client is given, by whatever can reach it.

use nuncio_model::{CloseCode, ErrorCode, Now, Refusal};
use nuncio_protocol::stream;

use super::super::kept::BYTES_MAX;
use super::super::reply::Reply;
use super::{Carrier, Driver, Opening, Phase};
use crate::app::{App, ClosedBy};

/// Bytes that a stream is given at once.
const PIECE: usize = 16 * 1024;

impl<A: App> Driver<A> {
    pub(super) fn carry(&mut self, now: Now) {
        if let Phase::Closing(at) = self.phase
            && at <= now.instant
        {
            self.phase = Phase::Done;
        }
        match &self.carrier {
            Carrier::Nothing(lost_at) if self.phase == Phase::Open && *lost_at <= now.instant => {
                self.lose("no poll in time", now);
            }
            Carrier::Nothing(_) => {}
            Carrier::Opening(_) => self.carry_opening(now),
            Carrier::Poll(..) => self.carry_poll(now),
            Carrier::Stream(_) => self.carry_stream(),
        }
    }

    /// Answers the request that opened the session, once it is decided who the client is.
    fn carry_opening(&mut self, now: Now) {
        let is_deciding = self.sending.is_some() || self.session.is_entering();
        if self.client.is_some() && is_deciding {
            return;
        }
        let lost_at = now.instant + self.endpoint.options.silence;
        let Carrier::Opening(opening) =
            std::mem::replace(&mut self.carrier, Carrier::Nothing(lost_at))
        else {
            return;
        };
        let Opening {
            answer,
            id: _,
            refused,
        } = *opening;
        if self.client.is_some() && self.session.is_open() {
            self.kept.fill(&self.outbox, BYTES_MAX);
            let _ = answer.send(self.batch());
            return;
        }
        let _ = answer.send(match refused {
            Some(reply) => reply,
            None => Reply::refused(&Refusal::new(
                ErrorCode::NotAuthenticated,
                "Not authenticated",
            )),
        });
        self.end(
            CloseCode::POLICY,
            "not let in".into(),
            ClosedBy::Server,
            now,
        );
        self.phase = Phase::Done;
    }

    fn batch(&self) -> Reply {
        Reply::Batch(self.kept.newest(), self.kept.texts())
    }

    fn carry_poll(&mut self, now: Now) {
        if self.kept.is_empty() {
            self.kept.fill(&self.outbox, BYTES_MAX);
        }
        let Carrier::Poll(_, _, until) = &self.carrier else {
            return;
        };
        let reply = if !self.kept.is_empty() {
            self.batch()
        } else if self.phase != Phase::Open {
            // It has everything, and acknowledged it.
            self.phase = Phase::Done;
            Reply::gone()
        } else if *until <= now.instant {
            self.batch()
        } else {
            return;
        };
        let lost_at = now.instant + self.endpoint.options.silence;
        if let Carrier::Poll(_, answer, _) =
            std::mem::replace(&mut self.carrier, Carrier::Nothing(lost_at))
        {
            let _ = answer.send(reply);
        }
    }

    fn carry_stream(&mut self) {
        let Carrier::Stream(pipe) = &self.carrier else {
            return;
        };
        while pipe.has_room() {
            let newest = self.kept.newest();
            self.kept.fill(&self.outbox, PIECE);
            if self.kept.newest() == newest {
                break;
            }
            for (number, item) in self.kept.after(newest) {
                pipe.push([stream::id(number), item.event().clone()]);
            }
            self.kept.trim();
        }
        if self.phase != Phase::Open && self.outbox.is_drained() {
            pipe.finish();
            self.phase = Phase::Done;
        }
    }
}
