//! Events between the nodes of a server.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::Args;
use super::broadcast::event_name;
use super::{EmitError, Io};

pub(super) type Listener = Arc<dyn Fn(&Args) + Send + Sync>;

impl Io {
    /// Emits to the nodes of the server themselves, this one among them: to what [`on_server_side`](Self::on_server_side) registered. Socket.IO:
    /// `serverSideEmit`, which leaves the emitting node out.
    ///
    /// # Errors
    /// As [`emit`](super::Namespace::emit).
    pub fn server_side_emit(&self, event: &str, data: impl Serialize) -> Result<(), EmitError> {
        let name = event_name(event)?;
        let args = Args::encode(&data)?;
        let listeners = self.core.server_side.read().clone();
        for (_, listener) in listeners.iter().filter(|(known, _)| **known == *name) {
            listener(&args);
        }
        Ok(())
    }

    /// Calls a function with what any node emits by [`server_side_emit`](Self::server_side_emit). What does not fit is logged.
    pub fn on_server_side<T: DeserializeOwned>(
        &self,
        event: &str,
        handler: impl Fn(T) + Send + Sync + 'static,
    ) {
        let name = event.to_owned();
        let listener: Listener = Arc::new(move |args| match args.decode() {
            Ok(data) => handler(data),
            Err(error) => tracing::warn!(event = name, %error, "what a node emitted does not fit"),
        });
        self.core.server_side.write().push((event.into(), listener));
    }
}
