//! Sessions: which there are, and how they are ended.

use std::sync::Arc;

use nuncio_hub::{Notice, Role, RoomKey};
use nuncio_model::{CloseCode, Namespace, RoomName};
use nuncio_transport::Socket;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rooms::{PAGE, PAGE_MAX, page};
use super::who::Who;
use super::{Begun, Command, Work, ready};
use crate::api::failure::Failure;
use crate::api::value::{Ns, Room, Session, User, namespace};
use crate::app::transport;
use crate::config::Scope;

/// The sessions that are connected, in the order of their ids.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "SessionsQuery")]
pub(in crate::api) struct Sessions {
    /// Those of this user.
    #[serde(default)]
    user_id: Option<User>,
    /// Those in this room.
    #[serde(default)]
    room_id: Option<Room>,
    /// The last session of the page before.
    #[serde(default)]
    after: Option<Session>,
    /// Sessions a page, 100 when left out, at most 1000.
    #[serde(default)]
    limit: Option<u32>,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// A page of sessions.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionsPage")]
pub(in crate::api) struct SessionList {
    /// Sessions on all pages.
    count: u64,
    /// This page.
    sessions: Vec<SessionState>,
    /// Give this as `after` for the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Session>,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Session")]
pub(in crate::api) struct SessionState {
    /// Its id.
    session_id: Session,
    /// Whose it is.
    user_id: User,
    /// Whether it is connected; if not, its connection was lost, and it waits for its client to return.
    connected: bool,
    /// How it is connected, when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["websocket", "socketio"]))]
    transport: Option<String>,
    /// The rooms that it is in.
    room_ids: Vec<Room>,
}

impl Work {
    fn state(&self, socket: &Socket) -> SessionState {
        SessionState {
            session_id: Session(socket.id),
            user_id: User(socket.user.clone()),
            connected: true,
            transport: Some(transport(socket.encoder.get()).to_owned()),
            room_ids: self.seen(socket.rooms()),
        }
    }

    /// Rooms that the key may know of, in order.
    fn seen(&self, mut rooms: Vec<RoomName>) -> Vec<Room> {
        rooms.retain(|room| self.key.has_room(room));
        rooms.sort_unstable();
        rooms.into_iter().map(Room).collect()
    }

    fn in_room(&self, key: &RoomKey) -> Vec<Arc<Socket>> {
        let ids = self.app.node.members(key).into_iter();
        ids.filter_map(|id| self.app.node.socket(&id)).collect()
    }
}

impl Command for Sessions {
    type Answer = SessionList;

    fn begin(self, work: &Work) -> Result<Begun<SessionList>, Failure> {
        let (namespace, user) = (namespace(self.ns), self.user_id.map(|user| user.0));
        let mut sockets = match (self.room_id, &user) {
            (Some(room), _) => {
                work.check_room(&namespace, &room)?;
                let room = room.0;
                work.in_room(&RoomKey { namespace, room })
            }
            (None, Some(user)) => {
                work.check_namespace(&namespace)?;
                work.app.node.sockets_of(&namespace, user)
            }
            (None, None) => {
                work.check_namespace(&namespace)?;
                work.app.node.sockets(Some(&namespace))
            }
        };
        // Visitors are nobody's sessions.
        sockets.retain(|socket| {
            socket.role != Role::Visitor && user.as_ref().is_none_or(|user| socket.user == *user)
        });
        let count = sockets.len() as u64;
        if let Some(after) = self.after {
            sockets.retain(|socket| socket.id > after.0);
        }
        let limit = self.limit.unwrap_or(PAGE).min(PAGE_MAX) as usize;
        let (sockets, is_last) = page(sockets, limit, |socket| socket.id);
        let last = sockets.last().filter(|_| !is_last);
        let next = last.map(|socket| Session(socket.id));
        let sessions = sockets.iter().map(|socket| work.state(socket)).collect();
        Ok(ready(SessionList {
            count,
            sessions,
            next,
        }))
    }
}

/// One session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "SessionQuery")]
pub(in crate::api) struct OneSession {
    /// Its id.
    session_id: Session,
    /// Its namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

impl Command for OneSession {
    type Answer = SessionState;

    fn begin(self, work: &Work) -> Result<Begun<SessionState>, Failure> {
        let namespace = namespace(self.ns);
        work.check_namespace(&namespace)?;
        let who = Who::Session(self.session_id.0);
        if let Some(socket) = who.sockets(work, &namespace).first() {
            return Ok(ready(work.state(socket)));
        }
        let parked = work.app.parking.peek(&self.session_id, |parked| {
            who.is(parked, &namespace).then(|| SessionState {
                session_id: self.session_id.clone(),
                user_id: User(parked.user.clone()),
                connected: false,
                transport: None,
                room_ids: work.seen(parked.rooms.clone()),
            })
        });
        parked
            .flatten()
            .map(ready)
            .ok_or_else(|| who.not_connected())
    }
}

/// Ends a session, all sessions of a user, or all of the namespace. Sessions that wait for their clients to return are forgotten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "DisconnectRequest", extend("oneOf" = [
    { "required": ["userId"], "properties": { "userId": { "type": "string" }, "everyone": { "const": false } } },
    { "required": ["sessionId"], "properties": { "sessionId": { "type": "string" }, "everyone": { "const": false } } },
    { "required": ["everyone"], "properties": { "everyone": { "const": true }, "userId": { "type": "null" }, "sessionId": { "type": "null" } } }
], "examples" = [{ "userId": "ann", "code": 4100, "reason": "Account closed" }]))]
pub(in crate::api) struct Disconnect {
    /// All sessions of this user.
    #[serde(default)]
    user_id: Option<User>,
    /// This session.
    #[serde(default)]
    session_id: Option<Session>,
    /// All sessions of the namespace; needs the scope `admin`.
    #[serde(default)]
    everyone: bool,
    /// The close code: 4100 to 4999, 1000 (the default), 1001, 1008, 1011, 1012 or 1013. It says when the client comes back.
    #[serde(default)]
    #[schemars(with = "Option<Ending>")]
    code: Option<u16>,
    /// Told to the client; at most 123 bytes.
    #[serde(default)]
    #[schemars(length(max = 123))]
    reason: Option<String>,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// Codes that the API may close with.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
#[schemars(inline, extend(
    "anyOf" = [
        { "minimum": 4100, "maximum": 4999 },
        { "minimum": 1000, "maximum": 1001 },
        { "minimum": 1008, "maximum": 1008 },
        { "minimum": 1011, "maximum": 1013 }
    ]
))]
struct Ending(u16);

/// How many were told.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct Disconnected {
    /// Sessions that were connected, or waited for their clients.
    sessions: u64,
}

impl Command for Disconnect {
    type Answer = Disconnected;

    fn begin(self, work: &Work) -> Result<Begun<Disconnected>, Failure> {
        let (code, reason) = (checked_code(self.code)?, checked_reason(self.reason)?);
        let namespace = namespace(self.ns);
        work.check_namespace(&namespace)?;
        let who = match (self.everyone, self.user_id, self.session_id) {
            (true, None, None) => {
                work.key.check_scope(Scope::Admin)?;
                None
            }
            (true, ..) => {
                let message = "everyone excludes userId and sessionId";
                return Err(Failure::invalid(message));
            }
            (false, user, session) => Some(Who::of(user, session)?),
        };
        let ended = work.end(who.as_ref(), &namespace, code, &reason);
        match who {
            Some(who @ Who::Session(_)) if ended == 0 => Err(who.not_connected()),
            _ => Ok(ready(Disconnected { sessions: ended })),
        }
    }
}

impl Work {
    /// Ends the sessions that are meant; without `who`, all of the namespace.
    fn end(&self, who: Option<&Who>, namespace: &Namespace, code: CloseCode, reason: &str) -> u64 {
        let parked = self.app.parking.end(|parked| match who {
            Some(who) => who.is(parked, namespace),
            None => parked.namespace == *namespace,
        });
        let sockets = match who {
            Some(who) => who.sockets(self, namespace),
            None => self.app.node.sockets(Some(namespace)),
        };
        for socket in &sockets {
            socket.outbox.notify(Notice::Disconnect {
                namespace: namespace.clone(),
                code,
                reason: reason.to_owned().into(),
            });
        }
        let sessions = (sockets.len() + parked) as u64;
        tracing::info!(
            key = self.key.name,
            sessions,
            code = code.0,
            reason,
            "the API disconnects"
        );
        sessions
    }
}

fn checked_code(code: Option<u16>) -> Result<CloseCode, Failure> {
    let code = code.unwrap_or(CloseCode::NORMAL.0);
    match code {
        4100..=4999 | 1000 | 1001 | 1008 | 1011 | 1012 | 1013 => Ok(CloseCode(code)),
        _ => Err(Failure::invalid(format!(
            "code {code} is not for applications: use 4100 to 4999, or 1000, 1001, 1008, 1011, 1012, 1013"
        ))),
    }
}

fn checked_reason(reason: Option<String>) -> Result<String, Failure> {
    // RFC 6455 §5.5: a control frame has 125 bytes, two of them the code.
    const REASON_BYTES_MAX: usize = 123;
    let reason = reason.unwrap_or_default();
    if reason.len() > REASON_BYTES_MAX {
        let len = reason.len();
        let message = format!("reason has {len} bytes, at most {REASON_BYTES_MAX} are allowed");
        return Err(Failure::invalid(message));
    }
    Ok(reason)
}
