//! A WebSocket that connects again.

use std::sync::Arc;
use std::time::Duration;

use nuncio_model::CloseCode;
use tokio::sync::{mpsc, watch};

use super::{
    ClientConfig, CloseError, Closed, Event, Events, Message, ReadyState, WebSocket, random,
    sendable,
};
use crate::{Backoff, BackoffConfig, Jitter};

/// A WebSocket that is connected anew whenever it is lost, one connection at a time.
///
/// A message is sent on the connection that is open at that moment; without one [`send`](Self::send) is an error, for nobody
/// could tell what of the old conversation a new one still wants to hear.
#[derive(Debug, Clone)]
pub struct ReconnectingWebSocket {
    open: watch::Receiver<Option<WebSocket>>,
    close: Arc<watch::Sender<Option<Farewell>>>,
}

impl ReconnectingWebSocket {
    /// Begins to connect, in a task of its own. Must be called inside a tokio runtime.
    pub fn connect(config: ClientConfig, options: ReconnectOptions) -> (Self, ReconnectEvents) {
        let (tell, told) = mpsc::channel(config.queue_max.max(1));
        let (opened, open) = watch::channel(None);
        let (close, closing) = watch::channel(None);
        let task = Task {
            config,
            backoff: options.backoff(),
            opened,
            closing,
            tell,
        };
        tokio::spawn(task.run());
        let close = Arc::new(close);
        (Self { open, close }, ReconnectEvents { told })
    }

    /// Sends one message on the open connection.
    ///
    /// # Errors
    /// [`Closed`] while there is no open connection.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Closed> {
        self.socket().ok_or(Closed)?.send(message).await
    }

    /// Closes with 1000, and connects no more.
    pub fn close(&self) {
        self.say_farewell(CloseCode::NORMAL.0, "");
    }

    /// Closes with a code and a reason, and connects no more.
    ///
    /// # Errors
    /// [`CloseError::Code`] for a code other than 1000 and 3000 to 4999.
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), CloseError> {
        sendable(code)?;
        self.say_farewell(code, reason);
        Ok(())
    }

    /// The connection that is open at present: for pings and streams.
    pub fn socket(&self) -> Option<WebSocket> {
        self.open.borrow().clone()
    }

    fn say_farewell(&self, code: u16, reason: &str) {
        let reason = reason.to_owned();
        self.close.send_replace(Some(Farewell { code, reason }));
    }

    /// Where the present connection is in its life; [`ReadyState::Connecting`] also while the next one is waited for.
    pub fn ready_state(&self) -> ReadyState {
        if self.close.is_closed() {
            return ReadyState::Closed;
        }
        self.socket()
            .map_or(ReadyState::Connecting, |socket| socket.ready_state())
    }
}

/// What happens on all connections together.
#[derive(Debug)]
pub struct ReconnectEvents {
    told: mpsc::Receiver<ReconnectEvent>,
}

impl ReconnectEvents {
    /// The next event; `None` when no connection will follow.
    pub async fn next(&mut self) -> Option<ReconnectEvent> {
        self.told.recv().await
    }
}

/// One thing that happened.
#[derive(Debug)]
pub enum ReconnectEvent {
    /// An event of the present connection.
    Event(Event),
    /// The next attempt follows after this pause; the first has the number 1.
    Waiting {
        /// The attempt since a connection was last open.
        attempt: u32,
        /// The pause.
        delay: Duration,
    },
}

/// When to connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconnectOptions {
    /// The first pause, doubled with each attempt. Default 1 s.
    pub reconnect_interval: Duration,
    /// No pause is longer. Default 30 s.
    pub reconnect_interval_max: Duration,
    /// Attempts after which it gives up; an open connection counts them anew. Default 10.
    pub max_retries: u32,
    /// Default [`Jitter::Full`]; [`Jitter::None`] makes each pause exactly the doubled interval.
    pub jitter: Jitter,
}

impl ReconnectOptions {
    const fn backoff(&self) -> Backoff {
        Backoff::new(BackoffConfig {
            delay_first: self.reconnect_interval,
            delay_max: self.reconnect_interval_max,
            attempts_max: Some(self.max_retries),
            jitter: self.jitter,
        })
    }
}

impl Default for ReconnectOptions {
    fn default() -> Self {
        Self {
            reconnect_interval: Duration::from_secs(1),
            reconnect_interval_max: Duration::from_secs(30),
            max_retries: 10,
            jitter: Jitter::Full,
        }
    }
}

/// How the last connection is closed.
#[derive(Debug, Clone)]
struct Farewell {
    code: u16,
    reason: String,
}

struct Task {
    config: ClientConfig,
    backoff: Backoff,
    opened: watch::Sender<Option<WebSocket>>,
    closing: watch::Receiver<Option<Farewell>>,
    tell: mpsc::Sender<ReconnectEvent>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let (socket, events) = WebSocket::connect(self.config.clone());
            let ended = self.forward(&socket, events).await;
            self.opened.send_replace(None);
            if ended == Ended::ByUs {
                return;
            }
            let Some(delay) = self.backoff.next_delay(u64::from_ne_bytes(random())) else {
                return;
            };
            let attempt = self.backoff.attempts();
            self.tell(ReconnectEvent::Waiting { attempt, delay }).await;
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = closed(&mut self.closing) => return,
                () = self.tell.closed() => return,
            }
        }
    }

    /// Passes the events of one connection on, until its end.
    async fn forward(&mut self, socket: &WebSocket, mut events: Events) -> Ended {
        let mut ended = Ended::ByPeer;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                farewell = closed(&mut self.closing), if ended == Ended::ByPeer => {
                    ended = Ended::ByUs;
                    // It may be closing already, which is as good.
                    let _ = socket.close(farewell.code, &farewell.reason).await;
                    continue;
                }
            };
            let Some(event) = event else {
                return ended;
            };
            if matches!(event, Event::Open { .. }) {
                self.backoff.reset();
                self.opened.send_replace(Some(socket.clone()));
            }
            if !self.tell(ReconnectEvent::Event(event)).await {
                return Ended::ByUs;
            }
        }
    }

    /// Whether somebody still listens.
    async fn tell(&self, event: ReconnectEvent) -> bool {
        self.tell.send(event).await.is_ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByPeer,
    ByUs,
}

/// Waits until `close` is called or the last handle is gone.
async fn closed(closing: &mut watch::Receiver<Option<Farewell>>) -> Farewell {
    let farewell = closing.wait_for(Option::is_some).await;
    // The sender is gone with the last handle: that closes too.
    let farewell = farewell.ok().and_then(|farewell| farewell.clone());
    farewell.unwrap_or_else(|| Farewell {
        code: CloseCode::NORMAL.0,
        reason: String::new(),
    })
}
