//! One endpoint under test, fed with bytes.

use nuncio_websocket::{
    CloseCode, Connection, ConnectionConfig, DeflateParams, Event, FrameError, Inflater, Role,
    WindowBits,
};

/// A connection with an inflater of its own, which answers nothing by itself.
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    inflater: Inflater,
}

impl Peer {
    pub(crate) fn new(role: Role, config: ConnectionConfig) -> Self {
        Self {
            connection: Connection::new(role, config),
            inflater: Inflater::new(),
        }
    }

    /// A client: what it is fed with needs no mask, so that the bytes can be read.
    pub(crate) fn client() -> Self {
        Self::new(Role::Client, ConnectionConfig::default())
    }

    /// A server, which wants masked frames.
    pub(crate) fn server() -> Self {
        Self::new(Role::Server, ConnectionConfig::default())
    }

    /// A client that agreed to compression.
    pub(crate) fn deflating_client() -> Self {
        let config = ConnectionConfig {
            deflate: Some(DEFLATE),
            ..ConnectionConfig::default()
        };
        Self::new(Role::Client, config)
    }

    /// Everything that the bytes bring, up to the first refusal.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Received {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let mut events = Vec::new();
        loop {
            match self.connection.receive(&mut input, &mut self.inflater) {
                Ok(Some(event)) => events.push(event.into_owned()),
                Ok(None) => {
                    assert!(input.is_empty(), "input is left over");
                    return Received {
                        events,
                        refused: None,
                    };
                }
                Err(error) => {
                    return Received {
                        events,
                        refused: Some(error),
                    };
                }
            }
        }
    }

    /// The same, when the bytes come in pieces that end at the `cuts`.
    pub(crate) fn receive_in_pieces(&mut self, bytes: &[u8], lens: &[usize]) -> Received {
        let mut received = Received {
            events: Vec::new(),
            refused: None,
        };
        let mut rest = bytes;
        for len in lens.iter().copied().chain([usize::MAX]) {
            let (piece, after) = rest.split_at(len.min(rest.len()));
            rest = after;
            let more = self.receive(piece);
            received.events.extend(more.events);
            received.refused = received.refused.or(more.refused);
        }
        received
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) refused: Option<FrameError>,
}

pub(crate) const DEFLATE: DeflateParams = DeflateParams {
    server_window: WindowBits::MAX,
    client_window: WindowBits::MAX,
};

pub(crate) fn events(events: impl Into<Vec<Event<'static>>>) -> Received {
    Received {
        events: events.into(),
        refused: None,
    }
}

pub(crate) fn refused(error: FrameError) -> Received {
    Received {
        events: Vec::new(),
        refused: Some(error),
    }
}

pub(crate) fn text(text: &'static str) -> Event<'static> {
    Event::Text(text.into())
}

pub(crate) fn binary(bytes: &'static [u8]) -> Event<'static> {
    Event::Binary(bytes.into())
}

pub(crate) fn ping(payload: &'static [u8]) -> Event<'static> {
    Event::Ping(payload.into())
}

pub(crate) fn pong(payload: &'static [u8]) -> Event<'static> {
    Event::Pong(payload.into())
}

pub(crate) fn close(code: u16, reason: &'static str) -> Event<'static> {
    Event::Close {
        code: Some(CloseCode::new(code).unwrap()),
        reason: reason.into(),
    }
}
