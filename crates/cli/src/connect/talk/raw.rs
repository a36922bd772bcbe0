//! Any WebSocket.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use nuncio_client::websocket::{
    Error, Event, Message, MessageKind, OpenError, ReconnectEvent, ReconnectEvents,
    ReconnectOptions, ReconnectingWebSocket,
};

use super::super::args::ConnectArgs;
use super::super::happening::{Content, Ending, Happening};
use super::super::input::{Input, Source};
use super::super::plan::Plan;
use super::pings::Pings;
use super::{Told, without_secrets};

/// A conversation over any WebSocket.
pub(in crate::connect) struct Raw {
    socket: ReconnectingWebSocket,
    events: ReconnectEvents,
    url: String,
    is_open: bool,
    told: VecDeque<Told>,
    outgoing: VecDeque<Outgoing>,
    sending: Option<Sending>,
    pings: Pings,
    /// What the end of the last connection means.
    ending: Option<Ending>,
    is_closing: bool,
}

enum Outgoing {
    Message(Message),
    Ping(Bytes),
    Stream(Source),
    Close { code: u16, reason: String },
}

type Sending = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Raw {
    pub(super) fn start(args: &ConnectArgs, plan: &Plan) -> Self {
        let options = ReconnectOptions {
            max_retries: if args.reconnect { args.attempts } else { 0 },
            ..ReconnectOptions::default()
        };
        let (socket, events) = ReconnectingWebSocket::connect(plan.websocket(args), options);
        Self {
            socket,
            events,
            url: without_secrets(&plan.url),
            is_open: false,
            told: VecDeque::new(),
            outgoing: VecDeque::new(),
            sending: None,
            pings: Pings::default(),
            ending: None,
            is_closing: false,
        }
    }

    pub(super) fn takes(&self) -> bool {
        self.is_open && !self.is_closing && self.outgoing.is_empty() && self.sending.is_none()
    }

    /// Typed pings: nothing else of a plain WebSocket is known to be answered.
    pub(super) fn unanswered(&self) -> usize {
        self.pings.len() + usize::from(self.sending.is_some()) + self.outgoing.len()
    }

    pub(super) fn perform(&mut self, input: Input) -> Result<(), String> {
        let outgoing = match input {
            Input::Text(text) => {
                self.tell(Happening::Sent(Content::Text(text.clone())));
                Outgoing::Message(text.into())
            }
            Input::Binary(Source::Bytes(bytes)) => {
                self.tell(Happening::Sent(Content::Binary(bytes.clone())));
                Outgoing::Message(bytes.into())
            }
            Input::Binary(source) => Outgoing::Stream(source),
            Input::Ping(payload) => {
                self.pings.push(payload.clone(), Instant::now());
                Outgoing::Ping(payload)
            }
            Input::Close { code, reason } => {
                self.close(code, &reason);
                return Ok(());
            }
            Input::Quit | Input::Help | Input::Native(_) | Input::SocketIo(_) => return Ok(()),
        };
        self.outgoing.push_back(outgoing);
        Ok(())
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        if self.is_closing {
            return;
        }
        self.is_closing = true;
        if self.is_open {
            let reason = reason.to_owned();
            self.outgoing.push_back(Outgoing::Close { code, reason });
        } else {
            self.socket.close();
        }
    }

    pub(super) async fn next(&mut self) -> Told {
        if let Some(told) = self.told.pop_front() {
            return told;
        }
        if self.sending.is_none()
            && let Some(outgoing) = self.outgoing.pop_front()
        {
            self.sending = Some(send(self.socket.clone(), outgoing));
        }
        tokio::select! {
            sent = finished(&mut self.sending) => {
                self.sending = None;
                if let Err(problem) = sent {
                    self.told.push_back(Told::Failed(problem));
                }
            }
            event = self.events.next() => self.handle_event(event),
        }
        self.told.pop_front().unwrap_or(Told::Progress)
    }

    fn handle_event(&mut self, event: Option<ReconnectEvent>) {
        match event {
            Some(ReconnectEvent::Event(event)) => self.handle_socket_event(event),
            Some(ReconnectEvent::Waiting { delay, .. }) => {
                self.tell(Happening::Waiting { delay });
            }
            None => {
                let ending = match self.is_closing {
                    true if self.ending != Some(Ending::Refused) => Ending::ByUs,
                    _ => self.ending.take().unwrap_or(Ending::Lost),
                };
                self.told.push_back(Told::End(ending));
            }
        }
    }

    fn handle_socket_event(&mut self, event: Event) {
        match event {
            Event::Open { subprotocol } => {
                self.is_open = true;
                self.tell(Happening::Open {
                    url: self.url.clone(),
                    detail: subprotocol,
                });
            }
            Event::Message(Message::Text(text)) => {
                self.tell(Happening::Message(Content::Text(text)));
            }
            Event::Message(Message::Binary(bytes)) => {
                self.tell(Happening::Message(Content::Binary(bytes)));
            }
            Event::Piece(piece) => self.tell(Happening::Message(Content::Binary(piece.bytes))),
            Event::Ping(payload) => self.tell(Happening::Ping(payload)),
            Event::Pong(payload) => {
                let took = self.pings.answered(&payload, Instant::now());
                self.tell(Happening::Pong { payload, took });
            }
            Event::Error(error) => self.handle_error(&error),
            Event::Close { code, reason, .. } => self.handle_close(code.0, reason),
        }
    }

    fn handle_error(&mut self, error: &Error) {
        let is_refusal = matches!(error, Error::Open(error) if error.status().is_some_and(|status| (400..500).contains(&status)));
        let is_hopeless = matches!(error, Error::Open(OpenError::Url(_)));
        self.ending = Some(match is_refusal {
            true => Ending::Refused,
            false => Ending::Lost,
        });
        if is_refusal || is_hopeless {
            // The same request would get the same answer.
            self.socket.close();
        }
        if !self.is_closing {
            self.tell(Happening::Problem(error.to_string()));
        }
    }

    fn handle_close(&mut self, code: u16, reason: String) {
        let was_open = std::mem::take(&mut self.is_open);
        self.pings.clear();
        self.outgoing.clear();
        if code != 1006 {
            self.ending = Some(Ending::ByServer { code });
        }
        if code != 1006 || was_open {
            self.tell(Happening::Closed { code, reason });
        }
    }

    fn tell(&mut self, happening: Happening) {
        self.told.push_back(Told::Happening(happening));
    }
}

fn send(socket: ReconnectingWebSocket, outgoing: Outgoing) -> Sending {
    Box::pin(async move {
        let lost = |what: &str| format!("{what} was not sent: the connection is lost");
        match outgoing {
            Outgoing::Message(message) => {
                socket.send(message).await.map_err(|_| lost("the message"))
            }
            Outgoing::Ping(payload) => {
                let open = socket.socket().ok_or_else(|| lost("the ping"))?;
                open.ping(payload).await.map_err(|error| error.to_string())
            }
            Outgoing::Close { code, reason } => {
                let closed = socket.close_with(code, &reason);
                closed.map_err(|error| error.to_string())
            }
            Outgoing::Stream(source) => stream(&socket, source).await,
        }
    })
}

/// One message, of whatever length: no more of it is read than the server takes.
async fn stream(socket: &ReconnectingWebSocket, source: Source) -> Result<(), String> {
    let Some(open) = socket.socket() else {
        return Err("the message was not sent: the connection is lost".to_owned());
    };
    let sent = match source {
        Source::Bytes(bytes) => open.send_stream(MessageKind::Binary, &bytes[..]).await,
        Source::Stdin => {
            open.send_stream(MessageKind::Binary, tokio::io::stdin())
                .await
        }
        Source::File(path) => {
            let file = tokio::fs::File::open(&path).await;
            let file =
                file.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            open.send_stream(MessageKind::Binary, file).await
        }
    };
    sent.map(|_| ()).map_err(|error| error.to_string())
}

async fn finished(sending: &mut Option<Sending>) -> Result<(), String> {
    match sending {
        Some(sending) => sending.await,
        None => pending().await,
    }
}
