//! A room's history: read both ways, cleared.

use std::borrow::Cow;

use nuncio_hub::{Page, RoomKey};
use nuncio_model::{CallId, HistoryQuery, Json, Reply};
use nuncio_protocol::{JoinForm, encode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};

use super::{Begun, Command, Work, asked};
use crate::api::failure::Failure;
use crate::api::value::{AnyJson, EpochId, Event, Message, Ns, Room, User, namespace};

/// A page of a room's history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "HistoryQuery")]
pub(in crate::api) struct History {
    /// The room.
    room_id: Room,
    /// The newest messages with a lower `seq`.
    #[serde(default)]
    before: Option<u64>,
    /// The oldest messages with a higher `seq`; together with `before`, those between the two.
    #[serde(default)]
    after: Option<u64>,
    /// Messages a page; as many as the room keeps when left out.
    #[serde(default)]
    limit: Option<u32>,
    /// The room's namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// A page, in the order of `seq`, each message as members receive it.
pub(in crate::api) struct PageText(Json);

/// A page of a room's history.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described: the protocol writes it")]
#[schemars(rename = "HistoryPage")]
struct PageForm {
    /// The life of the room's numbering.
    epoch: EpochId,
    /// The room's newest position.
    seq: u64,
    /// The messages, in the order of `seq`.
    messages: Vec<MessageForm>,
}

/// A publication, as members receive it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described: the protocol writes it")]
#[schemars(rename = "Message", rename_all = "camelCase")]
struct MessageForm {
    /// `chat:message` or `event`.
    #[schemars(extend("enum" = ["chat:message", "event"]))]
    r#type: String,
    /// Its id.
    id: Message,
    /// Its place in the room.
    seq: u64,
    /// There only where it changed.
    epoch: Option<EpochId>,
    /// The room.
    room_id: Room,
    /// Who published it; left out for the backend.
    user_id: Option<User>,
    /// What a `chat:message` says.
    content: Option<AnyJson>,
    /// The event's name.
    event: Option<Event>,
    /// The event's argument or arguments.
    data: Option<AnyJson>,
    /// The server's clock, in milliseconds since the Unix epoch.
    ts: u64,
}

impl Serialize for PageText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for PageText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        PageForm::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<PageForm>()
    }
}

impl Command for History {
    type Answer = PageText;

    fn begin(self, work: &Work) -> Result<Begun<PageText>, Failure> {
        let (namespace, room) = (namespace(self.ns), self.room_id.0);
        work.check_room(&namespace, &room)?;
        for (name, seq) in [("before", self.before), ("after", self.after)] {
            if seq.is_some_and(|seq| seq > CallId::NUMBER_MAX) {
                let message = format!("{name} must be an integer from 0 to 2^53-1");
                return Err(Failure::invalid(message));
            }
        }
        let max = work.app.config.history.messages_max as u32;
        let query = HistoryQuery {
            room,
            before: self.before,
            after: self.after,
            limit: Some(self.limit.map_or(max, |limit| limit.min(max))),
        };
        let node = work.app.node.clone();
        let page: Begun<Page> = asked(|done| node.history(&namespace, &query, work.now, done));
        Ok(Box::pin(async move {
            let page = page.await?;
            let reply = Reply::History {
                position: page.position,
                publications: page.publications,
            };
            let text = encode::reply_data(&reply, JoinForm::One);
            Ok(PageText(Json::from_checked(text)))
        }))
    }
}

/// Forgets all messages of a room. Its numbering goes on, and its members are told by `room:position` with the reason `cleared`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "ClearRequest", extend("examples" = [{ "roomId": "lobby" }]))]
pub(in crate::api) struct ClearHistory {
    /// The room.
    room_id: Room,
    /// The room's namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// Where a room stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Position")]
pub(in crate::api) struct Place {
    /// The life of the room's numbering.
    pub(super) epoch: EpochId,
    /// Its newest message.
    pub(super) seq: u64,
}

impl Command for ClearHistory {
    type Answer = Place;

    fn begin(self, work: &Work) -> Result<Begun<Place>, Failure> {
        let key = RoomKey {
            namespace: namespace(self.ns),
            room: self.room_id.0,
        };
        work.check_room(&key.namespace, &key.room)?;
        let position = asked(|done| work.app.node.clear(&key, done));
        Ok(Box::pin(async move {
            let position = position.await?;
            Ok(Place {
                epoch: EpochId(position.epoch),
                seq: position.seq,
            })
        }))
    }
}
