//! What all handles of one [`Io`](super::Io) share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::Extensions;
use nuncio_model::{Head, Identity, Namespace as Name, RoomName, SocketId};
use nuncio_transport::Node;
use parking_lot::{Mutex, RwLock};

use super::Socket;
use super::handler::{AnyHandler, AnyMiddleware};
use super::question::OpenQuestions;
use nuncio_model::Vocabulary;

/// Handlers, and the sockets of the namespaces that have some. Nothing is here of the others.
#[derive(Default)]
pub(crate) struct Core {
    hub: OnceLock<Hub>,
    table: RwLock<Table>,
    /// Whether there is any handler: asked at each connection, before anything else.
    is_used: AtomicBool,
    /// Whether any socket ever wanted to know what is emitted to it: asked at each emit.
    is_overheard: AtomicBool,
    sockets: RwLock<HashMap<SocketId, Socket>>,
    /// Who waits for a middleware.
    pub(super) waiting: Mutex<HashMap<SocketId, Waiting>>,
    /// The requests of native clients that nobody is behind yet.
    pub(super) heads: Mutex<HashMap<SocketId, Arc<Head>>>,
    pub(super) questions: OpenQuestions,
    pub(super) state: RwLock<Extensions>,
    pub(super) connection_error: RwLock<Vec<super::connection_error::Listener>>,
    pub(super) server_side: RwLock<Vec<(Box<str>, super::server_side::Listener)>>,
}

/// Where sockets are, once there is a server.
pub(crate) struct Hub {
    pub(crate) node: Arc<Node>,
    pub(crate) rooms_max: usize,
    /// Whether the server verifies tokens, so that an identity means something.
    pub(crate) verifies: bool,
}

/// A client that a middleware looks at.
pub(super) struct Waiting {
    pub(super) socket: Socket,
    pub(super) identity: Identity,
    pub(super) handlers: Arc<Handlers>,
}

#[derive(Default)]
struct Table {
    named: HashMap<Name, Arc<Handlers>>,
    matching: Vec<(Matches, Arc<Handlers>)>,
}

pub(super) type Matches = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What a namespace does with those who come.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(super) middleware: RwLock<Vec<AnyMiddleware>>,
    pub(super) connect: RwLock<Vec<AnyHandler>>,
}

/// Which namespaces a handle is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    One(Name),
    /// Those that a program's function says yes to, by the number of the function.
    Matching(usize),
}

impl Core {
    pub(crate) fn set_hub(&self, hub: Hub) {
        let _ = self.hub.set(hub);
    }

    /// `None` before there is a server, and so no socket.
    pub(super) fn hub(&self) -> Option<&Hub> {
        self.hub.get()
    }

    pub(super) fn verifies(&self) -> bool {
        self.hub().is_some_and(|hub| hub.verifies)
    }

    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    pub(super) fn is_overheard(&self) -> bool {
        self.is_overheard.load(Ordering::Relaxed)
    }

    pub(super) fn set_overheard(&self) {
        self.is_overheard.store(true, Ordering::Relaxed);
    }

    /// The handlers of a scope, which begin to exist if need be.
    pub(super) fn handlers(&self, scope: &Scope) -> Arc<Handlers> {
        self.is_used.store(true, Ordering::Relaxed);
        let mut table = self.table.write();
        match scope {
            Scope::One(name) => table.named.entry(name.clone()).or_default().clone(),
            Scope::Matching(index) => table.matching[*index].1.clone(),
        }
    }

    pub(super) fn add_matching(&self, matches: Matches) -> Scope {
        let mut table = self.table.write();
        table.matching.push((matches, Arc::default()));
        Scope::Matching(table.matching.len() - 1)
    }

    /// Who handles a namespace: a handler of its own, or the first function that says yes to its name.
    pub(crate) fn handlers_of(&self, namespace: &Name) -> Option<Arc<Handlers>> {
        if !self.is_used() {
            return None;
        }
        let table = self.table.read();
        let named = table.named.get(namespace).filter(|named| named.is_there());
        named.cloned().or_else(|| {
            let mut matching = table.matching.iter();
            let (_, handlers) =
                matching.find(|(matches, handlers)| handlers.is_there() && matches(namespace))?;
            Some(handlers.clone())
        })
    }

    pub(crate) fn vocabulary_of(&self, namespace: &Name) -> Vocabulary {
        self.handlers_of(namespace)
            .map_or(Vocabulary::BuiltIn, |handlers| handlers.vocabulary())
    }

    /// The namespaces of a scope that have sockets. O(sockets) for a function.
    pub(super) fn present(&self, scope: &Scope) -> Vec<Name> {
        let index = match scope {
            Scope::One(name) => return vec![name.clone()],
            Scope::Matching(index) => *index,
        };
        let Some(hub) = self.hub() else {
            return Vec::new();
        };
        let mut names: Vec<_> = hub
            .node
            .sockets(None)
            .iter()
            .map(|socket| socket.namespace.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        let table = self.table.read();
        names.retain(|name| !table.named.contains_key(name) && table.matching[index].0(name));
        names
    }

    pub(crate) fn socket(&self, id: &SocketId) -> Option<Socket> {
        self.sockets.read().get(id).cloned()
    }

    /// The sockets in the namespaces of a scope. O(sockets).
    pub(super) fn sockets_of(&self, scope: &Scope) -> Vec<Socket> {
        let present = self.present(scope);
        let sockets = self.sockets.read();
        let here = sockets
            .values()
            .filter(|socket| present.contains(socket.namespace_name()));
        here.cloned().collect()
    }

    pub(super) fn add(&self, socket: Socket) {
        self.sockets.write().insert(socket.id(), socket);
    }

    pub(super) fn remove(&self, id: &SocketId) -> Option<Socket> {
        if !self.is_used() {
            return None;
        }
        self.waiting.lock().remove(id);
        self.heads.lock().remove(id);
        self.sockets.write().remove(id)
    }

    /// Whether a room is a socket's private one, also of one whose client may come back to it.
    pub(super) fn is_private(&self, room: &RoomName) -> bool {
        let (Some(hub), Ok(id)) = (self.hub(), room.parse()) else {
            return false;
        };
        hub.node.socket(&id).is_some() || hub.node.has_record(&id)
    }

    /// Forgets all handlers at the end of the server: some of them hold this.
    pub(crate) fn close(&self) {
        *self.table.write() = Table::default();
        *self.state.write() = Extensions::new();
        self.sockets.write().clear();
        self.server_side.write().clear();
        self.connection_error.write().clear();
        self.is_used.store(false, Ordering::Relaxed);
    }
}

impl Handlers {
    fn is_there(&self) -> bool {
        !self.connect.read().is_empty() || !self.middleware.read().is_empty()
    }

    /// A namespace with nothing but middleware keeps what the server does by itself.
    pub(crate) fn vocabulary(&self) -> Vocabulary {
        if self.connect.read().is_empty() {
            Vocabulary::BuiltIn
        } else {
            Vocabulary::Application
        }
    }
}
