//! Emits: to whoever is connected, in no history.

use std::collections::HashSet;

use nuncio_model::{
    Compression, Emit as Emitted, Json, Namespace, Push, RoomName, SocketId, Target, Volatility,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work, asked};
use crate::api::failure::Failure;
use crate::api::value::{AnyJson, Event, Ns, Room, Session, User, is_given, namespace, written};

/// An event for everyone, or for whoever is in a room, a user or a session of the lists; each session gets it once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "EmitRequest", extend("anyOf" = [
    { "required": ["everyone"], "properties": { "everyone": { "const": true } } },
    { "required": ["roomIds"], "properties": { "roomIds": { "type": "array", "minItems": 1 } } },
    { "required": ["userIds"], "properties": { "userIds": { "type": "array", "minItems": 1 } } },
    { "required": ["sessionIds"], "properties": { "sessionIds": { "type": "array", "minItems": 1 } } }
], "examples" = [{ "event": "news", "data": { "n": 1 }, "everyone": true }]))]
pub(in crate::api) struct Emit {
    /// Its name.
    event: Event,
    /// Its argument, or an array of all arguments; `null` when left out.
    #[serde(default, deserialize_with = "written")]
    data: Option<AnyJson>,
    /// Every session of the namespace.
    #[serde(default)]
    everyone: bool,
    /// The members of these rooms.
    #[serde(default)]
    room_ids: Option<Vec<Room>>,
    /// All sessions of these users.
    #[serde(default)]
    user_ids: Option<Vec<User>>,
    /// These sessions.
    #[serde(default)]
    session_ids: Option<Vec<Session>>,
    /// Who does not get it, although it is named above.
    #[serde(default)]
    except: Option<Except>,
    /// Whether sessions to which something still waits to be written are passed over.
    #[serde(default)]
    volatile: bool,
    /// In whose name; nobody's when left out.
    #[serde(default)]
    user_id: Option<User>,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// Who does not get an emit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Except {
    /// The members of these rooms.
    #[serde(default)]
    room_ids: Option<Vec<Room>>,
    /// All sessions of these users.
    #[serde(default)]
    user_ids: Option<Vec<User>>,
    /// These sessions.
    #[serde(default)]
    session_ids: Option<Vec<Session>>,
}

/// How far an emit went.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct Reached {
    /// Sessions that it was handed to; not told for an emit to one room, whose members nobody counts for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sessions: Option<u32>,
}

impl Command for Emit {
    type Answer = Reached;

    fn begin(self, work: &Work) -> Result<Begun<Reached>, Failure> {
        let namespace = namespace(self.ns);
        let rooms = rooms_of(self.room_ids);
        let is_for_rooms = !self.everyone
            && !is_given(self.user_ids.as_ref())
            && !is_given(self.session_ids.as_ref());
        check(work, &namespace, &rooms, is_for_rooms)?;
        let data = self.data.map_or_else(Json::null, |data| data.0);
        work.check_size(data.as_bytes().len() + self.event.len())?;
        let mut targets = targets(&rooms, self.user_ids, self.session_ids);
        if self.everyone {
            targets = vec![Target::Everyone];
        }
        let room = match &rooms[..] {
            [only] if is_for_rooms => Some(only.clone()),
            _ => None,
        };
        let push = Push::Event {
            name: self.event.0,
            data,
            attachments: Box::default(),
            room,
            author: self.user_id.map(|user| user.0),
            ts: work.now.unix_ms,
            compression: Compression::AsAgreed,
        };
        let except = self.except.unwrap_or_default();
        let excepted = rooms_of(except.room_ids);
        let except = self::targets(&excepted, except.user_ids, except.session_ids);
        let volatility = if self.volatile {
            Volatility::Volatile
        } else {
            Volatility::Kept
        };
        let emit = Emitted {
            target: single(work, &namespace, targets, &push),
            namespace,
            except,
            push,
            volatility,
        };
        let emitted = asked(|done| work.app.node.emit_kept(emit, done));
        Ok(Box::pin(async move {
            let sessions = emitted.await?;
            Ok(Reached { sessions })
        }))
    }
}

fn check(
    work: &Work,
    namespace: &Namespace,
    rooms: &[RoomName],
    is_for_rooms: bool,
) -> Result<(), Failure> {
    if is_for_rooms && rooms.is_empty() {
        return Err(Failure::invalid(
            "nobody is named: write roomIds, userIds, sessionIds or everyone",
        ));
    }
    if !is_for_rooms {
        work.check_namespace(namespace)?;
    }
    rooms
        .iter()
        .try_for_each(|room| work.check_room(namespace, room))
}

fn rooms_of(rooms: Option<Vec<Room>>) -> Vec<RoomName> {
    let rooms = rooms.unwrap_or_default().into_iter();
    rooms.map(|room| room.0).collect()
}

fn targets(
    rooms: &[RoomName],
    users: Option<Vec<User>>,
    sessions: Option<Vec<Session>>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    if !rooms.is_empty() {
        targets.push(Target::Rooms(rooms.to_vec()));
    }
    let users = users.unwrap_or_default().into_iter();
    targets.extend(users.map(|user| Target::User(user.0)));
    if let Some(sessions) = sessions.filter(|sessions| !sessions.is_empty()) {
        let ids = sessions.into_iter().map(|session| session.0);
        targets.push(Target::Sockets(ids.collect()));
    }
    targets
}

/// One target as it is; of several, the sessions that any of them names.
fn single(work: &Work, namespace: &Namespace, mut targets: Vec<Target>, push: &Push) -> Target {
    if targets.len() == 1 {
        return targets.remove(0);
    }
    let sockets = targets.into_iter().flat_map(|target| {
        let emit = Emitted {
            namespace: namespace.clone(),
            target,
            except: Vec::new(),
            push: push.clone(),
            volatility: Volatility::Kept,
        };
        work.app.node.resolve(&emit)
    });
    let ids: HashSet<SocketId> = sockets.map(|socket| socket.id).collect();
    Target::Sockets(ids.into_iter().collect())
}
