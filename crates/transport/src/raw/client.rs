//! The handle to one connection, for anybody who has something to send.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use nuncio_hub::{Notice, Pushed};
use nuncio_model::{CloseCode, SocketId};
use nuncio_websocket::{Mask, WindowBits, encode_ping};
use parking_lot::Mutex;

use super::clients::Clients;
use super::inbox::Inbox;
use super::message::{Frames, Message};
use crate::sink::Outbox;

/// One connected client: sends to it from anywhere, as long as it is connected. Clones are the same client; a clone that is kept keeps no socket open.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    id: SocketId,
    address: IpAddr,
    subprotocol: Option<String>,
    window: Option<WindowBits>,
    outbox: Weak<Outbox>,
    outbox_bytes_max: usize,
    state: AtomicU8,
    clients: Clients,
    inbox: Mutex<Inbox>,
    /// Those who wait until there is room in the outbox.
    senders: Mutex<Vec<Waker>>,
}

/// What was agreed with a client.
pub(super) struct Agreed {
    pub(super) id: SocketId,
    pub(super) address: IpAddr,
    pub(super) subprotocol: Option<String>,
    pub(super) window: Option<WindowBits>,
    pub(super) outbox_bytes_max: usize,
}

/// How far a connection is, as `readyState` says it in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Open,
    /// A close frame is on its way: nothing more is sent.
    Closing,
    /// The connection is to be dropped at once.
    Terminated,
    Closed,
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed, or closing; a client that reads too slowly is closed with 1013.
    #[error("the connection is closed, or closing")]
    Closed,
    /// RFC 6455 §5.5.
    #[error("a ping of {0} bytes: at most 125 are allowed")]
    PingTooLong(usize),
    /// RFC 6455 §7.4.
    #[error("{0} cannot be sent as a close code: use 1000 to 1003, 1007 to 1014 or 3000 to 4999")]
    CloseCode(u16),
    /// RFC 6455 §5.5.1.
    #[error("a reason of {0} bytes: at most 123 are allowed")]
    ReasonTooLong(usize),
}

/// The longest payload of a ping, and the longest reason, in bytes (RFC 6455 §5.5).
const PING_BYTES_MAX: usize = 125;
const REASON_BYTES_MAX: usize = 123;

impl Client {
    pub(super) fn new(agreed: Agreed, outbox: &Arc<Outbox>, clients: Clients) -> Self {
        let Agreed {
            id,
            address,
            subprotocol,
            window,
            outbox_bytes_max,
        } = agreed;
        Self(Arc::new(Inner {
            id,
            address,
            subprotocol,
            window,
            outbox: Arc::downgrade(outbox),
            outbox_bytes_max,
            state: AtomicU8::new(State::Open as u8),
            clients,
            inbox: Mutex::default(),
            senders: Mutex::default(),
        }))
    }

    /// An id that nobody else has, as nobody can guess.
    pub fn id(&self) -> SocketId {
        self.0.id
    }

    /// Its address, as a trusted proxy tells it.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// The subprotocol that was chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol.as_deref()
    }

    /// All clients of its endpoint.
    pub fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        self.state() == State::Open
    }

    /// Queues a message, behind all that was sent before. It never waits; a client that reads so slowly that its outbox fills is closed with 1013.
    /// [`WebSocket::send`](super::WebSocket::send) waits instead.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        self.push(Frames::new(&message, self.0.clients.deflate_threshold()).frame(self.0.window))
    }

    /// Sends a ping; the pong is an [`Event::Pong`](super::Event::Pong) with the same payload.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::PingTooLong`].
    pub fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > PING_BYTES_MAX {
            return Err(SendError::PingTooLong(payload.len()));
        }
        self.push(encode_ping(payload, Mask::None))
    }

    /// Begins the closing handshake, behind all that was sent before. The second time it does nothing.
    ///
    /// # Errors
    /// [`SendError::CloseCode`], [`SendError::ReasonTooLong`]; closed already is no error.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        if nuncio_websocket::CloseCode::new(code).is_none() {
            return Err(SendError::CloseCode(code));
        }
        if reason.len() > REASON_BYTES_MAX {
            return Err(SendError::ReasonTooLong(reason.len()));
        }
        if let Some(outbox) = self.0.outbox.upgrade()
            && self.advance(State::Closing)
        {
            let (code, reason) = (CloseCode(code), reason.to_owned().into());
            outbox.notify(Notice::Close { code, reason });
        }
        Ok(())
    }

    /// Drops the connection at once, without a closing handshake and without what still waits. Both sides see 1006.
    pub fn terminate(&self) {
        if let Some(outbox) = self.0.outbox.upgrade()
            && self.advance(State::Terminated)
        {
            outbox.wake();
        }
    }

    /// Bytes that wait until the client reads them.
    pub fn buffered(&self) -> usize {
        self.0.outbox.upgrade().map_or(0, |outbox| outbox.bytes())
    }

    /// Waits until less than half of the outbox is taken.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        std::future::poll_fn(|cx| self.poll_ready(cx)).await
    }

    pub(super) fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(outbox) = self.0.outbox.upgrade().filter(|_| self.is_open()) else {
            return Poll::Ready(Err(SendError::Closed));
        };
        if self.has_room(&outbox) {
            return Poll::Ready(Ok(()));
        }
        self.0.senders.lock().push(cx.waker().clone());
        // Either it is written now, or the socket is full and the connection's task writes on: it wakes who waits.
        outbox.flush();
        if self.has_room(&outbox) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn has_room(&self, outbox: &Outbox) -> bool {
        outbox.bytes() <= self.0.outbox_bytes_max / 2
    }

    /// Wakes those who wait for room, when there is some or never will be.
    pub(super) fn wake_senders(&self, outbox: &Outbox) {
        let mut senders = self.0.senders.lock();
        if !senders.is_empty() && (!self.is_open() || self.has_room(outbox)) {
            std::mem::take(&mut *senders)
                .into_iter()
                .for_each(Waker::wake);
        }
    }

    /// Queues a frame.
    pub(super) fn push(&self, frame: Bytes) -> Result<(), SendError> {
        let outbox = self.0.outbox.upgrade().ok_or(SendError::Closed)?;
        match self.push_to(&outbox, frame) {
            Pushed::Due => self.0.clients.flushers().add(outbox),
            Pushed::Waits => {}
            Pushed::Dropped => return Err(SendError::Closed),
        }
        Ok(())
    }

    fn push_to(&self, outbox: &Outbox, frame: Bytes) -> Pushed {
        if self.is_open() {
            outbox.push(frame)
        } else {
            Pushed::Dropped
        }
    }

    /// The same for many clients, whose outboxes are flushed together.
    pub(super) fn push_frames(
        &self,
        frames: &mut Frames<'_>,
        due: &mut Vec<Arc<Outbox>>,
    ) -> Result<(), SendError> {
        let outbox = self.0.outbox.upgrade().ok_or(SendError::Closed)?;
        match self.push_to(&outbox, frames.frame(self.0.window)) {
            Pushed::Due => due.push(outbox),
            Pushed::Waits => {}
            Pushed::Dropped => return Err(SendError::Closed),
        }
        Ok(())
    }

    pub(super) fn outbox(&self) -> Option<Arc<Outbox>> {
        self.0.outbox.upgrade()
    }

    pub(super) fn inbox(&self) -> parking_lot::MutexGuard<'_, Inbox> {
        self.0.inbox.lock()
    }

    pub(super) fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            0 => State::Open,
            1 => State::Closing,
            2 => State::Terminated,
            _ => State::Closed,
        }
    }

    /// Goes on to a later state; `false` when it was there already.
    pub(super) fn advance(&self, state: State) -> bool {
        self.0.state.fetch_max(state as u8, Ordering::AcqRel) < state as u8
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Client {}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.0.id)
            .field("address", &self.0.address)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
