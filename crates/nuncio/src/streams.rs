//! Native clients without a WebSocket: their endpoints as configured, and who may watch which rooms.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode, Uri};
use nuncio_hub::Role;
use nuncio_model::{
    Epoch, ErrorCode, Grants, Identity, JoinRequest, Now, Outcome, Position, Refusal, Right,
    RoomName, Secret, UserId, Watch, quote,
};
use nuncio_protocol::stream::parse_places;
use nuncio_transport::{
    Body, Client, FeedAdmission, Standing, StreamOptions, Streams, clock, refuse,
};

use crate::answer::now_or_later;
use crate::app::{Nuncio, Refused, namespace, query};
use crate::calls::{Answered, standing_of};
use crate::config::CheckedConfig;
use crate::hooks::{Arriving, Beginning, Headers, status_of};
use crate::origin::redact;

/// `None` where they are turned off.
pub(crate) fn endpoint(config: &CheckedConfig) -> Option<Arc<Streams>> {
    let section = &config.config.streams;
    let options = StreamOptions {
        poll_wait: section.poll_wait,
        silence: section.silence,
        retry: section.retry,
        body_bytes_max: section.body_bytes.0,
    };
    let websocket = &config.config.server.path;
    section
        .enabled
        .then(|| Arc::new(Streams::beside(websocket, options)))
}

/// A request that gets no stream: the status and what the client is told.
pub(crate) struct NotAdmitted(StatusCode, Refusal);

impl From<Refused> for NotAdmitted {
    fn from(Refused(status, message): Refused) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => ErrorCode::NotAuthenticated,
            StatusCode::FORBIDDEN => ErrorCode::Forbidden,
            StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
            _ => ErrorCode::InvalidMessage,
        };
        Self(status, Refusal::new(code, message))
    }
}

impl From<Refusal> for NotAdmitted {
    fn from(refusal: Refusal) -> Self {
        Self(status_of(refusal.code), refusal)
    }
}

impl NotAdmitted {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, Refusal::invalid(message))
    }

    const fn forbidden(refusal: Refusal) -> Self {
        Self(StatusCode::FORBIDDEN, refusal)
    }
}

impl Nuncio {
    /// Counts a refused request.
    pub(crate) fn turn_away_in_json(&self, refused: NotAdmitted, uri: &Uri) -> Response<Body> {
        let NotAdmitted(status, refusal) = refused;
        self.metrics
            .handshakes_refused
            .get_or_create(&[("status", status.as_u16().to_string())])
            .inc();
        let uri = redact(uri);
        tracing::debug!(status = status.as_u16(), reason = refusal.message, %uri, "a request was refused");
        refuse(status, &refusal)
    }

    /// Who wants to watch which rooms, and whether it may.
    pub(crate) async fn feed_admission(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> Result<FeedAdmission, NotAdmitted> {
        let caller = self.caller(&request.uri, &request.headers)?;
        self.check_room()?;
        let namespace = namespace(request)?;
        let token = self.token_of(&request.uri, &request.headers, caller)?;
        let address = self.address_of(&request.headers, peer);
        let identity = match token {
            Some(token) => {
                let arriving = Arriving {
                    address: address.to_string(),
                    headers: Headers::of(&request.headers),
                    token: Some(self.presented(Secret::from(token.as_str()), clock::now())),
                    ..Arriving::default()
                };
                Some(self.identify_apart(namespace.clone(), arriving).await?)
            }
            None => None,
        };
        let grants = identity
            .as_ref()
            .map_or(&self.config.anonymous, |identity| &identity.grants);
        grants
            .check_namespace(&namespace)
            .map_err(NotAdmitted::forbidden)?;
        let rooms = self.rooms_of(request)?;
        for room in &rooms {
            self.check_watched(room, grants, identity.as_ref())?;
        }
        let user = identity.as_ref().map(|identity| &identity.user);
        self.check_watch(&namespace, user, &rooms).await?;
        let rooms = join_requests(request, rooms, grants)?;
        Ok(FeedAdmission {
            namespace,
            watch: Watch { identity, rooms },
            address,
            standing: None,
        })
    }

    /// The rooms of `?room=a&room=b`, in their order.
    fn rooms_of(&self, request: &Parts) -> Result<Vec<RoomName>, NotAdmitted> {
        let pairs = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
        let rooms_max = self.config.connection.rooms_max;
        let mut rooms = Vec::new();
        for (_, name) in pairs.filter(|(key, _)| key == "room") {
            let room =
                RoomName::parse(&name).map_err(|wrong| NotAdmitted::bad(wrong.to_string()))?;
            if rooms.contains(&room) {
                let message = format!("room {} is named twice", quote(&room));
                return Err(NotAdmitted::bad(message));
            }
            rooms.push(room);
            if rooms.len() > rooms_max {
                let message = format!("at most {rooms_max} rooms are allowed");
                return Err(NotAdmitted::bad(message));
            }
        }
        if rooms.is_empty() {
            return Err(NotAdmitted::bad(
                "name the rooms, ?room=a&room=b, or the session, Authorization: Nuncio-Session <resume token>",
            ));
        }
        Ok(rooms)
    }

    fn check_watched(
        &self,
        room: &RoomName,
        grants: &Grants,
        identity: Option<&Identity>,
    ) -> Result<(), NotAdmitted> {
        if identity.is_none() && !grants.rights(room).has(Right::Join) {
            let message = format!(
                "Missing token: room {} is not open to visitors",
                quote(room)
            );
            let refusal = Refusal::new(ErrorCode::NotAuthenticated, message);
            return Err(NotAdmitted(StatusCode::UNAUTHORIZED, refusal));
        }
        grants
            .check(room, Right::Join)
            .and_then(|()| self.check_public(room))
            .map_err(NotAdmitted::forbidden)
    }

    /// Lets a client watch rooms.
    pub(crate) fn watch(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        watch: Watch,
        now: Now,
    ) -> Answered {
        let Watch { identity, rooms } = watch;
        let (user, standing, role) = match &identity {
            Some(identity) => (identity.user.clone(), standing_of(identity), Role::Feed),
            None => {
                let given = client.about.standing.take();
                let standing = given.unwrap_or_else(|| self.visitor_standing());
                (visitor(), standing, Role::Visitor)
            }
        };
        let socket = match self.connect(client, &user, &standing, role, Beginning::New) {
            Ok(socket) => socket,
            Err(refusal) => return Some(Err(refusal)),
        };
        let returning: Vec<_> = rooms
            .iter()
            .filter(|request| request.since.is_some())
            .map(|request| request.room.clone())
            .collect();
        let app = self.clone();
        now_or_later(&client.outbox, call, |answer| {
            let rooms_max = self.config.connection.rooms_max;
            self.node
                .join(&socket, rooms, rooms_max, now, move |rooms| {
                    for joined in rooms.iter().flatten() {
                        if returning.contains(&joined.room) {
                            app.metrics.recovery(joined.recovered);
                        }
                    }
                    answer(Ok(Outcome::Watching(rooms)));
                });
        })
    }

    fn visitor_standing(&self) -> Standing {
        Standing {
            grants: self.config.anonymous.clone(),
            exp: None,
            iat: None,
            token_id: None,
        }
    }
}

/// The name of all who have none. It is in no list of users, so a user may have it too.
fn visitor() -> UserId {
    UserId::parse("visitor").expect("it is a name")
}

/// Where the stream of each room begins: behind what was seen last, or with the newest messages, or now.
fn join_requests(
    request: &Parts,
    rooms: Vec<RoomName>,
    grants: &Grants,
) -> Result<Vec<JoinRequest>, NotAdmitted> {
    let header = request.headers.get("last-event-id");
    let last = header
        .and_then(|id| id.to_str().ok().filter(|id| !id.is_empty()))
        .map(str::to_owned)
        .or_else(|| query(request, "lastEventId"));
    if let Some(last) = last {
        let places = parse_places(&last, rooms.len()).unwrap_or_else(|| vec![None; rooms.len()]);
        let requests = rooms.into_iter().zip(places);
        return Ok(requests
            .map(|(room, place)| {
                let may_look_back = grants.rights(&room).has(Right::History);
                let since = place.filter(|_| may_look_back).unwrap_or(UNKNOWN);
                JoinRequest {
                    room,
                    since: Some(since),
                    history: None,
                }
            })
            .collect());
    }
    let history = query(request, "history")
        .map(|count| count.parse::<u32>())
        .transpose()
        .map_err(|_| NotAdmitted::bad("history must be a number of messages"))?;
    if history.is_some() {
        for room in &rooms {
            grants
                .check(room, Right::History)
                .map_err(NotAdmitted::forbidden)?;
        }
    }
    let requests = rooms.into_iter();
    Ok(requests
        .map(|room| JoinRequest {
            room,
            since: None,
            history,
        })
        .collect())
}

/// Stands for what a client has seen where that cannot be told: no room is there, so the client hears that its messages are not all there.
pub(crate) const UNKNOWN: Position = Position {
    epoch: Epoch::from_random(0),
    seq: 0,
};
