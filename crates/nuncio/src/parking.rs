//! Sessions whose connection was lost, kept for their clients to return.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nuncio_hub::Notice;
use nuncio_model::{Namespace, Refusal, Request, ResumeToken, RoomName, SocketId, UserId};
use nuncio_transport::{Outbox, Standing};
use parking_lot::Mutex;

/// A session without a connection: plain data, no task and no outbox.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) token: ResumeToken,
    pub(crate) user: UserId,
    pub(crate) namespace: Namespace,
    pub(crate) standing: Standing,
    pub(crate) rooms: Vec<RoomName>,
}

/// A new connection that waits until the older one has given the session up.
pub(crate) struct Waiter {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) call: u32,
    /// What it asks again once the session is given up.
    pub(crate) request: Request,
    pub(crate) until: Instant,
}

impl Waiter {
    /// Has it ask again.
    pub(crate) fn retry(self) {
        let Self {
            outbox,
            call,
            request,
            ..
        } = self;
        outbox.notify(Notice::Retry { call, request });
    }

    /// Tells it why it waits no longer.
    pub(crate) fn refuse(self, refusal: Refusal) {
        self.outbox.notify(Notice::Completed {
            call: self.call,
            result: Err(refusal),
        });
    }
}

/// A bounded number of parked sessions; each has a deadline, and the oldest go first when there are too many.
pub(crate) struct Parking {
    lots: Mutex<Lots>,
    sessions_max: usize,
    ttl: Duration,
}

#[derive(Default)]
struct Lots {
    parked: HashMap<SocketId, (Instant, Parked)>,
    /// In the order of their ends; entries of sessions that were taken are passed over.
    order: VecDeque<(Instant, SocketId)>,
    waiters: HashMap<SocketId, Waiter>,
    /// Sessions on their way from their connection to the parking, for a moment.
    coming: HashMap<SocketId, ResumeToken>,
}

impl Parking {
    pub(crate) fn new(sessions_max: usize, ttl: Duration) -> Self {
        Self {
            lots: Mutex::default(),
            sessions_max,
            ttl,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lots.lock().parked.len()
    }

    /// A session is about to be parked: who looks for it meanwhile, waits.
    pub(crate) fn expect(&self, token: ResumeToken) {
        self.lots.lock().coming.insert(token.socket, token);
    }

    /// Parks a session, and returns whoever came for it.
    pub(crate) fn park(&self, parked: Parked, now: Instant) -> Option<Waiter> {
        let (id, until) = (parked.token.socket, now + self.ttl);
        let mut lots = self.lots.lock();
        lots.coming.remove(&id);
        lots.parked.insert(id, (until, parked));
        lots.order.push_back((until, id));
        while lots.parked.len() > self.sessions_max {
            lots.drop_oldest();
        }
        lots.waiters.remove(&id)
    }

    /// Waits for a session that is about to be parked. `false` when none is, or another than the token's.
    pub(crate) fn wait_if_coming(&self, token: &ResumeToken, waiter: Waiter) -> bool {
        let mut lots = self.lots.lock();
        let coming = lots.coming.get(&token.socket);
        let is_coming = coming.is_some_and(|coming| coming.matches(token));
        if is_coming {
            lots.waiters.insert(token.socket, waiter);
        }
        is_coming
    }

    /// Gives a parked session to whoever knows its secret.
    pub(crate) fn take(&self, token: &ResumeToken, now: Instant) -> Option<Parked> {
        let mut lots = self.lots.lock();
        let (until, parked) = lots.parked.get(&token.socket)?;
        if *until <= now || !parked.token.matches(token) {
            return None;
        }
        lots.parked.remove(&token.socket).map(|(_, parked)| parked)
    }

    /// Whether a session is parked.
    pub(crate) fn has(&self, session: &SocketId) -> bool {
        self.lots.lock().parked.contains_key(session)
    }

    /// Looks at a session that is kept.
    pub(crate) fn peek<T>(&self, session: &SocketId, look: impl FnOnce(&Parked) -> T) -> Option<T> {
        let lots = self.lots.lock();
        lots.parked.get(session).map(|(_, parked)| look(parked))
    }

    /// Drops the sessions that fit: nobody gets them back.
    pub(crate) fn end(&self, ends: impl Fn(&Parked) -> bool) -> usize {
        let mut lots = self.lots.lock();
        let before = lots.parked.len();
        lots.parked.retain(|_, (_, parked)| !ends(parked));
        before - lots.parked.len()
    }

    /// Changes the sessions that are kept. O(sessions).
    pub(crate) fn change(&self, mut change: impl FnMut(&mut Parked)) {
        let mut lots = self.lots.lock();
        lots.parked
            .values_mut()
            .for_each(|(_, parked)| change(parked));
    }

    /// Remembers who waits for a session. The newest wins: whoever waited before is returned, and gets nothing.
    pub(crate) fn wait(&self, session: SocketId, waiter: Waiter) -> Option<Waiter> {
        self.lots.lock().waiters.insert(session, waiter)
    }

    /// Whoever waits for a session that has just been given up.
    pub(crate) fn waiter(&self, session: SocketId) -> Option<Waiter> {
        self.lots.lock().waiters.remove(&session)
    }

    /// Drops what is too old; returns those who waited in vain.
    pub(crate) fn handle_timeout(&self, now: Instant) -> Vec<Waiter> {
        let mut lots = self.lots.lock();
        while lots.order.front().is_some_and(|(until, _)| *until <= now) {
            lots.drop_oldest();
        }
        lots.waiters
            .extract_if(|_, waiter| waiter.until <= now)
            .map(|(_, waiter)| waiter)
            .collect()
    }
}

impl Lots {
    fn drop_oldest(&mut self) {
        let Some((until, id)) = self.order.pop_front() else {
            return;
        };
        // The same session may have been taken and parked again since.
        if self
            .parked
            .get(&id)
            .is_some_and(|(parked_until, _)| *parked_until == until)
        {
            self.parked.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nuncio_model::Grants;

    #[test]
    fn a_parked_session_is_given_to_its_secret_once() {
        let (parking, now) = (Parking::new(10, Duration::from_secs(30)), Instant::now());
        parking.park(parked(1), now);

        assert!(
            parking
                .take(
                    &ResumeToken {
                        secret: [9; 16],
                        ..token(1)
                    },
                    now
                )
                .is_none()
        );
        assert!(parking.take(&token(1), now).is_some());
        assert!(parking.take(&token(1), now).is_none());
    }

    #[test]
    fn a_parked_session_ends_after_its_time() {
        let (parking, now) = (Parking::new(10, Duration::from_secs(30)), Instant::now());
        parking.park(parked(1), now);

        assert!(
            parking
                .take(&token(1), now + Duration::from_secs(30))
                .is_none()
        );
        parking.handle_timeout(now + Duration::from_secs(30));
        assert_eq!(parking.len(), 0);
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let (parking, now) = (Parking::new(2, Duration::from_secs(30)), Instant::now());
        for id in 1..=3 {
            parking.park(parked(id), now + Duration::from_secs(u64::from(id)));
        }

        assert!(parking.take(&token(1), now).is_none());
        assert!(parking.take(&token(3), now).is_some());
    }

    #[test]
    fn who_looks_for_a_session_on_its_way_to_the_parking_waits_for_it() {
        let (parking, now) = (Parking::new(10, Duration::from_secs(30)), Instant::now());
        let stranger = ResumeToken {
            secret: [9; 16],
            ..token(1)
        };
        parking.expect(token(1));

        assert!(parking.take(&token(1), now).is_none(), "not there yet");
        assert!(!parking.wait_if_coming(&stranger, waiter(1, now)));
        assert!(parking.wait_if_coming(&token(1), waiter(2, now)));

        let came = parking.park(parked(1), now).unwrap();
        assert_eq!(came.call, 2);
        assert!(parking.take(&token(1), now).is_some());
        assert!(!parking.wait_if_coming(&token(1), waiter(3, now)));
    }

    fn waiter(call: u32, now: Instant) -> Waiter {
        Waiter {
            outbox: Arc::new(Outbox::new(nuncio_transport::Wire::Woken, 0)),
            call,
            request: Request::Proceed,
            until: now,
        }
    }

    fn token(id: u8) -> ResumeToken {
        ResumeToken {
            socket: SocketId::from_random([id; 15]),
            secret: [id; 16],
        }
    }

    fn parked(id: u8) -> Parked {
        Parked {
            token: token(id),
            user: UserId::parse("ann").unwrap(),
            namespace: Namespace::default(),
            standing: Standing {
                grants: Arc::new(Grants::default()),
                exp: None,
                iat: None,
                token_id: None,
            },
            rooms: Vec::new(),
        }
    }
}
