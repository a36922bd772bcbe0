//! nuncio's own protocol: what comes is shown as it comes; rooms, calls and returns are the client's own `Session`.

mod line;

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::time::{Duration, Instant};

use nuncio_client::model::{
    Body, CloseCode, Command, HistoryQuery, IdempotencyKey, Json, PublishRequest, RoomName, Secret,
    Typing,
};
use nuncio_client::websocket::{ClientConfig, Error, Event, Message, OpenError};
use nuncio_client::{
    Action, BackoffConfig, CallError, Credential, EndReason, Event as SessionEvent, JoinFrom,
    Repeat, Session, SessionConfig, Ticket,
};

use super::super::args::ConnectArgs;
use super::super::happening::{Content, Ending, Happening};
use super::super::input::{Input, InputError, NativeOrder};
use super::super::json;
use super::super::plan::Plan;
use super::pings::Pings;
use super::{Told, without_secrets};
use line::{Came, Line, Outgoing};

/// A conversation in the native protocol.
pub(in crate::connect) struct Native {
    session: Session,
    config: ClientConfig,
    url: String,
    token: Option<Secret>,
    /// Whether the server will let us in without a line of ours: with a token. Else the first line may be what says who we are.
    says_who: bool,
    line: Option<Line>,
    told: VecDeque<Told>,
    /// Calls without an answer yet, and what was asked.
    asked: HashMap<Ticket, &'static str>,
    pings: Pings,
    /// The room joined last: where a line without a slash goes.
    room: Option<RoomName>,
    refused: Option<(u16, Option<Duration>)>,
    /// What the end of the last connection means.
    ending: Ending,
    is_closing: bool,
}

impl Native {
    pub(super) fn start(args: &ConnectArgs, plan: &Plan) -> Self {
        let token = plan.token.clone().map(Secret::from);
        let mut rules = SessionConfig::default();
        rules.credential = match token {
            Some(_) => Credential::Token,
            None => Credential::Request,
        };
        rules.backoff = BackoffConfig {
            attempts_max: Some(if args.reconnect { args.attempts } else { 0 }),
            ..BackoffConfig::default()
        };
        rules.call_timeout = args.timeout;
        let mut session = Session::new(rules);
        session.start();
        Self {
            session,
            config: plan.websocket(args).subprotocol("nuncio.v1"),
            url: without_secrets(&plan.url),
            says_who: token.is_some() || asks_with_token(plan),
            token,
            line: None,
            told: VecDeque::new(),
            asked: HashMap::new(),
            pings: Pings::default(),
            room: None,
            refused: None,
            ending: Ending::Lost,
            is_closing: false,
        }
    }

    pub(super) fn takes(&self) -> bool {
        let is_in = self.session.is_online() || !self.says_who;
        is_in && !self.is_closing && self.line.as_ref().is_some_and(Line::takes)
    }

    pub(super) fn unanswered(&self) -> usize {
        let sending = self.line.as_ref().is_some_and(|line| !line.takes());
        self.asked.len() + self.pings.len() + usize::from(sending)
    }

    pub(super) fn perform(&mut self, input: Input) -> Result<(), String> {
        match input {
            Input::Text(text) => self.send(text),
            Input::Ping(payload) => {
                self.pings.push(payload.clone(), Instant::now());
                self.queue(Outgoing::Ping(payload));
            }
            Input::Close { code, reason } => self.close(code, &reason),
            Input::Native(order) => return self.order(order),
            Input::Binary(_) => return Err("the native protocol has no binary messages".to_owned()),
            Input::Quit | Input::Help | Input::SocketIo(_) => {}
        }
        Ok(())
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        if self.is_closing {
            return;
        }
        self.is_closing = true;
        match &mut self.line {
            Some(line) => line.push(Outgoing::Close {
                code,
                reason: reason.to_owned(),
            }),
            None => self.told.push_back(Told::End(Ending::ByUs)),
        }
    }

    pub(super) async fn next(&mut self) -> Told {
        self.act();
        if let Some(told) = self.told.pop_front() {
            return told;
        }
        let due = self.session.poll_timeout();
        tokio::select! {
            came = next_of(&mut self.line) => self.handle_came(came),
            () = until(due) => self.session.handle_timeout(Instant::now(), random()),
        }
        self.told.pop_front().unwrap_or(Told::Progress)
    }

    fn order(&mut self, order: NativeOrder) -> Result<(), String> {
        let now = Instant::now();
        match order {
            NativeOrder::Say(text) => {
                let room = self.room.clone().ok_or(InputError::NoRoom);
                let room = room.map_err(|error| error.to_string())?;
                self.publish(
                    room,
                    Body::Chat {
                        content: Json::of(&text),
                    },
                );
            }
            NativeOrder::Join { room, history } => {
                let from = history.map_or(JoinFrom::Now, JoinFrom::History);
                let ticket = self.session.join(room.clone(), from, now);
                self.asked.insert(ticket, "/join");
                self.room = Some(room);
            }
            NativeOrder::Leave(room) => {
                self.session.leave(&room);
                self.room.take_if(|current| *current == room);
            }
            NativeOrder::Publish { room, content } => self.publish(room, Body::Chat { content }),
            NativeOrder::Event { room, name, data } => {
                let attachments = Box::default();
                self.publish(
                    room,
                    Body::Event {
                        name,
                        data,
                        attachments,
                    },
                );
            }
            NativeOrder::Call { name, data } => {
                let attachments = Box::default();
                let command = Command::Call {
                    event: name,
                    data,
                    attachments,
                };
                self.call("/call", command, Repeat::Never);
            }
            NativeOrder::Private { to, content } => {
                self.call("/private", Command::Private { to, content }, Repeat::Never);
            }
            NativeOrder::Typing { room, stops } => {
                let typing = if stops {
                    Typing::Stopped
                } else {
                    Typing::Started
                };
                if !self.session.is_online() {
                    return Err("not in yet: typing would be told to nobody".to_owned());
                }
                self.session.send_now(Command::Typing { room, typing });
            }
            NativeOrder::History { room, limit } => {
                let query = HistoryQuery {
                    room,
                    before: None,
                    after: None,
                    limit,
                };
                self.call("/history", Command::History(query), Repeat::Safe);
            }
            NativeOrder::Presence { room, limit } => {
                let command = Command::Presence {
                    room,
                    after: None,
                    limit,
                };
                self.call("/presence", command, Repeat::Safe);
            }
        }
        Ok(())
    }

    fn publish(&mut self, room: RoomName, body: Body) {
        let key = format!("{:016x}{:016x}", random(), random());
        let key = IdempotencyKey::parse(&key).expect("32 hexadecimal digits are a key");
        let request = PublishRequest {
            room,
            body,
            idempotency_key: Some(key),
        };
        self.call("/publish", Command::Publish(request), Repeat::Safe);
    }

    fn call(&mut self, what: &'static str, command: Command, repeat: Repeat) {
        let ticket = self.session.call(command, repeat, Instant::now());
        self.asked.insert(ticket, what);
    }

    /// Does what the session asks for.
    fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect => self.line = Some(Line::connect(self.config.clone())),
                Action::AskToken => {
                    let token = self.token.clone();
                    self.session.handle_token(token, Instant::now(), random());
                }
                Action::Send(text) => self.send(String::from_utf8_lossy(&text).into_owned()),
                // The session is never closed: the connection is.
                Action::Close => {}
                Action::Abort => {
                    self.line = None;
                    self.tell(Happening::Problem("The server does not answer".to_owned()));
                }
                Action::Tell(event) => self.handle_session_event(event),
                Action::Settle(ticket, outcome) => {
                    let what = self.asked.remove(&ticket).unwrap_or("a call");
                    if let Err(error) = outcome
                        && error != CallError::Ended
                    {
                        let problem = format!("{what}: {}", in_words(&error));
                        self.told.push_back(Told::Failed(problem));
                    }
                }
            }
        }
    }

    /// Messages are shown as they came, so only what no message says is told.
    fn handle_session_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Online { session, resumed } => {
                let how = if resumed {
                    "The session is resumed"
                } else {
                    "In"
                };
                self.tell(Happening::Notice(format!("{how}, as {session}")));
            }
            SessionEvent::Waiting { delay } => self.tell(Happening::Waiting { delay }),
            SessionEvent::Gap { room, .. } => {
                let gap = format!("Messages of {room} are missing: /history {room}");
                self.tell(Happening::Problem(gap));
            }
            SessionEvent::Ended(reason) => {
                let ending = self.ending_of(&reason);
                self.told.push_back(Told::End(ending));
            }
            SessionEvent::Offline { .. }
            | SessionEvent::Message(_)
            | SessionEvent::Event(_)
            | SessionEvent::Private(_)
            | SessionEvent::Joined(..)
            | SessionEvent::Left(..)
            | SessionEvent::Typing(..)
            | SessionEvent::Presence(..)
            | SessionEvent::PresenceCount(..)
            | SessionEvent::Removed(..)
            | SessionEvent::Error(_) => {}
        }
    }

    fn ending_of(&self, reason: &EndReason) -> Ending {
        match reason {
            EndReason::Closed => Ending::ByUs,
            EndReason::Token { .. } => Ending::Refused,
            EndReason::Code { .. } | EndReason::Attempts { .. } => self.ending.clone(),
        }
    }

    fn handle_came(&mut self, came: Came) {
        let now = Instant::now();
        match came {
            Came::Sent(Ok(())) => {}
            Came::Sent(Err(problem)) => self.told.push_back(Told::Failed(problem)),
            Came::Event(Some(Event::Open { subprotocol })) => {
                let url = self.url.clone();
                self.tell(Happening::Open {
                    url,
                    detail: subprotocol,
                });
                self.session.handle_opened(now);
            }
            Came::Event(Some(Event::Message(Message::Text(text)))) => {
                let shown = json::without_secrets(&text, &SECRETS);
                self.tell(Happening::Message(Content::Text(shown)));
                self.session.handle_message(&text, now);
            }
            Came::Event(Some(Event::Message(Message::Binary(bytes)))) => {
                self.tell(Happening::Message(Content::Binary(bytes)));
                self.session.handle_heard(now);
            }
            Came::Event(Some(Event::Ping(payload))) => {
                self.tell(Happening::Ping(payload));
                self.session.handle_heard(now);
            }
            Came::Event(Some(Event::Pong(payload))) => {
                let took = self.pings.answered(&payload, now);
                self.tell(Happening::Pong { payload, took });
                self.session.handle_heard(now);
            }
            Came::Event(Some(Event::Piece(_))) => self.session.handle_heard(now),
            Came::Event(Some(Event::Error(error))) => self.handle_error(&error),
            Came::Event(Some(Event::Close { code, reason, .. })) => self.handle_close(code, reason),
            Came::Event(None) => self.handle_close(CloseCode::ABNORMAL, String::new()),
        }
    }

    fn handle_error(&mut self, error: &Error) {
        if let Error::Open(refusal @ OpenError::Refused { retry_after, .. }) = error {
            self.refused = refusal.status().map(|status| (status, *retry_after));
        }
        if !self.is_closing {
            self.tell(Happening::Problem(error.to_string()));
        }
    }

    fn handle_close(&mut self, code: CloseCode, reason: String) {
        let was_open = self.line.take().is_some_and(|line| line.is_open());
        self.pings.clear();
        if was_open || code != CloseCode::ABNORMAL {
            let (code, reason) = (code.0, reason.clone());
            self.tell(Happening::Closed { code, reason });
        }
        if self.is_closing {
            self.told.push_back(Told::End(Ending::ByUs));
            return;
        }
        let (now, random) = (Instant::now(), random());
        match self.refused.take() {
            Some((status @ 400..500, retry_after)) => {
                self.ending = Ending::Refused;
                self.session
                    .handle_refused(status, retry_after, now, random);
            }
            Some((status, retry_after)) => {
                self.ending = Ending::Lost;
                self.session
                    .handle_refused(status, retry_after, now, random);
            }
            None => {
                self.ending = Ending::ByServer { code: code.0 };
                self.session.handle_closed(code, &reason, now, random);
            }
        }
    }

    fn send(&mut self, text: String) {
        let shown = json::without_secrets(&text, &SECRETS);
        self.tell(Happening::Sent(Content::Text(shown)));
        self.queue(Outgoing::Message(text.into()));
    }

    fn queue(&mut self, outgoing: Outgoing) {
        if let Some(line) = &mut self.line {
            line.push(outgoing);
        }
    }

    fn tell(&mut self, happening: Happening) {
        self.told.push_back(Told::Happening(happening));
    }
}

/// Whether the request itself has a token.
fn asks_with_token(plan: &Plan) -> bool {
    let in_url = plan.url.contains("?token=") || plan.url.contains("&token=");
    let mut headers = plan.headers.iter();
    in_url || headers.any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
}

/// A refusal with its code and its sentence.
fn in_words(error: &CallError) -> String {
    match error {
        CallError::Refused(failure) => format!("{} ({})", failure.message, failure.code),
        CallError::Timeout { .. }
        | CallError::Lost
        | CallError::QueueFull { .. }
        | CallError::Ended
        | CallError::Unreadable(_) => error.to_string(),
    }
}

async fn next_of(line: &mut Option<Line>) -> Came {
    match line {
        Some(line) => line.next().await,
        None => pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness, or nothing can be encrypted");
    u64::from_ne_bytes(bytes)
}

/// The fields of a message that are nobody else's business.
const SECRETS: [&str; 2] = ["token", "resume"];
