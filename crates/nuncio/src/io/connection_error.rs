//! Requests that become no connection.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use nuncio_transport::RequestError;

use super::Io;

/// A request that was refused before there was a client: Engine.IO's `connection_error`.
///
/// Who may not come into a namespace is none of these: that is for a [middleware](super::Namespace::middleware) to know.
#[non_exhaustive]
pub struct ConnectionError {
    /// The reference's number: 0 for an unknown transport, 1 an unknown session, 2 a bad method, 3 a bad request, 5 a version that is not let in.
    pub code: u8,
    /// The reference's words, such as `Session ID unknown`: what the client is answered.
    pub message: String,
    /// What was asked for, with its query, where a token may be: not for logs.
    pub uri: Uri,
    /// The client's address, as a trusted proxy tells it.
    pub address: IpAddr,
}

/// Without the query.
impl fmt::Debug for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionError")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("path", &self.uri.path())
            .field("address", &self.address)
            .finish()
    }
}

pub(super) type Listener = Arc<dyn Fn(&ConnectionError) + Send + Sync>;

impl Io {
    /// Calls a function for each request that becomes no connection. Socket.IO: `io.engine.on("connection_error", …)`.
    ///
    /// ```
    /// # let io = nuncio::io::Io::new();
    /// io.on_connection_error(|error| eprintln!("{} {} from {}", error.code, error.message, error.address));
    /// ```
    pub fn on_connection_error(
        &self,
        handler: impl Fn(&ConnectionError) + Send + Sync + 'static,
    ) -> &Self {
        self.core.connection_error.write().push(Arc::new(handler));
        self
    }

    pub(crate) fn tell_connection_error(&self, error: RequestError, uri: &Uri, address: IpAddr) {
        let listeners = self.core.connection_error.read().clone();
        if listeners.is_empty() {
            return;
        }
        let error = ConnectionError {
            code: error.code(),
            message: error.to_string(),
            uri: uri.clone(),
            address,
        };
        for listener in listeners {
            listener(&error);
        }
    }
}
