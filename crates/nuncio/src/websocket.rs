//! WebSockets for handlers of the program's own: messages as they come, without sessions, rooms or a protocol above.
//!
//! ```no_run
//! # async fn serve() -> Result<(), nuncio::ServeError> {
//! let mut server = nuncio::Server::builder().listen("127.0.0.1:8080").build()?;
//! server.websocket("/echo", |mut ws, request| async move {
//!     println!("{} asks for {}", ws.address(), request.uri());
//!     while let Some(message) = ws.recv().await {
//!         if ws.send(message).await.is_err() {
//!             break;
//!         }
//!     }
//! });
//! server.run().await
//! # }
//! ```
//!
//! What holds for all connections holds here: pages of other origins are refused (403), messages are bounded (`limits.message_bytes`), a client that does not
//! read is closed with 1013, one that is silent is pinged and in the end dropped, and a shutdown closes with 1012. [`WebSocketOptions`] change that for one
//! endpoint.

use std::sync::Arc;

use nuncio_transport::raw::Endpoint;

pub use nuncio_transport::raw::{
    Client, Clients, Event, Message, Rejection, Request, SendError, WebSocket, WebSocketOptions,
};
pub use nuncio_transport::{Closed, ClosedBy};

use crate::server::Server;

impl Server {
    /// Answers WebSockets at a path with a handler, which runs once for each connection, in a task of its own. Returns the clients, for broadcasts.
    ///
    /// The connection is closed when the handler's [`WebSocket`] is dropped, so at the latest when it returns. A path that an endpoint of the server has
    /// is the handler's from then on.
    ///
    /// # Panics
    /// When the path does not start with `/`, or has a handler already.
    pub fn websocket<F, Fut>(&mut self, path: &str, handler: F) -> Clients
    where
        F: Fn(WebSocket, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.websocket_with(path, WebSocketOptions::new(), handler)
    }

    /// The same with options: who may connect, subprotocols, compression, limits, heartbeat, farewell.
    ///
    /// # Panics
    /// As [`websocket`](Self::websocket).
    pub fn websocket_with<F, Fut>(
        &mut self,
        path: &str,
        options: WebSocketOptions,
        handler: F,
    ) -> Clients
    where
        F: Fn(WebSocket, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        assert!(
            path.starts_with('/'),
            "{path:?} is no path: write \"/{path}\""
        );
        let raw = &mut self.endpoints.raw;
        assert!(
            raw.iter().all(|endpoint| endpoint.path() != path),
            "{path:?} has a handler already: one path has one"
        );
        let endpoint = Endpoint::new(path, options, self.shared.rooms.clone(), handler);
        let clients = endpoint.clients().clone();
        raw.push(Arc::new(endpoint));
        self.app.raw.lock().push(clients.clone());
        clients
    }
}
