//! Rooms: which there are, and who is put into them.

use nuncio_hub::{JoinOutcome, Notice, RoomKey};
use nuncio_model::{ErrorCode, Namespace, Position, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::who::Who;
use super::{Begun, Command, Work, asked, ready};
use crate::api::failure::{ErrorObject, Failure};
use crate::api::value::{EpochId, Ns, Room, Session, User, namespace};

/// The rooms with members, in the order of their ids.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "RoomsQuery")]
pub(in crate::api) struct Rooms {
    /// Rooms that fit this pattern, in which `*` stands for any run of characters.
    #[serde(default)]
    pattern: Option<String>,
    /// The last room of the page before.
    #[serde(default)]
    after: Option<Room>,
    /// Rooms a page, 100 when left out, at most 1000.
    #[serde(default)]
    limit: Option<u32>,
    /// The rooms' namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// A page of rooms.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RoomsPage")]
pub(in crate::api) struct RoomList {
    /// Rooms on all pages.
    count: u64,
    /// This page.
    rooms: Vec<RoomState>,
    /// Give this as `after` for the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Room>,
}

/// A room with members.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Room")]
struct RoomState {
    /// The room.
    room_id: Room,
    /// Sessions in it, and feeds of visitors.
    sessions: u64,
    /// Users in it.
    users: u64,
    /// The life of its numbering.
    epoch: EpochId,
    /// Its newest message.
    seq: u64,
}

/// Entries of a page of rooms or sessions, unless said otherwise, and at most.
pub(super) const PAGE: u32 = 100;
pub(super) const PAGE_MAX: u32 = 1000;

impl Command for Rooms {
    type Answer = RoomList;

    fn begin(self, work: &Work) -> Result<Begun<RoomList>, Failure> {
        let namespace = namespace(self.ns);
        work.key.check_namespace(&namespace)?;
        let pattern = self.pattern.as_deref().map(nuncio_model::Pattern::new);
        let is_listed = |key: &RoomKey| {
            key.namespace == namespace
                && work.key.has_room(&key.room)
                && pattern
                    .as_ref()
                    .is_none_or(|pattern| pattern.matches(&key.room))
        };
        let mut rooms = work.app.node.rooms_list();
        rooms.retain(|(key, ..)| is_listed(key));
        let count = rooms.len() as u64;
        if let Some(after) = self.after {
            rooms.retain(|(key, ..)| key.room > after.0);
        }
        let limit = self.limit.unwrap_or(PAGE).min(PAGE_MAX) as usize;
        let (rooms, is_last) = page(rooms, limit, |(key, ..)| key.room.clone());
        let rooms: Vec<_> = rooms.into_iter().map(state).collect();
        let next = rooms.last().filter(|_| !is_last);
        let next = next.map(|room| room.room_id.clone());
        Ok(ready(RoomList { count, rooms, next }))
    }
}

fn state((key, sessions, users, position): (RoomKey, usize, u64, Position)) -> RoomState {
    RoomState {
        room_id: Room(key.room),
        sessions: sessions as u64,
        users,
        epoch: EpochId(position.epoch),
        seq: position.seq,
    }
}

/// The first entries in order, and whether nothing follows them. O(entries), and the page is sorted.
pub(super) fn page<T, K: Ord>(
    mut entries: Vec<T>,
    limit: usize,
    key: impl Fn(&T) -> K,
) -> (Vec<T>, bool) {
    let is_last = entries.len() <= limit;
    if !is_last && limit > 0 {
        entries.select_nth_unstable_by_key(limit - 1, &key);
    }
    entries.truncate(limit);
    entries.sort_unstable_by_key(&key);
    (entries, is_last)
}

/// Puts a session, or all sessions of a user, into a room, whatever their grants say. Each is told by `room:position` with the reason `joined`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "JoinRequest", extend("oneOf" = [
    { "required": ["userId"], "properties": { "userId": { "type": "string" } } },
    { "required": ["sessionId"], "properties": { "sessionId": { "type": "string" } } }
], "examples" = [{ "roomId": "lobby", "userId": "ann" }]))]
pub(in crate::api) struct Join {
    /// The room.
    room_id: Room,
    /// All sessions of this user. Either this or `sessionId`.
    #[serde(default)]
    user_id: Option<User>,
    /// This session.
    #[serde(default)]
    session_id: Option<Session>,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// One outcome for each session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Joined")]
pub(in crate::api) struct JoinedAll {
    sessions: Vec<JoinedOne>,
}

/// The outcome for one session: a position or an error.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JoinedSession")]
struct JoinedOne {
    /// The session.
    session_id: Session,
    /// The life of the room's numbering.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<EpochId>,
    /// The room's newest message: what follows reaches the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// Users in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u64>,
    /// Why the session is not in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorObject>,
}

impl Command for Join {
    type Answer = JoinedAll;

    fn begin(self, work: &Work) -> Result<Begun<JoinedAll>, Failure> {
        let (namespace, room) = (namespace(self.ns), self.room_id.0);
        work.check_room(&namespace, &room)?;
        work.app.check_public(&room)?;
        let sockets = Who::of(self.user_id, self.session_id)?.connected(work, &namespace)?;
        let begun: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                let outcome = asked(|done| {
                    let rooms_max = work.app.config.connection.rooms_max;
                    let done = move |outcome: JoinOutcome| done(Ok(outcome));
                    let rooms = vec![room.clone()];
                    work.app
                        .node
                        .bring(&socket, rooms, rooms_max, work.now, done);
                });
                (Session(socket.id), outcome)
            })
            .collect();
        Ok(Box::pin(async move {
            let mut sessions = Vec::with_capacity(begun.len());
            for (session, outcome) in begun {
                sessions.push(joined(session, outcome.await?));
            }
            Ok(JoinedAll { sessions })
        }))
    }
}

fn joined(session_id: Session, outcome: JoinOutcome) -> JoinedOne {
    let gone = || Refusal::new(ErrorCode::Internal, "the join has no outcome");
    let outcome = outcome.into_iter().next();
    let outcome = outcome.map_or_else(|| Err(gone()), |one| one.map_err(|(_, refusal)| refusal));
    match outcome {
        Ok(joined) => JoinedOne {
            session_id,
            epoch: Some(EpochId(joined.position.epoch)),
            seq: Some(joined.position.seq),
            members: Some(joined.members),
            error: None,
        },
        Err(refusal) => JoinedOne {
            session_id,
            epoch: None,
            seq: None,
            members: None,
            error: Some(Failure::from(refusal).told()),
        },
    }
}

/// Takes a session, or all sessions of a user, out of a room. Each is told by `room:removed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "LeaveRequest", extend("oneOf" = [
    { "required": ["userId"], "properties": { "userId": { "type": "string" } } },
    { "required": ["sessionId"], "properties": { "sessionId": { "type": "string" } } }
], "examples" = [{ "roomId": "lobby", "userId": "ann" }]))]
pub(in crate::api) struct Leave {
    /// The room.
    room_id: Room,
    /// All sessions of this user. Either this or `sessionId`.
    #[serde(default)]
    user_id: Option<User>,
    /// This session.
    #[serde(default)]
    session_id: Option<Session>,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// How many were taken out.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct Left {
    /// Sessions that were in the room.
    sessions: u64,
}

impl Command for Leave {
    type Answer = Left;

    fn begin(self, work: &Work) -> Result<Begun<Left>, Failure> {
        let (namespace, room) = (namespace(self.ns), self.room_id.0);
        work.check_room(&namespace, &room)?;
        let who = Who::of(self.user_id, self.session_id)?;
        work.app.parking.change(|parked| {
            if who.is(parked, &namespace) {
                parked.rooms.retain(|name| *name != room);
            }
        });
        let sockets = who.sockets(work, &namespace);
        let left = sockets
            .iter()
            .filter(|socket| work.remove(socket, &namespace, &room));
        Ok(ready(Left {
            sessions: left.count() as u64,
        }))
    }
}

impl Work {
    /// Takes a session out of a room and tells it. Returns whether it was in the room.
    pub(super) fn remove(
        &self,
        socket: &nuncio_transport::Socket,
        namespace: &Namespace,
        room: &nuncio_model::RoomName,
    ) -> bool {
        let was_in = self.app.node.leave(socket, room, self.now);
        if was_in {
            socket.outbox.notify(Notice::Removed {
                namespace: namespace.clone(),
                room: room.clone(),
                code: ErrorCode::Forbidden,
            });
        }
        was_in
    }
}
