//! What happened, and how it is written.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nuncio_hub::RoomKey;
use nuncio_model::{Body, Json, Namespace, Publication, SocketId, UserId};
use nuncio_store::{Begun, Entry};
use nuncio_transport::Closed;
use serde::{Deserialize, Serialize};

use crate::config::EventKind;

/// One thing that happened, and when, in milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) at_ms: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Connected(Presence),
    Disconnected(Presence, Ending),
    Joined(RoomKey, SocketId, UserId),
    Left(RoomKey, SocketId, UserId),
    Occupied(RoomKey),
    Vacated(RoomKey),
    Online(Namespace, UserId),
    Offline(Namespace, UserId),
    Published(Arc<Publication>),
}

/// A session on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    pub(crate) namespace: Namespace,
    pub(crate) session: SocketId,
    pub(crate) user: UserId,
    pub(crate) transport: &'static str,
    pub(crate) address: std::net::IpAddr,
    pub(crate) resumed: bool,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) seconds: f64,
}

impl Ending {
    pub(super) fn of(closed: &Closed) -> Self {
        Self {
            code: closed.code.0,
            reason: closed.reason.clone().into_owned(),
            seconds: closed.after.as_secs_f64(),
        }
    }
}

impl What {
    pub(super) const fn kind(&self) -> EventKind {
        match self {
            Self::Connected(_) => EventKind::Connected,
            Self::Disconnected(..) => EventKind::Disconnected,
            Self::Joined(..) => EventKind::Joined,
            Self::Left(..) => EventKind::Left,
            Self::Occupied(_) => EventKind::Occupied,
            Self::Vacated(_) => EventKind::Vacated,
            Self::Online(..) => EventKind::Online,
            Self::Offline(..) => EventKind::Offline,
            Self::Published(_) => EventKind::Published,
        }
    }

    /// Where it happened.
    pub(super) fn place(&self) -> (&Namespace, Option<&str>) {
        match self {
            Self::Connected(presence) | Self::Disconnected(presence, _) => {
                (&presence.namespace, None)
            }
            Self::Joined(key, ..)
            | Self::Left(key, ..)
            | Self::Occupied(key)
            | Self::Vacated(key) => (&key.namespace, Some(&key.room)),
            Self::Online(namespace, _) | Self::Offline(namespace, _) => (namespace, None),
            Self::Published(publication) => (&publication.namespace, Some(&publication.room)),
        }
    }

    /// About how much memory it takes while it waits to be written.
    pub(super) fn bytes(&self) -> usize {
        let content = match self {
            Self::Published(publication) => publication.body.len(),
            Self::Disconnected(_, ending) => ending.reason.len(),
            Self::Connected(_)
            | Self::Joined(..)
            | Self::Left(..)
            | Self::Occupied(_)
            | Self::Vacated(_)
            | Self::Online(..)
            | Self::Offline(..) => 0,
        };
        size_of::<Happened>() + content
    }
}

/// An event as it stands in the log: all but the numbers that the log gives.
#[derive(Debug, Default, Serialize)]
struct Written<'a> {
    r#type: &'a str,
    time: u64,
    namespace: &'a str,
    #[serde(rename = "roomId", skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    id: String,
    epoch: String,
    seq: u64,
    ts: u64,
    #[serde(rename = "userId", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<String>,
}

impl Happened {
    /// What is appended to the log.
    pub(super) fn entry(&self) -> Entry {
        let event = self.written();
        match &self.what {
            What::Connected(presence) => Entry::Begin {
                key: presence.session.to_string().into(),
                event,
                at_ms: self.at_ms,
            },
            What::Disconnected(presence, _) => Entry::End {
                key: presence.session.to_string().into(),
                event,
            },
            What::Joined(..)
            | What::Left(..)
            | What::Occupied(_)
            | What::Vacated(_)
            | What::Online(..)
            | What::Offline(..)
            | What::Published(_) => Entry::Event(event),
        }
    }

    fn written(&self) -> Bytes {
        let (namespace, room) = self.what.place();
        let mut written = Written {
            r#type: self.what.kind().as_str(),
            time: self.at_ms,
            namespace: namespace.as_str(),
            room,
            ..Written::default()
        };
        match &self.what {
            What::Connected(presence) => written.tell_presence(presence),
            What::Disconnected(presence, ending) => {
                written.tell_presence(presence);
                written.resumed = None;
                written.code = Some(ending.code);
                written.reason = Some(&ending.reason);
                written.seconds = Some(ending.seconds);
            }
            What::Joined(_, session, user) | What::Left(_, session, user) => {
                written.session = Some(session.to_string());
                written.user = Some(user);
            }
            What::Occupied(_) | What::Vacated(_) => {}
            What::Online(_, user) | What::Offline(_, user) => written.user = Some(user),
            What::Published(publication) => written.message = Some(Message::of(publication)),
        }
        Json::of(&written).as_bytes().clone()
    }
}

impl<'a> Written<'a> {
    fn tell_presence(&mut self, presence: &'a Presence) {
        self.session = Some(presence.session.to_string());
        self.user = Some(&presence.user);
        self.transport = Some(presence.transport);
        self.address = Some(presence.address.to_string());
        self.resumed = Some(presence.resumed);
    }
}

impl<'a> Message<'a> {
    fn of(publication: &'a Publication) -> Self {
        let (content, event, data, attachments) = match &publication.body {
            Body::Chat { content } => (Some(content), None, None, &[][..]),
            Body::Event {
                name,
                data,
                attachments,
            } => (None, Some(name.as_str()), Some(data), &attachments[..]),
        };
        Self {
            id: publication.id.to_string(),
            epoch: publication.position.epoch.to_string(),
            seq: publication.position.seq,
            ts: publication.ts,
            user: publication.author.as_deref(),
            content,
            event,
            data,
            attachments: attachments
                .iter()
                .map(|bytes| BASE64.encode(bytes))
                .collect(),
        }
    }
}

/// The end of a connection that died with its process: 1006, and the time for which it is known to have lasted.
pub(super) fn lost(begun: &Begun, alive_ms: u64) -> Bytes {
    let end_ms = alive_ms.max(begun.at_ms);
    let connected: Connected = serde_json::from_slice(&begun.event).unwrap_or_default();
    let ended = Written {
        r#type: EventKind::Disconnected.as_str(),
        time: end_ms,
        namespace: &connected.namespace,
        session: Some(connected.session),
        user: Some(&connected.user),
        transport: Some(&connected.transport),
        address: Some(connected.address),
        code: Some(1006),
        reason: Some("the server ended without closing the connection"),
        seconds: Some((end_ms - begun.at_ms) as f64 / 1000.0),
        ..Written::default()
    };
    Json::of(&ended).as_bytes().clone()
}

/// What is read back of an event that began a connection.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Connected {
    namespace: String,
    session: String,
    user: String,
    transport: String,
    address: String,
}

/// What a destination is chosen by.
#[derive(Debug, Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(borrow)]
    pub(super) r#type: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub(super) namespace: std::borrow::Cow<'a, str>,
    #[serde(rename = "roomId", borrow, default)]
    pub(super) room: Option<std::borrow::Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_died_with_its_process_ends_with_what_is_known_of_it() {
        let presence = Presence {
            namespace: Namespace::parse("/chat").unwrap(),
            session: SocketId::from_random([7; 15]),
            user: UserId::parse("ann").unwrap(),
            transport: "websocket",
            address: [127, 0, 0, 1].into(),
            resumed: true,
        };
        let connected = Happened {
            at_ms: 1_000,
            what: What::Connected(presence),
        };
        let Entry::Begin { event, at_ms, .. } = connected.entry() else {
            panic!("no beginning");
        };
        let begun = Begun {
            number: 1,
            at_ms,
            event,
        };

        let ended = String::from_utf8(lost(&begun, 3_500).to_vec()).unwrap();

        let session = SocketId::from_random([7; 15]);
        assert_eq!(
            ended,
            format!(
                r#"{{"type":"disconnected","time":3500,"namespace":"/chat","session":"{session}","user":"ann","transport":"websocket","address":"127.0.0.1","code":1006,"reason":"the server ended without closing the connection","seconds":2.5}}"#
            )
        );
    }
}
