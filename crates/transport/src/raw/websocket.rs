//! The handler's end of a connection: what arrives, in order.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;

use super::client::{Client, SendError};
use super::clients::Clients;
use super::inbox::Room;
use super::message::{Event, Message};
use crate::app::Closed;

/// A connection as its handler has it. There is one, and whoever has it receives; to send from elsewhere, take its [`client`](Self::client).
///
/// Dropped, as at the end of the handler, it closes the connection with 1000, and with 1011 when the handler panics. It is also a
/// [`Stream`] of messages, and a [`Sink`] that waits for slow readers.
#[derive(Debug)]
pub struct WebSocket {
    client: Client,
    closed: Option<Closed>,
}

impl WebSocket {
    pub(super) const fn new(client: Client) -> Self {
        Self {
            client,
            closed: None,
        }
    }

    /// The next message; `None` once the connection is over. Pings are answered, and passed over. What is not received yet is lost when it is dropped,
    /// not when the wait for it is.
    pub async fn recv(&mut self) -> Option<Message> {
        loop {
            match self.event().await? {
                Event::Message(message) => return Some(message),
                Event::Ping(_) | Event::Pong(_) | Event::Closed(_) => {}
            }
        }
    }

    /// The next thing that happens: messages, pings, pongs, and as the last one how the connection ended; then `None`.
    pub async fn event(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// How the connection ended, once that was received.
    pub const fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Sends a message, behind all that was sent before. While a slow reader has more than half an outbox to read, it waits.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.client.ready().await?;
        self.client.send(message)
    }

    /// Sends a ping; see [`Client::ping`].
    ///
    /// # Errors
    /// As there.
    pub fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        self.client.ping(payload)
    }

    /// Begins the closing handshake; see [`Client::close`]. What the client sent before it heard of it still arrives.
    ///
    /// # Errors
    /// As there.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.client.close(code, reason)
    }

    /// Drops the connection at once; see [`Client::terminate`].
    pub fn terminate(&self) {
        self.client.terminate();
    }

    /// What sends to it from elsewhere: clone it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// All clients of the endpoint, this one among them until it is closed.
    pub fn clients(&self) -> &Clients {
        self.client.clients()
    }

    /// The client's address, as a trusted proxy tells it.
    pub fn address(&self) -> IpAddr {
        self.client.address()
    }

    /// The subprotocol that was chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.client.subprotocol()
    }

    fn poll_event(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let (event, room) = ready!(self.client.inbox().poll_next(cx));
        if room == Room::Again
            && let Some(outbox) = self.client.outbox()
        {
            outbox.wake();
        }
        if let Some(Event::Closed(closed)) = &event {
            self.closed = Some(closed.clone());
        }
        Poll::Ready(event)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.client.inbox().abandon();
        let (code, reason) = if std::thread::panicking() {
            (1011, "Internal error")
        } else {
            (1000, "")
        };
        // Both may be sent, and who is closed already stays so.
        let _ = self.client.close(code, reason);
    }
}

impl Stream for WebSocket {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            match ready!(self.poll_event(cx)) {
                Some(Event::Message(message)) => return Poll::Ready(Some(message)),
                Some(Event::Ping(_) | Event::Pong(_) | Event::Closed(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Sink<Message> for WebSocket {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.client.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.client.send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.client.poll_ready(cx)
    }

    /// Begins the closing handshake with 1000; the [event](WebSocket::event) of its end tells that it is done.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(self.client.close(1000, ""))
    }
}
