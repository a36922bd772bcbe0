//! Which handlers a program gives a client's events, and how they are reached.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nuncio_model::{ErrorCode, EventName, Json, Refusal};
use nuncio_transport::Form;

use super::Socket;
use crate::io::args::Args;
use crate::io::broadcast::event_name;
use crate::io::connect::unhandled;
use crate::io::event::Answering;
use crate::io::handler::{AnyHandler, AnyMiddleware, Handler, Middleware, any, any_middleware};
use crate::io::listeners::{Order, Rare, Times, start};
use crate::io::middleware::pass;
use crate::io::{DisconnectReason, EmitError, Event, Refused, task};

impl Socket {
    /// Calls a handler for each event of a name, with what its parameters ask for. Several handlers of one name are called in their order.
    ///
    /// The handlers of a socket start in the order of the events, and run on at their waits.
    ///
    /// # Panics
    /// When the name is one of the client's own life cycle, whose ends come by [`on_disconnect`](Self::on_disconnect).
    #[track_caller]
    pub fn on<Args>(&self, event: &str, handler: impl Handler<Args>) -> &Self {
        self.listen(event, any(handler), Times::Always)
    }

    /// The same for the next event of that name only.
    ///
    /// # Panics
    /// As [`on`](Self::on).
    #[track_caller]
    pub fn once<Args>(&self, event: &str, handler: impl Handler<Args>) -> &Self {
        self.listen(event, any(handler), Times::Once)
    }

    #[track_caller]
    fn listen(&self, event: &str, handler: AnyHandler, times: Times) -> &Self {
        match event_name(event) {
            Ok(name) => self.0.listeners.lock().add(name, handler, times),
            Err(EmitError::Reserved { event }) => {
                panic!("clients cannot send {event:?}: for their end there is on_disconnect(…)")
            }
            Err(error) => panic!("{error}"),
        }
        self
    }

    /// Takes all handlers of a name away.
    pub fn off(&self, event: &str) -> &Self {
        self.0.listeners.lock().remove(event);
        self
    }

    /// Calls a handler for every event, before those of its name.
    pub fn on_any<Args>(&self, handler: impl Handler<Args>) -> &Self {
        self.0.listeners.lock().add_any(any(handler), Order::Last);
        self
    }

    /// The same, before the other handlers for every event.
    pub fn prepend_any<Args>(&self, handler: impl Handler<Args>) -> &Self {
        self.0.listeners.lock().add_any(any(handler), Order::First);
        self
    }

    /// Takes all handlers for every event away.
    pub fn off_any(&self) -> &Self {
        self.0.listeners.lock().remove_any();
        self
    }

    /// Calls a handler for every event that the program emits to this client, alone or with others, just before it is sent: with its name, and its arguments
    /// as [`Data`](crate::io::Data). Acknowledgements are none of them, nor what other clients publish by the server's own events.
    ///
    /// From the first of these on, each emit costs a look at every client that it reaches.
    pub fn on_any_outgoing<Args>(&self, handler: impl Handler<Args>) -> &Self {
        self.overhear(any(handler), Order::Last)
    }

    /// The same, before the other handlers for what is emitted.
    pub fn prepend_any_outgoing<Args>(&self, handler: impl Handler<Args>) -> &Self {
        self.overhear(any(handler), Order::First)
    }

    /// Takes all handlers for what is emitted away.
    pub fn off_any_outgoing(&self) -> &Self {
        self.0.listeners.lock().rare_mut().outgoing.clear();
        self
    }

    fn overhear(&self, handler: AnyHandler, order: Order) -> &Self {
        self.0.listeners.lock().add_outgoing(handler, order);
        self.0.io.core.set_overheard();
        self
    }

    /// Looks at each event of this client before its handlers do, and may refuse it: they are not called then, and the event is acknowledged as
    /// `{ status: "error", code: "FORBIDDEN", message, data }`. Several look one after the other. Socket.IO: `socket.use`.
    ///
    /// Events behind one that a middleware takes time for may overtake it, as in Node.
    ///
    /// ```
    /// # let io = nuncio::io::Io::new();
    /// use nuncio::io::{EventName, Refused, Socket};
    ///
    /// io.on_connect(async |socket: Socket| {
    ///     socket.middleware(async |socket: Socket, event: EventName| {
    ///         if event.starts_with("admin:") && !socket.rooms().iter().any(|room| **room == *"admins") {
    ///             return Err(Refused::new("for administrators"));
    ///         }
    ///         Ok(())
    ///     });
    /// });
    /// ```
    pub fn middleware<Args>(&self, middleware: impl Middleware<Args>) -> &Self {
        let middleware = any_middleware(middleware);
        let mut listeners = self.0.listeners.lock();
        listeners.rare_mut().middleware.push(middleware);
        drop(listeners);
        self
    }

    /// Calls a handler when the client has moved from polls to a WebSocket.
    pub fn on_upgrade<Args>(&self, handler: impl Handler<Args>) -> &Self {
        let handler = any(handler);
        self.0.listeners.lock().rare_mut().upgrade.push(handler);
        self
    }

    /// Calls a handler when the socket is about to go, while its rooms are still known. It may ask for a [`DisconnectReason`].
    pub fn on_disconnecting<Args>(&self, handler: impl Handler<Args>) -> &Self {
        let handler = any(handler);
        self.0.listeners.lock().disconnecting.push(handler);
        self
    }

    /// Calls a handler when the socket is gone. It may ask for a [`DisconnectReason`].
    pub fn on_disconnect<Args>(&self, handler: impl Handler<Args>) -> &Self {
        let handler = any(handler);
        self.0.listeners.lock().disconnect.push(handler);
        self
    }

    /// Starts handlers for something that has no arguments and no answer.
    pub(in crate::io) fn tell(
        &self,
        name: &'static str,
        handlers: &[AnyHandler],
        reason: Option<DisconnectReason>,
    ) {
        if !handlers.is_empty() {
            start(handlers, &self.happening(name, reason));
        }
    }

    /// That the client wants to come in.
    pub(in crate::io) fn arrival(&self) -> Event {
        self.happening("connection", None)
    }

    fn happening(&self, name: &'static str, reason: Option<DisconnectReason>) -> Event {
        let args = Args {
            data: Json::from_checked("[]".into()),
            attachments: Box::default(),
        };
        Event {
            socket: self.clone(),
            name: EventName::parse(name).expect("it is a name"),
            args,
            answering: Answering::nobody(),
            reason,
        }
    }

    /// The client has moved to a WebSocket.
    pub(in crate::io) fn upgraded(&self) {
        self.0.has_websocket.store(true, Ordering::Release);
        let handlers = self.rare(|rare| rare.upgrade.clone());
        self.tell("upgrade", &handlers, None);
    }

    /// The handlers for what is emitted to it.
    pub(in crate::io) fn outgoing(&self) -> Vec<AnyHandler> {
        self.rare(|rare| rare.outgoing.clone())
    }

    fn rare<T: Default>(&self, take: impl FnOnce(&Rare) -> T) -> T {
        let listeners = self.0.listeners.lock();
        listeners.rare().map_or_else(T::default, take)
    }

    /// The handlers of its end.
    pub(in crate::io) fn take_disconnecting(&self) -> Vec<AnyHandler> {
        std::mem::take(&mut self.0.listeners.lock().disconnecting)
    }

    pub(in crate::io) fn take_disconnect(&self) -> Vec<AnyHandler> {
        std::mem::take(&mut self.0.listeners.lock().disconnect)
    }

    /// Hands an event to its handlers, or to its middleware first.
    pub(in crate::io) fn dispatch(&self, name: EventName, args: Args, answering: Arc<Answering>) {
        let event = Event {
            socket: self.clone(),
            name,
            args,
            answering,
            reason: None,
        };
        let middleware = self.rare(|rare| rare.middleware.clone());
        if middleware.is_empty() {
            event.deliver();
        } else {
            task::start(Box::pin(look_at(event, middleware)), "middleware");
        }
    }

    /// Whether it is a client of nuncio's own protocol.
    fn is_native(&self) -> bool {
        self.place()
            .is_some_and(|place| Form::of(place.encoder.get()).is_none())
    }
}

impl Event {
    /// Starts its handlers. A Socket.IO client is told nothing of an event that nobody listens to, as in the reference.
    fn deliver(&self) {
        let (handlers, own) = self.socket.0.listeners.lock().take(&self.name);
        start(&handlers, self);
        if own == 0 && self.socket.is_native() {
            self.answering.answer(Err(unhandled(&self.name)));
        }
    }
}

/// Has the middleware look at an event before its handlers do.
async fn look_at(event: Event, middleware: Vec<AnyMiddleware>) {
    match pass(&event, &middleware).await {
        Ok(()) => event.deliver(),
        Err(refused) => event.answering.answer(Err(forbidden(refused))),
    }
}

fn forbidden(refused: Refused) -> Refusal {
    let turned_away = refused.into_turned_away();
    Refusal {
        data: turned_away.data,
        ..Refusal::new(ErrorCode::Forbidden, turned_away.message)
    }
}
