//! The task of one client: does what the session asks for, and tells it what happens.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::time::{Duration, Instant};

use nuncio_model::{CloseCode, Command, Json, RoomName, Secret};
use tokio::sync::{mpsc, oneshot};

use super::config::{Config, TokenFuture};
use crate::session::{Action, Answer, CallError, Event, JoinFrom, Repeat, Session, Ticket};
use crate::websocket::{self, Message, OpenError, WebSocket, random};

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Request {
    Call {
        command: Command,
        repeat: Repeat,
        reply: Reply,
    },
    Join {
        room: RoomName,
        from: JoinFrom,
        reply: Reply,
    },
    Leave(RoomName),
    Now(Command),
    Answer {
        ack_id: u64,
        data: Json,
    },
    Wake,
    Close,
}

type Reply = oneshot::Sender<Result<Answer, CallError>>;

/// Drives one client to its end.
pub(super) async fn run(
    config: Config,
    mut requests: mpsc::Receiver<Request>,
    tell: mpsc::Sender<Event>,
) {
    let mut task = Task::new(config);
    task.session.start();
    while !task.perform() {
        let due = task.session.poll_timeout();
        let reads = task.told.is_empty();
        tokio::select! {
            permit = tell.reserve(), if !reads => match (permit, task.told.pop_front()) {
                (Ok(permit), Some(event)) => permit.send(event),
                (Ok(_), None) => {}
                (Err(_), _) => task.session.close(),
            },
            () = tell.closed(), if reads => task.session.close(),
            request = requests.recv() => task.handle_request(request),
            step = step(&mut task.line, reads) => match step {
                Step::Wrote => {}
                Step::Event(event) => task.handle_event(event),
            },
            token = answer(&mut task.asking) => task.handle_token(token),
            () = until(due) => task.session.handle_timeout(Instant::now(), random_number()),
        }
    }
    task.finish(&tell).await;
}

struct Task {
    session: Session,
    config: Config,
    line: Option<Line>,
    asking: Option<TokenFuture>,
    replies: HashMap<Ticket, Reply>,
    told: VecDeque<Event>,
    refused: Option<(u16, Option<Duration>)>,
}

/// One connection.
struct Line {
    socket: WebSocket,
    events: websocket::Events,
    outgoing: VecDeque<String>,
}

impl Task {
    fn new(config: Config) -> Self {
        Self {
            session: Session::new(config.session),
            config,
            line: None,
            asking: None,
            replies: HashMap::new(),
            told: VecDeque::new(),
            refused: None,
        }
    }

    /// Does what the session asks for. Answers whether that was the last.
    fn perform(&mut self) -> bool {
        let mut is_over = false;
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect => self.connect(),
                Action::AskToken => {
                    self.asking = self.config.token.as_ref().map(|source| source());
                }
                Action::Send(text) => self.send(&text),
                // The end follows, and with it the closing handshake.
                Action::Close => {}
                Action::Abort => self.line = None,
                Action::Tell(event) => {
                    is_over |= matches!(event, Event::Ended(_));
                    self.told.push_back(event);
                }
                Action::Settle(ticket, outcome) => {
                    if let Some(reply) = self.replies.remove(&ticket) {
                        // Who does not wait any longer needs no answer.
                        let _ = reply.send(outcome);
                    }
                }
            }
        }
        is_over
    }

    fn connect(&mut self) {
        let (socket, events) = WebSocket::connect(self.config.websocket.clone());
        self.refused = None;
        self.line = Some(Line {
            socket,
            events,
            outgoing: VecDeque::new(),
        });
    }

    fn send(&mut self, text: &[u8]) {
        if let Some(line) = &mut self.line {
            let text = String::from_utf8_lossy(text).into_owned();
            line.outgoing.push_back(text);
        }
    }

    fn handle_request(&mut self, request: Option<Request>) {
        let now = Instant::now();
        match request {
            Some(Request::Call {
                command,
                repeat,
                reply,
            }) => {
                let ticket = self.session.call(command, repeat, now);
                self.replies.insert(ticket, reply);
            }
            Some(Request::Join { room, from, reply }) => {
                let ticket = self.session.join(room, from, now);
                self.replies.insert(ticket, reply);
            }
            Some(Request::Leave(room)) => self.session.leave(&room),
            Some(Request::Now(command)) => {
                self.session.send_now(command);
            }
            Some(Request::Answer { ack_id, data }) => {
                self.session.answer(ack_id, data);
            }
            Some(Request::Wake) => self.session.start(),
            Some(Request::Close) | None => self.session.close(),
        }
    }

    fn handle_event(&mut self, event: Option<websocket::Event>) {
        let now = Instant::now();
        match event {
            Some(websocket::Event::Open { .. }) => self.session.handle_opened(now),
            Some(websocket::Event::Message(Message::Text(text))) => {
                self.session.handle_message(&text, now);
            }
            Some(
                websocket::Event::Message(Message::Binary(_))
                | websocket::Event::Piece(_)
                | websocket::Event::Ping(_)
                | websocket::Event::Pong(_),
            ) => {
                self.session.handle_heard(now);
            }
            Some(websocket::Event::Error(error)) => self.refused = refusal(&error),
            Some(websocket::Event::Close { code, reason, .. }) => self.handle_close(code, &reason),
            None => self.handle_close(CloseCode::ABNORMAL, ""),
        }
    }

    fn handle_close(&mut self, code: CloseCode, reason: &str) {
        let (now, random) = (Instant::now(), random_number());
        self.line = None;
        match self.refused.take() {
            Some((status, retry_after)) => {
                self.session
                    .handle_refused(status, retry_after, now, random);
            }
            None => self.session.handle_closed(code, reason, now, random),
        }
    }

    fn handle_token(&mut self, token: Option<String>) {
        self.asking = None;
        let token = token.map(Secret::from);
        self.session
            .handle_token(token, Instant::now(), random_number());
    }

    /// Says what is still to be said, to the server and to the application.
    async fn finish(mut self, tell: &mpsc::Sender<Event>) {
        if let Some(mut line) = self.line.take() {
            while let Some(text) = line.outgoing.pop_front() {
                if line.socket.send(text).await.is_err() {
                    break;
                }
            }
            // It may be closed already, which is as good.
            let _ = line.socket.close(CloseCode::NORMAL.0, "").await;
            while line.events.next().await.is_some() {}
        }
        for event in self.told {
            if tell.send(event).await.is_err() {
                return;
            }
        }
    }
}

fn refusal(error: &websocket::Error) -> Option<(u16, Option<Duration>)> {
    match error {
        websocket::Error::Open(error @ OpenError::Refused { retry_after, .. }) => {
            Some((error.status()?, *retry_after))
        }
        websocket::Error::Open(_)
        | websocket::Error::Frame(_)
        | websocket::Error::Io(_)
        | websocket::Error::CloseTimeout
        | websocket::Error::NoPong { .. } => None,
    }
}

/// One step of a connection; dropped half-way it has done nothing.
async fn step(line: &mut Option<Line>, reads: bool) -> Step {
    let Some(line) = line else {
        return pending().await;
    };
    let waiting = line.outgoing.front().cloned();
    let is_waiting = waiting.is_some();
    tokio::select! {
        // A closed socket is about to tell so itself.
        _ = line.socket.send(waiting.unwrap_or_default()), if is_waiting => {
            line.outgoing.pop_front();
            Step::Wrote
        }
        event = line.events.next(), if reads => Step::Event(event),
        else => pending().await,
    }
}

enum Step {
    Wrote,
    Event(Option<websocket::Event>),
}

async fn answer(asking: &mut Option<TokenFuture>) -> Option<String> {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

fn random_number() -> u64 {
    u64::from_ne_bytes(random())
}
