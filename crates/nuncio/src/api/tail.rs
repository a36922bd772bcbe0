//! What is said in rooms, as server-sent events: for whoever looks on, not for clients. Nobody sees it, and it is in no count of users.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use nuncio_model::{Grants, JoinRequest, Namespace, RoomName, Watch, quote};
use nuncio_protocol::stream::parse_places;
use nuncio_transport::{Body, FeedAdmission, Place, RequestBody, Standing, feed};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::command::Work;
use super::failure::{Code, Failure};
use super::json::parse_command;
use super::request::Input;
use super::value::{Ns, Room, namespace};
use crate::streams::UNKNOWN;

/// Follows rooms: where each stands, what was said before if that is asked for, then what is said, without a gap. Whoever comes back with the last `id:` gets what
/// was said meanwhile; `room:position` with `"recovered":false` tells where that is not all. A comment comes while nothing else does. As long as it goes on, it is one of the
/// key's `api.requests_max` requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "TailQuery")]
pub(super) struct Tail {
    /// The rooms, `roomId=a&roomId=b`: as many as a session may be in.
    #[schemars(length(min = 1))]
    room_id: Vec<Room>,
    /// The last `id:` that was seen, for the same rooms in the same order: for each its epoch and seq, `q83vASNFZ4k.42`, with commas between them. The header `Last-Event-ID` comes
    /// before it.
    #[serde(default)]
    since: Option<String>,
    /// Messages of each room's history that come first, without `since`; none when left out.
    #[serde(default)]
    limit: Option<u32>,
    /// The rooms' namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// How the document describes what comes.
pub(super) fn answer() -> Schema {
    json_schema!({
        "type": "string",
        "description": "Server-sent events, their data each a message of the native protocol: `room:position`, `chat:message`, `event`, `reconnect`, `close` and others.",
    })
}

/// A tail that is about to begin.
pub(super) struct Opening {
    tail: Tail,
    last: Option<String>,
    address: IpAddr,
    place: Option<Place>,
}

/// What a client is told to wait before it comes back after a loss.
const RETRY: Duration = Duration::from_secs(1);

impl Opening {
    pub(super) fn of(
        request: &Request<RequestBody>,
        input: &Input,
        address: IpAddr,
    ) -> Result<Self, Failure> {
        let tail: Tail = parse_command(&input.text)?;
        Ok(Self {
            last: last_event_id(request.headers()).or_else(|| tail.since.clone()),
            tail,
            address,
            place: request.extensions().get().cloned(),
        })
    }

    /// Begins it; the permit is held until it ends.
    pub(super) fn open(
        self,
        work: &Work,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<Body>, Failure> {
        work.key.charge(work.now.instant)?;
        let namespace = namespace(self.tail.ns.clone());
        let rooms = self.rooms(work, &namespace)?;
        let admission = FeedAdmission {
            watch: Watch {
                identity: None,
                rooms: self.requests(work, rooms)?,
            },
            standing: Some(looking_on(&namespace)),
            namespace,
            address: self.address,
        };
        let shared = work.app.shared.get().and_then(std::sync::Weak::upgrade);
        let shared = shared.ok_or_else(|| Failure::new(Code::Unavailable, "shutting down"))?;
        work.app
            .check_room()
            .map_err(|refused| Failure::new(Code::Unavailable, refused.1))?;
        if let Some(place) = self.place {
            place.give_up();
        }
        let response = feed(shared, RETRY, admission);
        Ok(response.map(|body| {
            let held = body.map_frame(move |frame| {
                let _held = &permit;
                frame
            });
            held.boxed_unsync()
        }))
    }

    fn rooms(&self, work: &Work, namespace: &Namespace) -> Result<Vec<RoomName>, Failure> {
        let max = work.app.config.connection.rooms_max;
        let wanted = &self.tail.room_id;
        if wanted.is_empty() || wanted.len() > max {
            let message = format!("{} rooms are named: name 1 to {max}", wanted.len());
            return Err(Failure::invalid(message));
        }
        let mut rooms = Vec::with_capacity(wanted.len());
        for Room(room) in wanted {
            work.key.check_namespace(namespace)?;
            work.key.check_room(room)?;
            work.app.check_public(room)?;
            if rooms.contains(room) {
                let message = format!("room {} is named twice", quote(room));
                return Err(Failure::invalid(message));
            }
            rooms.push(room.clone());
        }
        Ok(rooms)
    }

    /// Where each room begins: behind what was seen last, or with the newest messages, or now.
    fn requests(&self, work: &Work, rooms: Vec<RoomName>) -> Result<Vec<JoinRequest>, Failure> {
        let Some(last) = &self.last else {
            let max = work.app.config.history.messages_max as u32;
            let history = self.tail.limit.map(|limit| limit.min(max));
            let requests = rooms.into_iter().map(|room| JoinRequest {
                room,
                since: None,
                history,
            });
            return Ok(requests.collect());
        };
        let places = parse_places(last, rooms.len()).ok_or_else(|| {
            let message = format!(
                "since is {}: it must be the id of an event of these {} rooms, such as q83vASNFZ4k.42",
                quote(last),
                rooms.len()
            );
            Failure::invalid(message)
        })?;
        let requests = rooms.into_iter().zip(places);
        let requests = requests.map(|(room, place)| JoinRequest {
            room,
            since: Some(place.unwrap_or(UNKNOWN)),
            history: None,
        });
        Ok(requests.collect())
    }
}

/// What the key is checked for, and nothing else.
fn looking_on(namespace: &Namespace) -> Standing {
    Standing {
        grants: Arc::new(Grants {
            namespaces: vec![namespace.clone()],
            ..Grants::default()
        }),
        exp: None,
        iat: None,
        token_id: None,
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id")?.to_str().ok()?;
    (!id.is_empty()).then(|| id.to_owned())
}
