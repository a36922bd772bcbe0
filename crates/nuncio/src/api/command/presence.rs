//! Who is in a room.

use nuncio_hub::RoomKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work, ready};
use crate::api::failure::Failure;
use crate::api::value::{Ns, Room, User, namespace};

/// The users of a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "PresenceQuery")]
pub(in crate::api) struct Presence {
    /// The room.
    room_id: Room,
    /// The last user of the page before.
    #[serde(default)]
    after: Option<User>,
    /// Users a page, 100 when left out, at most `presence.page_max`; 0 asks for the count alone.
    #[serde(default)]
    limit: Option<u32>,
    /// The room's namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// The users of a room, in the order of their ids.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PresencePage")]
pub(in crate::api) struct Users {
    /// Users in the room, on all pages.
    count: u64,
    /// This page; left out where only the count was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<Member>>,
    /// Give this as `after` for the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<User>,
}

/// A user of a room.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Member {
    /// The user.
    user_id: User,
    /// Its sessions in the room.
    sessions: u32,
}

const PAGE: u32 = 100;

impl Command for Presence {
    type Answer = Users;

    fn begin(self, work: &Work) -> Result<Begun<Users>, Failure> {
        let key = RoomKey {
            namespace: namespace(self.ns),
            room: self.room_id.0,
        };
        work.check_room(&key.namespace, &key.room)?;
        let after = self.after.map(|user| user.0);
        let limit = self.limit.unwrap_or(PAGE);
        let page = work.app.node.presence(&key, after.as_ref(), limit);
        let member = |member: nuncio_model::Member| Member {
            user_id: User(member.user),
            sessions: member.sessions,
        };
        Ok(ready(Users {
            count: page.count,
            users: page
                .members
                .map(|members| members.into_iter().map(member).collect()),
            next: page.next.map(User),
        }))
    }
}
