//! Other grants for sessions that are there.

use std::sync::Arc;

use nuncio_hub::Notice;
use nuncio_model::{Grants, Namespace, Pattern, Right, RoomGrant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::who::Who;
use super::{Begun, Command, Work, ready};
use crate::api::failure::Failure;
use crate::api::value::{Ns, Session, User, namespace};

/// Puts other grants in the place of those that the sessions of a user, or one session, have from their token: until the token is refreshed. Rooms whose
/// `join` is not granted any more are left, and `room:removed` tells so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "GrantsRequest", extend("oneOf" = [
    { "required": ["userId"], "properties": { "userId": { "type": "string" } } },
    { "required": ["sessionId"], "properties": { "sessionId": { "type": "string" } } }
], "examples" = [{ "userId": "ann", "grants": [{ "rooms": "chat:*", "allow": ["join", "publish"] }] }]))]
pub(in crate::api) struct Regrant {
    /// All sessions of this user. Either this or `sessionId`.
    #[serde(default)]
    user_id: Option<User>,
    /// This session.
    #[serde(default)]
    session_id: Option<Session>,
    /// Rights in rooms, all of them: an empty list takes every right.
    grants: Vec<Grant>,
    /// Patterns of users and sessions that private messages may be sent to; none when left out.
    #[serde(default)]
    private: Option<Vec<String>>,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// Rights in the rooms of a pattern.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// Which rooms: `*` stands for any run of characters.
    rooms: String,
    /// What is allowed there.
    allow: Vec<Allowed>,
}

/// A right in a room.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Right")]
enum Allowed {
    Join,
    Publish,
    Presence,
    History,
    Typing,
}

impl From<Allowed> for Right {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::Join => Self::Join,
            Allowed::Publish => Self::Publish,
            Allowed::Presence => Self::Presence,
            Allowed::History => Self::History,
            Allowed::Typing => Self::Typing,
        }
    }
}

/// How many have other grants now.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct Regranted {
    /// Sessions that are connected.
    sessions: u64,
}

impl Command for Regrant {
    type Answer = Regranted;

    fn begin(self, work: &Work) -> Result<Begun<Regranted>, Failure> {
        let namespace = namespace(self.ns);
        work.check_namespace(&namespace)?;
        let who = Who::of(self.user_id, self.session_id)?;
        let grants = Arc::new(granted(&namespace, self.grants, self.private));
        let mut parked = 0;
        work.app.parking.change(|session| {
            if who.is(session, &namespace) {
                parked += 1;
                session.standing.grants = grants.clone();
                let is_granted =
                    |room: &nuncio_model::RoomName| grants.rights(room).has(Right::Join);
                session.rooms.retain(is_granted);
            }
        });
        let sockets = who.sockets(work, &namespace);
        if parked == 0 && sockets.is_empty() {
            return Err(who.not_connected());
        }
        for socket in &sockets {
            // First the grants, so that no room is joined by the old ones once it was left.
            socket.outbox.notify(Notice::Regranted {
                namespace: namespace.clone(),
                grants: grants.clone(),
            });
            for room in socket.rooms() {
                if !grants.rights(&room).has(Right::Join) {
                    work.remove(socket, &namespace, &room);
                }
            }
        }
        Ok(ready(Regranted {
            sessions: sockets.len() as u64,
        }))
    }
}

fn granted(namespace: &Namespace, rooms: Vec<Grant>, private: Option<Vec<String>>) -> Grants {
    let rooms = rooms.into_iter().map(|grant| RoomGrant {
        rooms: Pattern::new(&grant.rooms),
        allow: grant
            .allow
            .into_iter()
            .map(Right::from)
            .collect::<Vec<_>>()
            .into(),
    });
    let private = private.unwrap_or_default();
    Grants {
        namespaces: vec![namespace.clone()],
        rooms: rooms.collect(),
        private: private.iter().map(|name| Pattern::new(name)).collect(),
    }
}
