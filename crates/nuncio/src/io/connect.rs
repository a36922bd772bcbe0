//! How clients come into namespaces with handlers, and go.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_hub::Notice;
use nuncio_model::{
    ErrorCode, EventName, Head, Identity, Json, Now, Outcome, Refusal, Request, Secret, Vocabulary,
    quote,
};
use nuncio_transport::{Client, Closed};

use super::args::Args;
use super::core::{Handlers, Waiting};
use super::event::Answering;
use super::handler::AnyMiddleware;
use super::middleware::pass;
use super::reason::reason_of;
use super::socket::{Newcomer, Recovered};
use super::{DisconnectReason, Handshake, Io, Socket, task};

use crate::answer::now_or_later;
use crate::app::Nuncio;
use crate::calls::Answered;

/// A client's way into a namespace with handlers.
pub(crate) struct Entering {
    pub(crate) socket: Socket,
    handlers: Arc<Handlers>,
}

/// What a client says of itself when it comes.
pub(crate) struct Arrival {
    pub(crate) identity: Identity,
    pub(crate) auth: Option<Secret>,
    pub(crate) head: Option<Arc<Head>>,
}

impl Nuncio {
    /// Lets a client in whose identity is known: at once where nobody handles its namespace, else by way of its middleware.
    pub(crate) fn welcome(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        arrival: Arrival,
        now: Now,
    ) -> Answered {
        let Some(handlers) = self.io.core.handlers_of(&client.namespace) else {
            self.io.take_head(&client.id);
            return self.enter(client, call, arrival.identity, None, now);
        };
        let identity = arrival.identity.clone();
        let socket = self.io.newcomer(client, arrival, Recovered::No, now);
        let middleware = handlers.middleware.read().clone();
        if middleware.is_empty() {
            let entering = Entering { socket, handlers };
            return self.enter(client, call, identity, Some(entering), now);
        }
        let waiting = Waiting {
            socket: socket.clone(),
            identity,
            handlers,
        };
        self.io.core.waiting.lock().insert(client.id, waiting);
        self.look_at(client, call, socket, middleware);
        None
    }

    /// Has the middleware look at a client, and the client's task told what came of it.
    fn look_at(&self, client: &Client, call: u32, socket: Socket, middleware: Vec<AnyMiddleware>) {
        let (outbox, io, id) = (client.outbox.clone(), self.io.clone(), client.id);
        let looking = async move {
            let notice = match pass(&socket.arrival(), &middleware).await {
                Ok(()) => Notice::Retry {
                    call,
                    request: Request::Proceed,
                },
                Err(refused) => {
                    io.core.waiting.lock().remove(&id);
                    let away = Box::new(refused.into_turned_away());
                    let result = Ok(Outcome::TurnedAway(away));
                    Notice::Completed { call, result }
                }
            };
            outbox.notify(notice);
        };
        task::start(Box::pin(looking), "middleware");
    }

    /// Lets a client in that the middleware has let pass.
    pub(crate) fn proceed(self: &Arc<Self>, client: &mut Client, call: u32, now: Now) -> Answered {
        let passed = self.io.core.waiting.lock().remove(&client.id);
        let Some(Waiting {
            socket,
            identity,
            handlers,
        }) = passed
        else {
            let refusal = Refusal::new(ErrorCode::Internal, "nothing was waited for");
            return Some(Err(refusal));
        };
        let entering = Entering { socket, handlers };
        self.enter(client, call, identity, Some(entering), now)
    }

    /// Hands an event to the handlers of its socket.
    pub(crate) fn handle_event(
        &self,
        place: &Arc<nuncio_transport::Socket>,
        call: u32,
        event: EventName,
        data: Json,
        attachments: Box<[Bytes]>,
    ) -> Answered {
        let socket = if self.io.core.is_used() {
            self.io.core.socket(&place.id)
        } else {
            None
        };
        let Some(socket) = socket else {
            return Some(Err(unhandled(&event)));
        };
        let args = Args { data, attachments };
        now_or_later(&place.outbox, call, |reply| {
            socket.dispatch(event, args, Answering::new(reply));
        })
    }

    /// Takes what a client answers to a question.
    pub(crate) fn take_answer(&self, client: &Client, ack: u64, args: (Json, Box<[Bytes]>)) {
        let (data, attachments) = args;
        let args = Args { data, attachments };
        self.io.core.questions.answered(&client.id, ack, args);
    }
}

impl Entering {
    /// For a client that has its session back: the middleware has looked at it before.
    pub(crate) fn again(io: &Io, client: &Client, arrival: Arrival, now: Now) -> Option<Self> {
        let handlers = io.core.handlers_of(&client.namespace)?;
        let socket = io.newcomer(client, arrival, Recovered::Yes, now);
        Some(Self { socket, handlers })
    }

    /// What events mean to a client that has its place, from which on they may come.
    pub(crate) fn vocabulary_of(
        entering: Option<&Self>,
        place: &Arc<nuncio_transport::Socket>,
    ) -> Vocabulary {
        let Some(Self { socket, handlers }) = entering else {
            return Vocabulary::BuiltIn;
        };
        socket.enter(place.clone());
        socket.io().core.add(socket.clone());
        handlers.vocabulary()
    }

    /// The session is restored, with what the program had kept with it.
    pub(crate) fn restore(&self, data: Option<Bytes>) {
        self.socket.restore(data);
        self.start();
    }

    /// Starts the handlers. What they emit follows the news that the client is in, because its outbox is held until then.
    pub(crate) fn start(&self) {
        let handlers = self.handlers.connect.read().clone();
        self.socket.tell("connection", &handlers, None);
    }
}

/// A socket that is going: dropped when it is gone, which tells its handlers.
#[must_use = "dropped at once, it is gone before it leaves its rooms"]
pub(crate) struct Leaving {
    socket: Socket,
    reason: DisconnectReason,
}

impl Io {
    fn newcomer(
        &self,
        client: &Client,
        arrival: Arrival,
        recovered: Recovered,
        now: Now,
    ) -> Socket {
        let Arrival {
            identity,
            auth,
            head,
        } = arrival;
        let kept = self.take_head(&client.id);
        let user = identity.user.clone();
        let handshake = Handshake {
            auth,
            head: head.or(kept),
            address: client.about.address,
            unix_ms: now.unix_ms,
            identity: self.core.verifies().then_some(identity),
        };
        let newcomer = Newcomer {
            id: client.id,
            user,
            namespace: client.namespace.clone(),
            handshake,
            recovered,
            transport: client.about.transport,
        };
        Socket::new(self.clone(), newcomer)
    }

    /// A connection ended: its handlers are told while the socket is in its rooms.
    pub(crate) fn leaving(&self, client: &Client, closed: &Closed) -> Option<Leaving> {
        self.leave_for(&client.id, reason_of(closed))
    }

    /// A client has moved to a WebSocket, perhaps while a middleware looks at it.
    pub(crate) fn upgraded(&self, id: &nuncio_model::SocketId) {
        if !self.core.is_used() {
            return;
        }
        let entering = self.core.waiting.lock().get(id).map(|it| it.socket.clone());
        if let Some(socket) = entering.or_else(|| self.core.socket(id)) {
            socket.upgraded();
        }
    }

    pub(crate) fn leave_for(
        &self,
        id: &nuncio_model::SocketId,
        reason: DisconnectReason,
    ) -> Option<Leaving> {
        let socket = self.core.remove(id)?;
        self.core.questions.gone(id);
        socket.set_gone();
        let handlers = socket.take_disconnecting();
        socket.tell("disconnecting", &handlers, Some(reason));
        Some(Leaving { socket, reason })
    }
}

impl Drop for Leaving {
    /// The socket is in no room any more.
    fn drop(&mut self) {
        let handlers = self.socket.take_disconnect();
        self.socket.tell("disconnect", &handlers, Some(self.reason));
        self.socket.forget();
    }
}

/// Nobody listens to an event.
pub(super) fn unhandled(event: &EventName) -> Refusal {
    let message = format!(
        "event {} without a roomId: nothing on this server handles it",
        quote(event)
    );
    Refusal::new(ErrorCode::UnknownType, message)
}
