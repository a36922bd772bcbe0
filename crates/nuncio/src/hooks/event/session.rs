//! Beginnings and ends of sessions' connections, for the recorder.

use nuncio_hub::Role;
use nuncio_model::{CloseCode, Now};
use nuncio_transport::{Client, Closed, ClosedBy, Socket};

use super::happened::Presence;
use crate::app::{Nuncio, transport};

/// How a session came to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It began with it.
    New,
    /// It was there before.
    Resumed,
}

impl Nuncio {
    /// What is told of a client's connection; `None` where nobody is told, or nobody is behind it.
    pub(crate) fn presence_of(&self, client: &Client) -> Option<Presence> {
        self.recorder.as_ref()?;
        let socket = client.socket.as_deref()?;
        // Nobody sees visitors: there is no user whose coming could be told.
        (socket.role != Role::Visitor).then(|| presence(client, socket))
    }

    /// A client is in.
    pub(crate) fn record_begin(&self, client: &Client, beginning: Beginning) {
        if let (Some(recorder), Some(presence)) = (&self.recorder, self.presence_of(client)) {
            recorder.connected(Presence {
                resumed: beginning == Beginning::Resumed,
                ..presence
            });
        }
    }

    /// Its connection is over.
    pub(crate) fn record_end(&self, presence: Option<Presence>, closed: &Closed) {
        if let (Some(recorder), Some(presence)) = (&self.recorder, presence) {
            recorder.disconnected(presence, closed);
        }
    }

    /// A client gave up the session it had begun, for one that it had before.
    pub(crate) fn record_exchange(&self, client: &Client, fresh: &Socket, now: Now) {
        if let Some(recorder) = &self.recorder {
            let closed = Closed {
                code: CloseCode::NORMAL,
                reason: "an earlier session was resumed".into(),
                by: ClosedBy::Client,
                after: now.instant.saturating_duration_since(client.about.since),
            };
            recorder.disconnected(presence(client, fresh), &closed);
        }
    }
}

fn presence(client: &Client, socket: &Socket) -> Presence {
    Presence {
        namespace: socket.namespace.clone(),
        session: socket.id,
        user: socket.user.clone(),
        transport: transport(client.encoder),
        address: client.about.address,
        resumed: false,
    }
}
