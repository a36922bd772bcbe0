//! Publications: one to a room, or the same to many.

use nuncio_hub::Submission;
use nuncio_model::{
    Body, ErrorCode, Json, Namespace, PublishRequest, Published, Refusal, RoomName,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work, asked};
use crate::api::failure::{Code, ErrorObject, Failure};
use crate::api::value::{
    AnyJson, EpochId, Event, Intention, Message, Ns, Room, User, namespace, written,
};

/// A message or an event for one room: numbered, kept, delivered to every member, replayed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "PublishRequest", extend(
    "oneOf" = [
        { "required": ["content"], "properties": { "event": { "type": "null" }, "data": false } },
        { "required": ["event"], "properties": { "event": { "type": "string" }, "content": false } }
    ],
    "examples" = [{ "roomId": "lobby", "content": "Hello" }, { "roomId": "board", "event": "draw", "data": { "x": 1 } }]
))]
pub(in crate::api) struct Publish {
    /// The room.
    room_id: Room,
    /// What a `chat:message` says. Either this or `event`.
    #[serde(default, deserialize_with = "written")]
    content: Option<AnyJson>,
    /// The name of an event of the application's own.
    #[serde(default)]
    event: Option<Event>,
    /// The event's argument, or an array of all arguments; `null` when left out.
    #[serde(default, deserialize_with = "written")]
    data: Option<AnyJson>,
    /// In whose name it is published; nobody's when left out.
    #[serde(default)]
    user_id: Option<User>,
    /// So that a repeat is published once. Also as the header `Idempotency-Key`.
    #[serde(default)]
    idempotency_key: Option<Intention>,
    /// The room's namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// The same message or event for each of several rooms, in each a publication of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "BroadcastRequest", extend(
    "oneOf" = [
        { "required": ["content"], "properties": { "event": { "type": "null" }, "data": false } },
        { "required": ["event"], "properties": { "event": { "type": "string" }, "content": false } }
    ],
    "examples" = [{ "roomIds": ["lobby", "staff"], "content": "Closing in ten minutes" }]
))]
pub(in crate::api) struct Broadcast {
    /// The rooms; at most as many as a batch may have commands.
    #[schemars(extend("minItems" = 1))]
    room_ids: Vec<Room>,
    /// What a `chat:message` says. Either this or `event`.
    #[serde(default, deserialize_with = "written")]
    content: Option<AnyJson>,
    /// The name of an event of the application's own.
    #[serde(default)]
    event: Option<Event>,
    /// The event's argument, or an array of all arguments; `null` when left out.
    #[serde(default, deserialize_with = "written")]
    data: Option<AnyJson>,
    /// In whose name it is published; nobody's when left out.
    #[serde(default)]
    user_id: Option<User>,
    /// So that a repeat is published once in each room. Also as the header `Idempotency-Key`.
    #[serde(default)]
    idempotency_key: Option<Intention>,
    /// The rooms' namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// Where a publication landed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Published")]
pub(in crate::api) struct Landed {
    /// The message's id.
    id: Message,
    /// The life of the room's numbering.
    epoch: EpochId,
    /// The message's place in the room.
    seq: u64,
    /// The server's clock, in milliseconds since the Unix epoch.
    ts: u64,
}

/// One outcome for each room, in the order of the request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Broadcasted")]
pub(in crate::api) struct LandedMany {
    rooms: Vec<LandedRoom>,
}

/// The outcome in one room: a place or an error.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BroadcastedRoom")]
struct LandedRoom {
    /// The room.
    room_id: Room,
    #[serde(flatten)]
    outcome: RoomOutcome,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum RoomOutcome {
    Landed(Landed),
    Refused { error: ErrorObject },
}

impl From<Published> for Landed {
    fn from(published: Published) -> Self {
        Self {
            id: Message(published.id),
            epoch: EpochId(published.position.epoch),
            seq: published.position.seq,
            ts: published.ts,
        }
    }
}

/// What is said, by the fields that say it.
pub(super) fn body(
    content: Option<AnyJson>,
    event: Option<Event>,
    data: Option<AnyJson>,
) -> Result<Body, Failure> {
    match (content, event) {
        (Some(content), None) if data.is_none() => Ok(Body::Chat { content: content.0 }),
        (None, Some(name)) => Ok(Body::Event {
            name: name.0,
            data: data.map_or_else(Json::null, |data| data.0),
            attachments: Box::default(),
        }),
        (Some(_), Some(_)) => Err(Failure::invalid(
            "content and event exclude each other: content makes a chat:message, event an event",
        )),
        (None, None) => Err(Failure::invalid(
            "content or event is missing: content makes a chat:message, event an event",
        )),
        (Some(_), None) => Err(Failure::invalid(
            "data belongs to an event, which is missing",
        )),
    }
}

impl Work {
    /// Refuses what is larger than a client may send.
    pub(super) fn check_size(&self, bytes: usize) -> Result<(), Failure> {
        let max = self.app.config.connection.message_bytes_max;
        if bytes <= max {
            return Ok(());
        }
        let message = format!("a message of {bytes} bytes; limits.message_bytes allows {max}");
        Err(Failure::new(Code::TooLarge, message))
    }

    fn publish(&self, submission: Submission) -> Begun<Published> {
        let metrics = self.app.metrics.clone();
        let began = self.now.instant;
        asked(move |done| {
            let counted = move |result: Result<Published, Refusal>| {
                let seconds = began.elapsed().as_secs_f64();
                metrics.publish_seconds.observe(seconds);
                done(result);
            };
            self.app.node.publish(submission, Box::new(counted));
        })
    }

    fn check_publish(&self, namespace: &Namespace, room: &RoomName) -> Result<(), Failure> {
        self.check_room(namespace, room)?;
        self.app.check_public(room).map_err(|refusal| {
            let message = refusal
                .message
                .replace("send message:private", "use /private");
            Failure::new(ErrorCode::Forbidden.into(), message)
        })
    }
}

impl Command for Publish {
    type Answer = Landed;

    fn begin(self, work: &Work) -> Result<Begun<Landed>, Failure> {
        let (namespace, room) = (namespace(self.ns), self.room_id.0);
        work.check_publish(&namespace, &room)?;
        let body = body(self.content, self.event, self.data)?;
        work.check_size(body.len())?;
        let published = work.publish(Submission {
            namespace,
            author: self.user_id.map(|user| user.0),
            request: PublishRequest {
                room,
                body,
                idempotency_key: self.idempotency_key.map(|key| key.0),
            },
            now: work.now,
        });
        Ok(Box::pin(async move { Ok(published.await?.into()) }))
    }

    fn intention(&mut self) -> Option<&mut Option<Intention>> {
        Some(&mut self.idempotency_key)
    }
}

impl Command for Broadcast {
    type Answer = LandedMany;

    fn begin(self, work: &Work) -> Result<Begun<LandedMany>, Failure> {
        let max = work.app.config.config.api.batch_max;
        if self.room_ids.is_empty() || self.room_ids.len() > max {
            let count = self.room_ids.len();
            let message = format!("roomIds has {count} rooms: it must have 1 to {max}");
            return Err(Failure::invalid(message));
        }
        let namespace = namespace(self.ns);
        let body = body(self.content, self.event, self.data)?;
        work.check_size(body.len())?;
        let (author, key) = (self.user_id.map(|user| user.0), self.idempotency_key);
        let begin = |room: Room| {
            let begun = work.check_publish(&namespace, &room).map(|()| {
                work.publish(Submission {
                    namespace: namespace.clone(),
                    author: author.clone(),
                    request: PublishRequest {
                        room: room.0.clone(),
                        body: body.clone(),
                        idempotency_key: key.as_ref().map(|key| key.0.clone()),
                    },
                    now: work.now,
                })
            });
            (room, begun)
        };
        let begun: Vec<_> = self.room_ids.into_iter().map(begin).collect();
        Ok(Box::pin(async move {
            let mut rooms = Vec::with_capacity(begun.len());
            for (room_id, begun) in begun {
                let published = match begun {
                    Ok(published) => published.await,
                    Err(failure) => Err(failure),
                };
                let outcome = match published {
                    Ok(published) => RoomOutcome::Landed(published.into()),
                    Err(failure) => RoomOutcome::Refused {
                        error: failure.told(),
                    },
                };
                rooms.push(LandedRoom { room_id, outcome });
            }
            Ok(LandedMany { rooms })
        }))
    }

    fn intention(&mut self) -> Option<&mut Option<Intention>> {
        Some(&mut self.idempotency_key)
    }
}
