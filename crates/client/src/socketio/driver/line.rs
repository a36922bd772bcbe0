//! What is under way on one connection: a GET, a POST, a WebSocket.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use nuncio_engineio::Frame;

use super::FINISH_TIMEOUT;
use super::endpoint::Endpoint;
use super::polling::{Answer, Http};
use crate::websocket::{Event, Events, Message, WebSocket};

type Exchange = Pin<Box<dyn Future<Output = Result<Answer, String>> + Send>>;

/// What is under way on one connection.
pub(super) struct Line {
    endpoint: Arc<Endpoint>,
    http: Http,
    get: Option<Exchange>,
    post: Option<Exchange>,
    socket: Option<Socket>,
}

/// A WebSocket and what waits for it.
pub(super) struct Socket {
    socket: WebSocket,
    events: Events,
    outgoing: VecDeque<Message>,
    failure: Option<String>,
}

/// One thing that happened on the connection.
pub(super) enum Happening {
    GetAnswered(Result<Answer, String>),
    PostAnswered(Result<Answer, String>),
    SocketOpen,
    Frame(Frame),
    Sent,
    SocketEnd(Option<String>),
    Nothing,
}

impl Line {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            http: Http::new(endpoint.clone()),
            endpoint,
            get: None,
            post: None,
            socket: None,
        }
    }

    pub(super) fn get(&mut self, query: String) {
        let request = self.http.clone().request(Method::GET, query, Bytes::new());
        self.get = Some(Box::pin(request));
    }

    pub(super) fn post(&mut self, query: String, body: Bytes) {
        let request = self.http.clone().request(Method::POST, query, body);
        self.post = Some(Box::pin(request));
    }

    pub(super) fn open_socket(&mut self, query: &str) {
        let config = self.endpoint.websocket(query, self.http.cookie());
        let (socket, events) = WebSocket::connect(config);
        self.socket = Some(Socket {
            socket,
            events,
            outgoing: VecDeque::new(),
            failure: None,
        });
    }

    pub(super) fn send(&mut self, frame: Frame) {
        if let Some(socket) = &mut self.socket {
            socket.outgoing.push_back(message(frame));
        }
    }

    pub(super) fn take_socket(&mut self) -> Option<Socket> {
        self.socket.take()
    }

    /// The next thing that happens; dropped half-way it has done nothing.
    pub(super) async fn next(&mut self, reads: bool) -> Happening {
        tokio::select! {
            answer = exchange(&mut self.get), if reads => {
                self.get = None;
                Happening::GetAnswered(answer)
            }
            answer = exchange(&mut self.post) => {
                self.post = None;
                Happening::PostAnswered(answer)
            }
            happening = step(&mut self.socket, reads) => {
                if let Happening::SocketEnd(_) = happening {
                    self.socket = None;
                }
                happening
            }
        }
    }
}

impl Socket {
    /// Sends what waits, and closes.
    pub(super) async fn finish(mut self) {
        let closing = async {
            while let Some(message) = self.outgoing.pop_front() {
                if self.socket.send(message).await.is_err() {
                    break;
                }
            }
            // It may be closed already, which is as good.
            let _ = self.socket.close(1000, "").await;
            while self.events.next().await.is_some() {}
        };
        // A server that does not read has nothing more to be told.
        let _ = tokio::time::timeout(FINISH_TIMEOUT, closing).await;
    }

    fn handle_event(&mut self, event: Option<Event>) -> Happening {
        match event {
            Some(Event::Open { .. }) => Happening::SocketOpen,
            Some(Event::Message(Message::Text(text))) => Happening::Frame(Frame::Text(text.into())),
            Some(Event::Message(Message::Binary(bytes))) => Happening::Frame(Frame::Binary(bytes)),
            Some(Event::Piece(_) | Event::Ping(_) | Event::Pong(_)) => Happening::Nothing,
            Some(Event::Error(error)) => {
                self.failure = Some(error.to_string());
                Happening::Nothing
            }
            Some(Event::Close { .. }) | None => Happening::SocketEnd(self.failure.take()),
        }
    }
}

async fn exchange(exchange: &mut Option<Exchange>) -> Result<Answer, String> {
    match exchange {
        Some(exchange) => exchange.await,
        None => pending().await,
    }
}

async fn step(socket: &mut Option<Socket>, reads: bool) -> Happening {
    let Some(line) = socket else {
        return pending().await;
    };
    let waiting = line.outgoing.front().cloned();
    let is_waiting = waiting.is_some();
    tokio::select! {
        // A closed socket is about to tell so itself.
        _ = line.socket.send(waiting.unwrap_or_else(|| "".into())), if is_waiting => {
            line.outgoing.pop_front();
            Happening::Sent
        }
        event = line.events.next(), if reads => line.handle_event(event),
        else => pending().await,
    }
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::Text(String::from_utf8_lossy(&text).into_owned()),
        Frame::Binary(bytes) => Message::Binary(bytes),
    }
}
