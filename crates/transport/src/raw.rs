//! WebSockets for a program's own handlers, as they come: messages, pings and the close, without sessions and rooms.
//!
//! One task for each connection owns the codec and runs the handler; what is sent, from anywhere, goes past it through the outbox, as everywhere else.

mod client;
mod clients;
mod heartbeat;
mod inbox;
mod link;
mod message;
mod open;
mod options;
mod request;
mod websocket;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use client::{Client, SendError};
pub use clients::Clients;
pub use message::{Event, Message};
pub use options::WebSocketOptions;
pub use request::{Rejection, Request};
pub use websocket::WebSocket;

use crate::sink::Rooms;

/// What happens on one path: who may connect, and what then.
pub struct Endpoint {
    path: String,
    options: WebSocketOptions,
    handler: Handler,
    clients: Clients,
}

type Handler = Box<dyn Fn(WebSocket, Request) -> Handling + Send + Sync>;
/// A handler at work for one connection.
type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Endpoint {
    /// An endpoint without connections. What its clients are sent is written by the flushers of `rooms`.
    pub fn new<F, Fut>(path: &str, options: WebSocketOptions, rooms: Arc<Rooms>, handler: F) -> Self
    where
        F: Fn(WebSocket, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            clients: Clients::new(rooms, options.deflate_threshold()),
            path: path.to_owned(),
            options,
            handler: Box::new(move |websocket, request| Box::pin(handler(websocket, request))),
        }
    }

    /// The clients that are connected to it.
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("path", &self.path)
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}
