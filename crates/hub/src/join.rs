//! Joining rooms: where a socket comes in, and what it is told.

use std::sync::Arc;

use nuncio_model::{
    ErrorCode, JoinRequest, Joined, Now, Position, PositionReason, Publication, Push, Refusal,
    RoomName, quote,
};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::broker::{Attached, RoomKey, Since};
use crate::encode::Message;
use crate::node::Node;
use crate::outbox::{Pushed, Sink};
use crate::rooms::NotEntered;
use crate::socket::Socket;

/// The outcome of a join: one entry for each room asked for, in order.
pub type JoinOutcome = Vec<Result<Joined, (RoomName, Refusal)>>;

impl<S: Sink> Node<S> {
    /// Joins rooms. `done` gets one entry for each, perhaps before this returns.
    ///
    /// The socket's outbox is held, so that what is published meanwhile waits behind the reply and the replay: the caller releases it once these are
    /// in the outbox.
    ///
    /// A room that the socket is in already gives what is asked for, up to where the socket has it; what follows goes on undisturbed.
    pub fn join(
        self: &Arc<Self>,
        socket: &Arc<Socket<S>>,
        requests: Vec<JoinRequest>,
        rooms_max: usize,
        now: Now,
        done: impl FnOnce(JoinOutcome) + Send + 'static,
    ) {
        let has: SmallVec<[_; 1]> = requests
            .iter()
            .map(|request| self.has(socket, &request.room))
            .collect();
        let offset = self.rooms.hold(socket);
        let (node, namespace) = (self.clone(), socket.namespace.clone());
        // Who is told of a join finds it again after a crash.
        let done = move |outcome| node.rooms.when_kept(&namespace, move || done(outcome));
        let gather = Arc::new(Gather::new(requests.len(), done));
        if requests.is_empty() {
            return gather.finish();
        }
        for (index, (request, has)) in requests.into_iter().zip(has).enumerate() {
            let (node, socket, gather) = (self.clone(), socket.clone(), gather.clone());
            let JoinRequest {
                room,
                since,
                history,
            } = request;
            let key = socket.key_of(room.clone());
            let attach_to = key.clone();
            let since = match (since, history) {
                (Some(position), _) => Since::Position(position),
                (None, Some(count)) => Since::Newest(count),
                (None, None) => Since::Now,
            };
            let attached = move |attached: Result<Attached, Refusal>| {
                let joined = attached
                    .and_then(|attached| node.enter(&key, &socket, attached, has, rooms_max))
                    .map(|joined| Joined { offset, ..joined });
                gather.complete(index, joined.map_err(|refusal| (room, refusal)));
            };
            self.broker(&attach_to.namespace, &attach_to.room).attach(
                &attach_to,
                since,
                now,
                Box::new(attached),
            );
        }
    }

    /// Joins rooms that the client did not ask for: each that it was not in is announced to it by `room:position`. `done` gets one entry for each, perhaps
    /// before this returns.
    pub fn bring(
        self: &Arc<Self>,
        socket: &Arc<Socket<S>>,
        rooms: Vec<RoomName>,
        rooms_max: usize,
        now: Now,
        done: impl FnOnce(JoinOutcome) + Send + 'static,
    ) {
        let news: Vec<_> = rooms
            .iter()
            .filter(|room| !socket.is_in(room))
            .cloned()
            .collect();
        let requests = rooms.into_iter().map(|room| JoinRequest {
            room,
            since: None,
            history: None,
        });
        let (node, told) = (self.clone(), socket.clone());
        self.join(socket, requests.collect(), rooms_max, now, move |outcome| {
            let joined = outcome.iter().flatten();
            for joined in joined.filter(|joined| news.contains(&joined.room)) {
                node.tell_joined(&told, joined);
            }
            if told.outbox.release() == Pushed::Due {
                node.rooms.flushers().add(told.outbox.clone());
            }
            done(outcome);
        });
    }

    /// Says where a room stands for a client that the server joined to it, before anything that is published there from now on.
    fn tell_joined(&self, socket: &Socket<S>, joined: &Joined) {
        let push = Push::Position {
            room: joined.room.clone(),
            position: joined.position,
            recovered: joined.recovered,
            reason: PositionReason::Joined,
        };
        let message = Message::Push(&socket.namespace, &push);
        let frame = self.rooms.encode().encode(socket.encoder.get(), message);
        if socket.outbox.push_own(frame) == Pushed::Due {
            self.rooms.flushers().add(socket.outbox.clone());
        }
    }

    /// Up to where a socket has the publications of a room that it is in.
    fn has(&self, socket: &Socket<S>, room: &RoomName) -> Option<Position> {
        let is_in = socket.is_in(room);
        is_in.then(|| self.rooms.settled(&socket.key_of(room.clone())))?
    }

    fn enter(
        &self,
        key: &RoomKey,
        socket: &Arc<Socket<S>>,
        attached: Attached,
        has: Option<Position>,
        rooms_max: usize,
    ) -> Result<Joined, Refusal> {
        let joined = self.enter_room(key, socket, attached, has, rooms_max);
        if !matches!(&joined, Ok(Entered::New(_))) {
            self.detachments.lock().push(key.clone());
        }
        match joined? {
            Entered::New(joined) | Entered::Already(joined) => Ok(joined),
        }
    }

    fn enter_room(
        &self,
        key: &RoomKey,
        socket: &Arc<Socket<S>>,
        attached: Attached,
        has: Option<Position>,
        rooms_max: usize,
    ) -> Result<Entered, Refusal> {
        if socket.is_closed() {
            return Err(gone());
        }
        if socket.is_in(&key.room) {
            return Ok(Entered::Already(self.rejoined(key, attached, has)));
        }
        let position = attached.position;
        if socket.rooms.len() >= rooms_max {
            let message = format!(
                "room {} is one too many: a session may be in {rooms_max} rooms",
                quote(&key.room)
            );
            return Err(Refusal::new(ErrorCode::RoomLimit, message));
        }
        let entered = self.rooms.enter(key, socket, position);
        let (members, announced) = entered.map_err(|why| match why {
            NotEntered::Gone => gone(),
            NotEntered::Full => {
                let max = self.rooms.limits().members_max;
                let room = quote(&key.room);
                let message = format!("room {room} has {max} members, as many as are allowed");
                Refusal::new(ErrorCode::RoomLimit, message)
            }
        })?;
        if announced {
            self.announce_online(key, socket);
        }
        Ok(Entered::New(Joined {
            room: key.room.clone(),
            position,
            recovered: attached.recovered,
            members,
            replay: attached.replay,
            offset: None,
        }))
    }

    /// What a member is told that joins again. What is newer than it `has` waits in its outbox, and is not replayed. Nothing is known of what it has
    /// when the join that made it a member was still under way: that join's reply is then the one to go by.
    fn rejoined(&self, key: &RoomKey, attached: Attached, has: Option<Position>) -> Joined {
        let Attached {
            position,
            recovered,
            mut replay,
        } = attached;
        let is_had = |publication: &Arc<Publication>| {
            has.is_some_and(|has| {
                publication.position.epoch == has.epoch && publication.position.seq <= has.seq
            })
        };
        let recovered = recovered && (has.is_some() || replay.is_empty());
        replay.retain(is_had);
        Joined {
            room: key.room.clone(),
            position: has.unwrap_or(position),
            recovered,
            members: self.rooms.presence(key, None, 0).count,
            replay,
            offset: None,
        }
    }
}

fn gone() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "the session ended while it joined")
}

enum Entered {
    New(Joined),
    Already(Joined),
}

/// Outcomes of several joins, until the last is in.
struct Gather<F> {
    state: Mutex<GatherState<F>>,
}

struct GatherState<F> {
    outcomes: Vec<Option<Result<Joined, (RoomName, Refusal)>>>,
    missing: usize,
    done: Option<F>,
}

impl<F: FnOnce(JoinOutcome)> Gather<F> {
    fn new(len: usize, done: F) -> Self {
        let outcomes = (0..len).map(|_| None).collect();
        Self {
            state: Mutex::new(GatherState {
                outcomes,
                missing: len,
                done: Some(done),
            }),
        }
    }

    fn complete(&self, index: usize, outcome: Result<Joined, (RoomName, Refusal)>) {
        let mut state = self.state.lock();
        state.outcomes[index] = Some(outcome);
        state.missing -= 1;
        if state.missing == 0 {
            drop(state);
            self.finish();
        }
    }

    fn finish(&self) {
        let mut state = self.state.lock();
        let outcomes = std::mem::take(&mut state.outcomes)
            .into_iter()
            .flatten()
            .collect();
        let done = state.done.take();
        drop(state);
        if let Some(done) = done {
            done(outcomes);
        }
    }
}
