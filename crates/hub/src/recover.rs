//! Sessions whose state can be recovered: how they begin, and how a client gets its own back.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_model::{
    ErrorCode, Missed, Namespace, Now, Offset, Refusal, ResumeToken, RoomName, SocketId, UserId,
};
use parking_lot::Mutex;

use crate::broker::{Attached, RoomKey, Since};
use crate::domain::{Claim, Claimant, Record, TokenMark};
use crate::node::{End, Node};
use crate::notice::Notice;
use crate::outbox::Sink;
use crate::socket::Socket;

/// A session that was given to a new connection, which is not in it yet: [`Node::recover`] takes it there.
#[derive(Debug, Clone)]
pub struct Claimed(Claim);

/// What a client gets back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What the application keeps with the session.
    pub data: Option<Bytes>,
    /// What was sent to the client and has not arrived, in order.
    pub missed: Vec<Missed>,
}

/// Most bytes that an application may keep with a session: so many times the sessions are the worst case.
const DATA_BYTES_MAX: usize = 16 * 1024;

impl<S: Sink> Node<S> {
    /// Whether the clients of a namespace recover their connection state.
    pub fn recovers(&self, namespace: &Namespace) -> bool {
        self.rooms.domain_of(namespace).is_some()
    }

    /// Whether a session has this id that may be recovered.
    pub fn has_record(&self, socket: &SocketId) -> bool {
        self.rooms
            .order()
            .is_some_and(|domain| domain.has_record(socket))
    }

    /// Takes a new socket in, as [`connect`](Self::connect) does, and notes what its client needs to get its session back: everything said from here on.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_recorded(
        &self,
        socket: &Arc<Socket<S>>,
        token: TokenMark,
    ) -> Result<(), Refusal> {
        let order = self.rooms.settled_domain(&socket.namespace);
        self.register(socket)?;
        if let Some(mut order) = order {
            let record = Record {
                secret: socket.secret,
                namespace: socket.namespace.clone(),
                user: socket.user.clone(),
                token,
                start: order.state.last,
                known_from: 0,
                spans: Vec::new(),
                data: None,
            };
            order.state.begin(socket.id, record);
            order.domain.keep(&order.state, socket.id);
        }
        Ok(())
    }

    /// Keeps something with a session, for the application: it comes back with it. `None` keeps nothing. Without effect where nothing is recovered.
    ///
    /// # Errors
    /// `INVALID_MESSAGE` for more than 16 KiB.
    pub fn set_data(&self, socket: &Socket<S>, data: Option<Bytes>) -> Result<(), Refusal> {
        if let Some(len) = data
            .as_ref()
            .map(Bytes::len)
            .filter(|len| *len > DATA_BYTES_MAX)
        {
            return Err(Refusal::invalid(format!(
                "data of {len} bytes: a session may have {DATA_BYTES_MAX}; keep more of it elsewhere, by the user's id"
            )));
        }
        if let Some(mut order) = self.rooms.settled_domain(&socket.namespace) {
            order.change(socket.id, |state| {
                if let Some(kept) = state.records.get_mut(&socket.id) {
                    kept.record.data = data;
                }
            });
        }
        Ok(())
    }

    /// The connection that still has a session which [`claim`](Self::claim) would take from it: what its client sent last may be its goodbye, so who has
    /// the time lets it read that first.
    pub fn holder(
        &self,
        namespace: &Namespace,
        user: &UserId,
        pid: &ResumeToken,
        now: Now,
    ) -> Option<Arc<Socket<S>>> {
        let domain = self.rooms.domain_of(namespace)?;
        let claimant = Claimant {
            pid,
            namespace,
            user,
            offset: None,
        };
        let ttl = domain.config().lost_ttl;
        let knows = domain.lock().knows(&claimant, now.instant, ttl);
        knows.then(|| self.socket(&pid.socket))?
    }

    /// Gives a session to a new connection of its client; a connection that still has it is closed. `None` when there is no such session of this user in
    /// this namespace, when its time is over, or when something is gone that the client may have missed: it is a new client then.
    ///
    /// `offset` is the last message that the client saw; without one it saw none, and one that was never given counts as none. `stands` says whether the
    /// token that the session stood on is still believed.
    pub fn claim(
        &self,
        namespace: &Namespace,
        user: &UserId,
        pid: &ResumeToken,
        offset: Option<Offset>,
        stands: impl Fn(&TokenMark) -> bool,
        now: Now,
    ) -> Option<Claimed> {
        let domain = self.rooms.domain_of(namespace)?;
        let claimant = Claimant {
            pid,
            namespace,
            user,
            offset,
        };
        let config = domain.config();
        let token = {
            let state = domain.lock();
            if !state.knows(&claimant, now.instant, config.lost_ttl) {
                return None;
            }
            state.token_of(&pid.socket).cloned()?
        };
        if let Some(live) = self.socket(&pid.socket) {
            self.disconnect(&live, End::Lost, now);
            live.outbox.notify(Notice::TakenOver);
        }
        let mut state = domain.lock();
        let claim = stands(&token)
            .then(|| state.claim(&claimant, config.silence_max))
            .flatten();
        if claim.is_none() {
            state.forget(&pid.socket);
            domain.keep(&state, pid.socket);
        }
        claim.map(Claimed)
    }

    /// Takes a socket into the session that it claimed: into the rooms that it was in and `allows` says yes to, and gives what it missed. `done` is called
    /// once, perhaps before this returns, under the lock of a room's log.
    ///
    /// As with [`join`](Self::join), the outbox is held when this succeeds, until the caller releases it.
    ///
    /// # Errors (to `done`)
    /// `UNAVAILABLE` when a room cannot be read, `NOT_FOUND` when another connection claimed the session meanwhile or this one ended, and as
    /// [`connect`](Self::connect).
    pub fn recover(
        self: &Arc<Self>,
        socket: &Arc<Socket<S>>,
        claimed: Claimed,
        token: TokenMark,
        allows: impl Fn(&RoomName) -> bool,
        now: Now,
        done: impl FnOnce(Result<Recovered, Refusal>) + Send + 'static,
    ) {
        let Claimed(claim) = claimed;
        let rooms = claim.rooms.iter().filter(|room| allows(room));
        let keys: Vec<_> = rooms.map(|room| socket.key_of(room.clone())).collect();
        if let Some(mut order) = self.rooms.settled_domain(&socket.namespace) {
            order.change(socket.id, |state| {
                if let Some(kept) = state.records.get_mut(&socket.id) {
                    kept.record.restrict(&allows);
                    kept.record.token = token;
                }
            });
        }
        let (node, namespace) = (self.clone(), socket.namespace.clone());
        let done = move |outcome| node.rooms.when_kept(&namespace, move || done(outcome));
        let gather = Arc::new(Return {
            node: self.clone(),
            socket: socket.clone(),
            claim,
            now,
            state: Mutex::new(Returning {
                missing: keys.len(),
                entered: Vec::new(),
                failed: None,
                done: Some(done),
            }),
        });
        if keys.is_empty() {
            return gather.finish();
        }
        for key in keys {
            let gather = gather.clone();
            let attach_to = key.clone();
            let attached = move |attached| gather.attached(key, attached);
            self.broker(&attach_to.namespace, &attach_to.room).attach(
                &attach_to,
                Since::Now,
                now,
                Box::new(attached),
            );
        }
    }
}

/// A socket on its way back: its rooms are read first, then it comes into all of them at one place in the order.
struct Return<S, F> {
    node: Arc<Node<S>>,
    socket: Arc<Socket<S>>,
    claim: Claim,
    now: Now,
    state: Mutex<Returning<F>>,
}

struct Returning<F> {
    missing: usize,
    /// Rooms that the user is in again, and whether that was announced.
    entered: Vec<(RoomKey, bool)>,
    failed: Option<Refusal>,
    done: Option<F>,
}

impl<S: Sink, F: FnOnce(Result<Recovered, Refusal>)> Return<S, F> {
    fn attached(&self, key: RoomKey, attached: Result<Attached, Refusal>) {
        let entered = attached.map(|attached| {
            let rooms = &self.node.rooms;
            rooms.enter_user(&key, &self.socket, attached.position).1
        });
        let mut state = self.state.lock();
        match entered {
            Ok(announced) => state.entered.push((key, announced)),
            Err(refusal) => state.failed = Some(refusal),
        }
        state.missing -= 1;
        if state.missing == 0 {
            drop(state);
            self.finish();
        }
    }

    fn finish(&self) {
        let mut state = self.state.lock();
        let (entered, done) = (std::mem::take(&mut state.entered), state.done.take());
        let failed = state.failed.take();
        drop(state);
        let outcome = match failed {
            None => self.take_seats(&entered),
            Some(refusal) => Err(refusal),
        };
        match &outcome {
            Ok(_) => {
                for (key, _) in entered.iter().filter(|(_, announced)| *announced) {
                    self.node.announce_online(key, &self.socket);
                }
            }
            Err(_) => self.give_up(&entered),
        }
        if let Some(done) = done {
            done(outcome);
        }
    }

    /// From here on the socket is live; what was said before is what it missed.
    fn take_seats(&self, entered: &[(RoomKey, bool)]) -> Result<Recovered, Refusal> {
        let (node, socket) = (&self.node, &self.socket);
        let gone = || {
            let message = "the session ended, or was claimed elsewhere, while it was recovered";
            Refusal::new(ErrorCode::NotFound, message)
        };
        let order = node.rooms.settled_domain(&socket.namespace);
        let order = order.ok_or_else(gone)?;
        let state = &order.state;
        if socket.is_closed() || !state.is_claimed(&socket.id, self.claim.number) {
            return Err(gone());
        }
        let record = &state.records.get(&socket.id).ok_or_else(gone)?.record;
        node.register(socket)?;
        for (key, _) in entered {
            node.rooms.seat(key, socket);
        }
        socket.outbox.hold();
        let missed = state.log.after(self.claim.after);
        let missed = missed.filter(|entry| record.gets(&socket.id, entry));
        Ok(Recovered {
            data: record.data.clone(),
            missed: missed
                .map(|entry| Missed {
                    offset: entry.offset(state.epoch),
                    content: entry.content.clone(),
                })
                .collect(),
        })
    }

    /// The session waits for its client again.
    fn give_up(&self, entered: &[(RoomKey, bool)]) {
        let node = &self.node;
        for (key, _) in entered {
            node.rooms.exit_lost(key, &self.socket.user);
            node.detachments.lock().push(key.clone());
        }
        if let Some(mut order) = node.rooms.settled_domain(&self.socket.namespace)
            && order.state.is_claimed(&self.socket.id, self.claim.number)
        {
            order.end(self.socket.id, End::Lost, self.now);
        }
    }
}
