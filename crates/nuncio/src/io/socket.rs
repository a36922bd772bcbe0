//! One client in one namespace, as handlers see it.

mod emitting;
mod listening;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::Extensions;
use nuncio_hub::{JoinOutcome, Notice, Pushed};
use nuncio_model::{CloseCode, JoinRequest, Json, Namespace as Name, RoomName, SocketId, UserId};
use nuncio_transport::{Form, Transport, clock};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::core::Scope;
use super::listeners::Listeners;
use super::{Close, EmitError, Handshake, Io, JoinError, Namespace, Rooms};

/// A client in a namespace: a Socket.IO client, or a native one. A handle, cheap to clone, that stays valid after the client went; what is emitted to it
/// then goes nowhere.
///
/// Handlers are given in `on_connect`; what comes before a handler is there is lost, so give them before the first `await`.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    io: Io,
    id: SocketId,
    user: UserId,
    namespace: Name,
    handshake: Handshake,
    recovered: Recovered,
    has_websocket: AtomicBool,
    /// Its place in the rooms, once it is in.
    place: OnceLock<Arc<nuncio_transport::Socket>>,
    is_connected: AtomicBool,
    data: Mutex<Option<Json>>,
    extensions: RwLock<Extensions>,
    listeners: Mutex<Listeners>,
}

/// Who a socket is before it is in.
pub(super) struct Newcomer {
    pub(super) id: SocketId,
    pub(super) user: UserId,
    pub(super) namespace: Name,
    pub(super) handshake: Handshake,
    pub(super) recovered: Recovered,
    pub(super) transport: Transport,
}

/// Whether a socket has its session back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovered {
    Yes,
    No,
}

impl Socket {
    pub(super) fn new(io: Io, newcomer: Newcomer) -> Self {
        let Newcomer {
            id,
            user,
            namespace,
            handshake,
            recovered,
            transport,
        } = newcomer;
        Self(Arc::new(Inner {
            io,
            id,
            user,
            namespace,
            handshake,
            recovered,
            has_websocket: AtomicBool::new(transport == Transport::WebSocket),
            place: OnceLock::new(),
            is_connected: AtomicBool::new(false),
            data: Mutex::default(),
            extensions: RwLock::default(),
            listeners: Mutex::default(),
        }))
    }

    /// Its id, which others may know; also the name of its private room.
    pub fn id(&self) -> SocketId {
        self.0.id
    }

    /// Who it is: the user of its token, or its id where the server verifies no tokens.
    pub fn user(&self) -> &UserId {
        &self.0.user
    }

    /// The server's namespaces.
    pub fn io(&self) -> &Io {
        &self.0.io
    }

    /// The namespace that it is in.
    pub fn namespace(&self) -> Namespace {
        self.0.io.scoped(Scope::One(self.0.namespace.clone()))
    }

    /// What it said when it came.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// How its messages travel at this moment: a Socket.IO client may begin with polls and [upgrade](Self::on_upgrade). Streams and polls of native clients
    /// are `Polling` too.
    pub fn transport(&self) -> Transport {
        if self.0.has_websocket.load(Ordering::Acquire) {
            Transport::WebSocket
        } else {
            Transport::Polling
        }
    }

    /// Whether it has its id, rooms and data back from a connection that was lost.
    pub fn recovered(&self) -> bool {
        self.0.recovered == Recovered::Yes
    }

    /// Whether it is in, and not gone. A middleware runs before.
    pub fn is_connected(&self) -> bool {
        self.0.is_connected.load(Ordering::Acquire)
    }

    /// What the program keeps with it, as JSON: `socket.data` of Socket.IO, which connection state recovery brings back. `None` when there is none, or it
    /// is something else.
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        let data = self.0.data.lock().clone()?;
        serde_json::from_str(data.as_str()).ok()
    }

    /// Keeps something with it, in place of what was there. Where sessions are recovered, more than they may keep is not; that is logged.
    ///
    /// # Panics
    /// When the value has a map whose keys are not text.
    pub fn set_data(&self, data: impl Serialize) {
        let json = Json::of(&data);
        *self.0.data.lock() = Some(json.clone());
        if let Some(place) = self.place() {
            self.keep(place, json);
        }
    }

    /// Has it come back with the session.
    fn keep(&self, place: &nuncio_transport::Socket, data: Json) {
        let Some(hub) = self.0.io.core.hub() else {
            return;
        };
        let kept = hub.node.set_data(place, Some(data.as_bytes().clone()));
        if let Err(refusal) = kept {
            tracing::warn!(socket = %self.0.id, %refusal, "the data of a socket will not be recovered");
        }
    }

    /// Has what was kept with the session.
    pub(super) fn restore(&self, data: Option<Bytes>) {
        *self.0.data.lock() = data.map(Json::from_checked);
    }

    /// Keeps a value of this program's with it, by its type: for [`Extension`](super::Extension).
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) {
        self.0.extensions.write().insert(value);
    }

    /// A copy of what was kept by [`insert`](Self::insert).
    pub fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.0.extensions.read().get::<T>().cloned()
    }

    /// Joins rooms: what is said there from now on comes to the client. In memory this is done when the future is first polled.
    ///
    /// # Errors
    /// [`JoinError`]; rooms before the one that is refused are joined.
    pub async fn join(&self, rooms: impl Rooms) -> Result<(), JoinError> {
        let rooms = rooms.parse()?;
        let place = self.place().ok_or(JoinError::NotConnected)?;
        let (tell, told) = oneshot::channel();
        self.0.io.bring(place, rooms, move |outcome| {
            let _ = tell.send(outcome);
        });
        let outcome = told.await.map_err(|_| JoinError::NotConnected)?;
        outcome
            .into_iter()
            .try_for_each(|joined| joined.map(drop).map_err(|(_, refusal)| refusal.into()))
    }

    /// Leaves rooms; those it is not in are passed over.
    ///
    /// # Errors
    /// When a name is none.
    pub fn leave(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        let rooms = rooms.parse().map_err(EmitError::Room)?;
        if let (Some(hub), Some(place)) = (self.0.io.core.hub(), self.place()) {
            let now = clock::now();
            for room in rooms {
                hub.node.leave(place, &room, now);
            }
        }
        Ok(())
    }

    /// Leaves all rooms but its private one.
    pub fn leave_all(&self) {
        // Rooms that it is in have names.
        let _ = self.leave(self.rooms());
    }

    /// The rooms it is in. Its private one, which Socket.IO names first, is its [`id`](Self::id).
    pub fn rooms(&self) -> Vec<RoomName> {
        self.place().map_or_else(Vec::new, |place| place.rooms())
    }

    /// Sends the client away. It does not come back by itself.
    pub fn disconnect(&self, close: Close) {
        if let Some(place) = self.place() {
            send_away(place, close);
        }
    }

    pub(super) fn namespace_name(&self) -> &Name {
        &self.0.namespace
    }

    pub(super) fn place(&self) -> Option<&Arc<nuncio_transport::Socket>> {
        self.0.place.get()
    }

    /// The client is in: it has a place in the hub.
    pub(super) fn enter(&self, place: Arc<nuncio_transport::Socket>) {
        if let Some(data) = self.0.data.lock().clone() {
            self.keep(&place, data);
        }
        let _ = self.0.place.set(place);
        self.0.is_connected.store(true, Ordering::Release);
    }

    pub(super) fn set_gone(&self) {
        self.0.is_connected.store(false, Ordering::Release);
    }

    /// Forgets the handlers of a socket that is gone: they may hold the socket.
    pub(super) fn forget(&self) {
        *self.0.listeners.lock() = Listeners::default();
        *self.0.extensions.write() = Extensions::new();
    }
}

impl Io {
    /// Joins rooms for a client. A native one is told, because it did not ask; a Socket.IO client is not, as in the reference.
    pub(super) fn bring(
        &self,
        place: &Arc<nuncio_transport::Socket>,
        rooms: Vec<RoomName>,
        done: impl FnOnce(JoinOutcome) + Send + 'static,
    ) {
        let Some(hub) = self.core.hub() else { return };
        let now = clock::now();
        if Form::of(place.encoder.get()).is_none() {
            return hub.node.bring(place, rooms, hub.rooms_max, now, done);
        }
        let requests = rooms.into_iter().map(|room| JoinRequest {
            room,
            since: None,
            history: None,
        });
        let (node, held) = (hub.node.clone(), place.clone());
        let joined = move |outcome| {
            if held.outbox.release() == Pushed::Due {
                node.rooms().flushers().add(held.outbox.clone());
            }
            done(outcome);
        };
        hub.node
            .join(place, requests.collect(), hub.rooms_max, now, joined);
    }
}

/// Ends a client's part of its connection, or all of it.
pub(super) fn send_away(place: &nuncio_transport::Socket, close: Close) {
    let (code, reason) = (CloseCode::NORMAL, "Disconnected by the server".into());
    place.outbox.notify(match close {
        Close::Namespace => Notice::Disconnect {
            namespace: place.namespace.clone(),
            code,
            reason,
        },
        Close::Connection => Notice::Close { code, reason },
    });
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.0.id)
            .field("user", &self.0.user)
            .field("namespace", &self.0.namespace)
            .finish_non_exhaustive()
    }
}
