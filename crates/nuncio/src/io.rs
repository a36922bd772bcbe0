//! Socket.IO's server API in Rust: namespaces, sockets, rooms, events, acknowledgements.
//!
//! ```no_run
//! use nuncio::Server;
//! use nuncio::io::{Ack, Data, Done, Io, Socket};
//!
//! async fn join(socket: Socket, Data(room): Data<String>, ack: Ack<usize>) -> Done {
//!     socket.join(&room).await?;
//!     socket.to(&room).emit("joined", socket.id())?;
//!     ack.send(socket.rooms().len())
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), nuncio::ServeError> {
//!     let io = Io::new();
//!     io.on_connect(async |socket: Socket| {
//!         socket.on("join", join);
//!     });
//!     Server::builder().io(&io).listen("127.0.0.1:3000").run().await
//! }
//! ```
//!
//! A namespace with a handler is the program's: every event of its clients goes to the handlers as it is, and nothing happens by itself, neither presence
//! nor `room:join`. Native clients are in the same namespaces and rooms: their `event` without a room comes to the same handlers, they get what is emitted,
//! and answer questions; their own `room:join` and `chat:message` do what their grants allow. `docs/rust.md` goes from Node's API to this one.

mod admission;
mod args;
mod binary;
mod broadcast;
mod connect;
mod connection_error;
mod core;
mod emitter;
mod error;
mod event;
mod extract;
mod handler;
mod handshake;
mod listeners;
mod middleware;
mod outgoing;
mod question;
mod reason;
mod remote;
mod rooms;
mod server_side;
mod socket;
mod task;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use nuncio_model::{Namespace as Name, Vocabulary};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use binary::Binary;
pub use broadcast::Broadcast;
pub use connection_error::ConnectionError;
pub use emitter::Emitter;
pub use error::{AskError, AskManyError, EmitError, JoinError, Refused, Unanswered};
pub use event::Event;
pub use extract::{Ack, Attachments, Data, Extension, FromEvent, Mismatch, State};
pub use handler::{Checking, Handler, HandlerOutput, Middleware};
pub use handshake::Handshake;
pub use nuncio_model::{EventName, Identity, RoomName, SocketId, UserId};
pub use nuncio_transport::Transport;
pub use question::{Answers, Question, Questions};
pub use reason::{Close, DisconnectReason};
pub use remote::RemoteSocket;
pub use rooms::Rooms;
pub use socket::Socket;

pub(crate) use connect::{Arrival, Entering};
pub(crate) use core::{Core, Hub};

use core::Scope;

/// What a handler returns that joins rooms, emits and acknowledges: each of these has a `?`.
pub type Done = Result<(), EmitError>;

/// The namespaces of a server, and all that Socket.IO's `io` does: it is also the main namespace, `/`. A handle, cheap to clone.
///
/// It is given to a server by [`ServerBuilder::io`](crate::ServerBuilder::io); before that it has no clients.
#[derive(Clone)]
pub struct Io {
    pub(crate) core: Arc<Core>,
    main: Namespace,
}

impl Io {
    /// Namespaces without handlers yet.
    pub fn new() -> Self {
        let core = Arc::<Core>::default();
        let main = Namespace {
            core: core.clone(),
            scope: Scope::One(Name::default()),
        };
        Self { core, main }
    }

    /// A namespace by its name; a missing slash is added.
    ///
    /// # Panics
    /// When it has control characters, or more than 255 bytes.
    #[track_caller]
    pub fn of(&self, name: &str) -> Namespace {
        let slash = if name.starts_with('/') { "" } else { "/" };
        let name = Name::parse(&format!("{slash}{name}"));
        let name = name.unwrap_or_else(|error| panic!("{error}"));
        self.scoped(Scope::One(name))
    }

    /// The namespaces whose names a function says yes to, as `io.of(/^\/dynamic-\d+$/)` in Node: they exist while somebody is in them. Those with handlers
    /// of their own are not among them.
    ///
    /// ```
    /// # let io = nuncio::io::Io::new();
    /// let games = io.of_matching(|name| name.starts_with("/game-"));
    /// games.on_connect(async |socket: nuncio::io::Socket| {
    ///     println!("{} plays", socket.id());
    /// });
    /// ```
    pub fn of_matching(&self, matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Namespace {
        let scope = self.core.add_matching(Box::new(matches));
        self.scoped(scope)
    }

    /// Gives handlers something to ask for as [`State`], by its type.
    pub fn state<T: Clone + Send + Sync + 'static>(&self, state: T) -> &Self {
        self.core.state.write().insert(state);
        self
    }

    /// Gives it its clients: those of a server. With a second server it does nothing.
    pub(crate) fn attach(&self, hub: Hub) {
        let core = Arc::downgrade(&self.core);
        // Who comes and goes is for the program to tell, in its own words.
        hub.node.rooms().set_quiet(Box::new(move |namespace| {
            core.upgrade()
                .is_some_and(|core| core.vocabulary_of(namespace) == Vocabulary::Application)
        }));
        self.core.set_hub(hub);
    }

    fn scoped(&self, scope: Scope) -> Namespace {
        let core = self.core.clone();
        Namespace { core, scope }
    }
}

impl Default for Io {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Io {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.main
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io")
    }
}

/// One namespace, or those that [`Io::of_matching`] names: who may come, what is done with them, and what is emitted to all of them. A handle, cheap to
/// clone.
#[derive(Clone)]
pub struct Namespace {
    core: Arc<Core>,
    scope: Scope,
}

impl Namespace {
    /// Its name, such as `/chat`; empty for several.
    pub fn name(&self) -> &str {
        match &self.scope {
            Scope::One(name) => name,
            Scope::Matching(_) => "",
        }
    }

    /// Looks at each client before it is in, and may refuse it. Several look one after the other. Socket.IO: `use`.
    ///
    /// ```
    /// use nuncio::io::{Io, Refused, Socket};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Auth {
    ///     password: String,
    /// }
    ///
    /// let io = Io::new();
    /// io.middleware(async |socket: Socket| match socket.handshake().auth::<Auth>() {
    ///     Ok(Auth { password }) if password == "sesame" => Ok(()),
    ///     _ => Err(Refused::new("Authentication failed")),
    /// });
    /// ```
    pub fn middleware<Args>(&self, middleware: impl Middleware<Args>) -> &Self {
        let middleware = handler::any_middleware(middleware);
        let handlers = self.core.handlers(&self.scope);
        handlers.middleware.write().push(middleware);
        self
    }

    /// Calls a handler for each client that comes in, which gives it handlers for its events. From the first of these on, the events of the namespace are
    /// the program's. Socket.IO: `on("connection", …)`.
    pub fn on_connect<Args>(&self, handler: impl Handler<Args>) -> &Self {
        let handler = handler::any(handler);
        self.core
            .handlers(&self.scope)
            .connect
            .write()
            .push(handler);
        self
    }

    /// Emits an event to everybody in the namespace. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    /// [`EmitError`]: the name of the event is none, or the data is no JSON.
    pub fn emit(&self, event: &str, data: impl Serialize) -> Result<(), EmitError> {
        self.everybody().emit(event, data)
    }

    /// Emits an event to everybody, and collects their acknowledgements; see [`Broadcast::emit_with_ack`].
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Questions<T> {
        self.everybody().emit_with_ack(event, data)
    }

    /// Those in these rooms. With one room and nothing else, what is emitted is a [publication](Broadcast).
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.everybody().to(rooms)
    }

    /// The same as [`to`](Self::to); `in` is a word of Rust.
    pub fn in_(&self, rooms: impl Rooms) -> Broadcast {
        self.to(rooms)
    }

    /// Everybody but those in these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.everybody().except(rooms)
    }

    /// Everybody, with what may be lost.
    pub fn volatile(&self) -> Broadcast {
        self.everybody().volatile()
    }

    /// Everybody, with what is not worth compressing: see [`Broadcast::compress`].
    pub fn compress(&self, compress: bool) -> Broadcast {
        self.everybody().compress(compress)
    }

    /// Everybody, with so much time to answer [`emit_with_ack`](Broadcast::emit_with_ack).
    pub fn timeout(&self, timeout: Duration) -> Broadcast {
        self.everybody().timeout(timeout)
    }

    /// Everybody on this node.
    pub fn local(&self) -> Broadcast {
        self.everybody().local()
    }

    /// The sockets of this node that handlers have: `namespace.sockets` of Socket.IO. O(sockets of the node).
    pub fn sockets(&self) -> Vec<Socket> {
        self.core.sockets_of(&self.scope)
    }

    /// A socket of this node, by its id.
    pub fn socket(&self, id: &SocketId) -> Option<Socket> {
        let socket = self.core.socket(id)?;
        let is_here = match &self.scope {
            Scope::One(name) => socket.namespace_name() == name,
            Scope::Matching(_) => self
                .core
                .present(&self.scope)
                .contains(socket.namespace_name()),
        };
        is_here.then_some(socket)
    }

    /// Everybody in the namespace, wherever connected.
    ///
    /// # Errors
    /// None of its own.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, EmitError> {
        self.everybody().fetch_sockets().await
    }

    /// Makes everybody join rooms.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn sockets_join(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.everybody().sockets_join(rooms)
    }

    /// Makes everybody leave rooms.
    ///
    /// # Errors
    /// When a room's name is none.
    pub fn sockets_leave(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.everybody().sockets_leave(rooms)
    }

    /// Sends everybody away.
    pub fn disconnect_sockets(&self, close: Close) {
        // Only rooms could have names that are none.
        let _ = self.everybody().disconnect_sockets(close);
    }

    fn everybody(&self) -> Broadcast {
        let core = self.core.clone();
        let main = Self {
            core: core.clone(),
            scope: Scope::One(Name::default()),
        };
        Broadcast::new(Io { core, main }, self.scope.clone())
    }
}
