//! Who an event goes to.

use std::time::Duration;

use nuncio_hub::Submission;
use nuncio_model::{
    Body, Compression, Emit, EventName, NameError, Namespace as Name, PublishRequest, Push,
    RoomName, SocketId, Target, Volatility,
};
use nuncio_transport::clock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::Args;
use super::core::{Hub, Scope};
use super::question::Questions;
use super::remote::RemoteSocket;
use super::rooms::Rooms;
use super::socket::send_away;
use super::{Close, EmitError, Io, outgoing};

/// A choice of clients, made by `to`, `except` and the others, and what is done with them. Each client is chosen once, however many of the rooms it is in.
///
/// **`io.to(room).emit(…)` is a publication** when it names one room and nothing else: it takes its place in the room's one order, is kept in its history and
/// replayed to who comes back, native clients included. Everything else (several rooms, `except`, `volatile`, `local`, `compress(false)`, from a socket) is an
/// emit: it is not kept. See `docs/protocol.md`, "Words".
#[derive(Debug, Clone)]
#[must_use = "a choice of clients does nothing until something is emitted to them"]
pub struct Broadcast {
    io: Io,
    scope: Scope,
    /// One client, and nobody else.
    only: Option<SocketId>,
    rooms: Vec<RoomName>,
    except: Vec<Target>,
    volatility: Volatility,
    compression: Compression,
    timeout: Option<Duration>,
    reach: Reach,
    fault: Option<NameError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    AllNodes,
    ThisNode,
}

impl Broadcast {
    pub(super) const fn new(io: Io, scope: Scope) -> Self {
        Self {
            io,
            scope,
            only: None,
            rooms: Vec::new(),
            except: Vec::new(),
            volatility: Volatility::Kept,
            compression: Compression::AsAgreed,
            timeout: None,
            reach: Reach::AllNodes,
            fault: None,
        }
    }

    pub(super) const fn only(mut self, socket: SocketId) -> Self {
        self.only = Some(socket);
        self
    }

    pub(super) fn without(mut self, target: Target) -> Self {
        self.except.push(target);
        self
    }

    /// Those in these rooms, beside those in rooms that were named before. A socket's id is its private room.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        match rooms.parse() {
            Ok(rooms) => self.rooms.extend(rooms),
            Err(error) => self.fault = Some(error),
        }
        self
    }

    /// The same as [`to`](Self::to); `in` is a word of Rust.
    pub fn in_(self, rooms: impl Rooms) -> Self {
        self.to(rooms)
    }

    /// None of those in these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        match rooms.parse() {
            Ok(rooms) => self.except.push(Target::Rooms(rooms)),
            Err(error) => self.fault = Some(error),
        }
        self
    }

    /// What may be lost: it is skipped for clients that have not read what was sent before.
    pub const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// `compress(false)`: what is emitted is not compressed for WebSockets that agreed to it (`socketio.deflate`), because it would gain nothing, as with a
    /// picture. What is small is never compressed.
    pub const fn compress(mut self, compress: bool) -> Self {
        self.compression = if compress {
            Compression::AsAgreed
        } else {
            Compression::Never
        };
        self
    }

    /// How long [`emit_with_ack`](Self::emit_with_ack) waits for answers; nothing else is waited for. Default 30 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Only clients of this node.
    pub const fn local(mut self) -> Self {
        self.reach = Reach::ThisNode;
        self
    }

    /// Emits an event. A tuple is several arguments, `()` none, anything else one.
    ///
    /// It is on its way when this returns. A publication that cannot be stored is logged.
    ///
    /// # Errors
    /// [`EmitError`]: the name of the event or of a room is none, the data is no JSON, or clients could not recover it because the store is not to be written.
    pub fn emit(&self, event: &str, data: impl Serialize) -> Result<(), EmitError> {
        let name = event_name(event)?;
        let args = Args::encode(&data)?;
        let mut emitted = Ok(());
        self.each(|hub, namespace| {
            self.tell_outgoing(hub, namespace, &name, &args);
            match self.publication() {
                Some(room) => publish(hub, namespace, room, &name, &args),
                None => {
                    let emit = self.selection(namespace, self.push(&name, &args));
                    if let Err(refusal) = hub.node.emit(emit) {
                        emitted = Err(EmitError::Refused(refusal));
                    }
                }
            }
        })?;
        emitted
    }

    /// Emits an event that each client is to acknowledge, and collects the answers: for 30 s, unless [said otherwise](Self::timeout).
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Questions<T> {
        Questions::new(self.clone(), event, &data)
    }

    /// The chosen clients.
    ///
    /// # Errors
    /// When a room's name is none.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, EmitError> {
        let places = self.places()?.into_iter();
        let io = &self.io;
        Ok(places
            .map(|place| RemoteSocket::new(io.clone(), place))
            .collect())
    }

    /// Makes the chosen clients join rooms. One that may not (it is in as many as are allowed) is logged.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn sockets_join(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        let rooms = rooms.parse().map_err(EmitError::Room)?;
        for place in self.places()? {
            let id = place.id;
            self.io.bring(&place, rooms.clone(), move |outcome| {
                for (room, refusal) in outcome.into_iter().filter_map(Result::err) {
                    tracing::warn!(socket = %id, %room, %refusal, "a socket could not be joined to a room");
                }
            });
        }
        Ok(())
    }

    /// Makes the chosen clients leave rooms.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn sockets_leave(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        let rooms = rooms.parse().map_err(EmitError::Room)?;
        let places = self.places()?;
        self.each(|hub, namespace| {
            let now = clock::now();
            let here = places.iter().filter(|place| place.namespace == *namespace);
            for (place, room) in here.flat_map(|place| rooms.iter().map(move |room| (place, room)))
            {
                hub.node.leave(place, room, now);
            }
        })
    }

    /// Sends the chosen clients away.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn disconnect_sockets(&self, close: Close) -> Result<(), EmitError> {
        for place in self.places()? {
            send_away(&place, close);
        }
        Ok(())
    }

    /// Tells those who want to know what is emitted to them. O(clients) while anybody does.
    fn tell_outgoing(&self, hub: &Hub, namespace: &Name, name: &EventName, args: &Args) {
        let core = &self.io.core;
        if core.is_overheard() {
            let places = hub.node.select(namespace, &self.target(), &self.except);
            outgoing::tell(core, &places, name, args);
        }
    }

    pub(super) const fn io(&self) -> &Io {
        &self.io
    }

    pub(super) const fn compression(&self) -> Compression {
        self.compression
    }

    pub(super) const fn patience(&self) -> Option<Duration> {
        self.timeout
    }

    /// The chosen clients' places in the hub.
    pub(super) fn places(
        &self,
    ) -> Result<Vec<std::sync::Arc<nuncio_transport::Socket>>, EmitError> {
        let mut places = Vec::new();
        self.each(|hub, namespace| {
            let target = self.target();
            places.extend(hub.node.select(namespace, &target, &self.except));
        })?;
        Ok(places)
    }

    /// Does something in each namespace; nothing before there is a server.
    fn each(&self, mut act: impl FnMut(&Hub, &Name)) -> Result<(), EmitError> {
        if let Some(fault) = &self.fault {
            return Err(EmitError::Room(fault.clone()));
        }
        if let Some(hub) = self.io.core.hub() {
            for namespace in self.io.core.present(&self.scope) {
                act(hub, &namespace);
            }
        }
        Ok(())
    }

    /// The room that this publishes to, when it is a publication.
    fn publication(&self) -> Option<&RoomName> {
        let plain = self.only.is_none()
            && self.except.is_empty()
            && self.volatility == Volatility::Kept
            && self.compression == Compression::AsAgreed
            && self.reach == Reach::AllNodes;
        match &self.rooms[..] {
            [room] if plain && !self.io.core.is_private(room) => Some(room),
            _ => None,
        }
    }

    fn target(&self) -> Target {
        match self.only {
            Some(socket) => Target::Sockets(vec![socket]),
            None if self.rooms.is_empty() => Target::Everyone,
            None => Target::Rooms(self.rooms.clone()),
        }
    }

    fn selection(&self, namespace: &Name, push: Push) -> Emit {
        Emit {
            namespace: namespace.clone(),
            target: self.target(),
            except: self.except.clone(),
            push,
            volatility: self.volatility,
        }
    }

    fn push(&self, name: &EventName, args: &Args) -> Push {
        let room = match &self.rooms[..] {
            [room] if !self.io.core.is_private(room) => Some(room.clone()),
            _ => None,
        };
        Push::Event {
            name: name.clone(),
            data: args.data.clone(),
            attachments: args.attachments.clone(),
            room,
            author: None,
            ts: clock::now().unix_ms,
            compression: self.compression,
        }
    }
}

fn publish(hub: &Hub, namespace: &Name, room: &RoomName, name: &EventName, args: &Args) {
    let submission = Submission {
        namespace: namespace.clone(),
        author: None,
        request: PublishRequest {
            room: room.clone(),
            body: Body::Event {
                name: name.clone(),
                data: args.data.clone(),
                attachments: args.attachments.clone(),
            },
            idempotency_key: None,
        },
        now: clock::now(),
    };
    let (room, event) = (room.clone(), name.clone());
    let done = move |published: Result<nuncio_model::Published, nuncio_model::Refusal>| {
        if let Err(refusal) = published {
            tracing::warn!(%room, %event, %refusal, "an event could not be published");
        }
    };
    hub.node.publish(submission, Box::new(done));
}

/// A name that an event may have which a server emits.
pub(super) fn event_name(event: &str) -> Result<EventName, EmitError> {
    if RESERVED.contains(&event) {
        let event = event.to_owned();
        return Err(EmitError::Reserved { event });
    }
    EventName::parse(event).map_err(EmitError::Event)
}

/// Names of a Socket.IO client's own life cycle (socket.io-parser, `RESERVED_EVENTS`).
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];
