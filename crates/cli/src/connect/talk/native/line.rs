//! One connection of a native conversation.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;

use bytes::Bytes;
use nuncio_client::websocket::{ClientConfig, Event, Events, Message, WebSocket};

/// A WebSocket, and what waits for it.
pub(super) struct Line {
    socket: WebSocket,
    events: Events,
    outgoing: VecDeque<Outgoing>,
    sending: Option<Sending>,
    is_open: bool,
}

/// What is to go out.
pub(super) enum Outgoing {
    Message(Message),
    Ping(Bytes),
    Close { code: u16, reason: String },
}

/// What happened on it.
pub(super) enum Came {
    Sent(Result<(), String>),
    Event(Option<Event>),
}

type Sending = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Line {
    pub(super) fn connect(config: ClientConfig) -> Self {
        let (socket, events) = WebSocket::connect(config);
        Self {
            socket,
            events,
            outgoing: VecDeque::new(),
            sending: None,
            is_open: false,
        }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.outgoing.push_back(outgoing);
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether it is open and nothing waits to go out.
    pub(super) fn takes(&self) -> bool {
        self.is_open && self.sending.is_none() && self.outgoing.is_empty()
    }

    /// The next thing that happens; dropped half-way it has done nothing.
    pub(super) async fn next(&mut self) -> Came {
        if self.sending.is_none()
            && let Some(outgoing) = self.outgoing.pop_front()
        {
            self.sending = Some(send(self.socket.clone(), outgoing));
        }
        tokio::select! {
            sent = finished(&mut self.sending) => {
                self.sending = None;
                Came::Sent(sent)
            }
            event = self.events.next() => {
                self.is_open |= matches!(event, Some(Event::Open { .. }));
                Came::Event(event)
            }
        }
    }
}

/// A closed socket is about to tell so itself.
fn send(socket: WebSocket, outgoing: Outgoing) -> Sending {
    Box::pin(async move {
        match outgoing {
            Outgoing::Message(message) => drop(socket.send(message).await),
            Outgoing::Ping(payload) => drop(socket.ping(payload).await),
            Outgoing::Close { code, reason } => {
                let closed = socket.close(code, &reason).await;
                closed.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    })
}

async fn finished(sending: &mut Option<Sending>) -> Result<(), String> {
    match sending {
        Some(sending) => sending.await,
        None => pending().await,
    }
}
