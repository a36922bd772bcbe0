//! The task of one client: does what the conversation asks for, and tells it what happens.

mod endpoint;
mod line;
mod polling;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nuncio_socketio::Namespace;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::config::{Auth, AuthFuture, Config, SocketConfig};
use super::conversation::{Acknowledgement, Action, Conversation, Flags, SocketRules, Ticket};
use super::event::{AckError, AckId, EmitError, Event};
use super::{Args, NamespaceTaken, Status};
use crate::websocket::random;
use endpoint::Endpoint;
use line::{Happening, Line};

pub use endpoint::ConfigError;

/// What the client's handle asks for.
pub(super) enum Request {
    Socket {
        namespace: Namespace,
        config: SocketConfig,
        seat: Seat,
        taken: oneshot::Sender<Result<(), NamespaceTaken>>,
    },
    Wake,
    Close(oneshot::Sender<()>),
}

/// What a socket's handle asks for.
#[derive(Debug)]
pub(super) enum SocketRequest {
    Emit {
        name: String,
        args: Args,
        flags: Flags,
        sent: oneshot::Sender<Result<(), EmitError>>,
    },
    Ask {
        name: String,
        args: Args,
        flags: Flags,
        answer: Reply,
    },
    Answer(AckId, Args),
    Connect,
    Disconnect,
}

type Reply = oneshot::Sender<Result<Args, AckError>>;

/// The driver's ends of one socket.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) requests: mpsc::Receiver<SocketRequest>,
    pub(super) tell: mpsc::Sender<Event>,
    pub(super) status: watch::Sender<Status>,
}

/// Checks what a client is started with.
pub(super) fn prepare(config: Config) -> Result<Driver, ConfigError> {
    let endpoint = Arc::new(Endpoint::new(&config)?);
    let seed = u64::from_ne_bytes(random());
    Ok(Driver {
        conversation: Conversation::new(config.conversation.clone(), seed),
        line: Line::new(endpoint.clone()),
        endpoint,
        config,
        seats: BTreeMap::new(),
        asking: Vec::new(),
        replies: HashMap::new(),
        told: VecDeque::new(),
        lingering: JoinSet::new(),
        closers: Vec::new(),
    })
}

pub(super) struct Driver {
    conversation: Conversation,
    endpoint: Arc<Endpoint>,
    line: Line,
    config: Config,
    seats: BTreeMap<Namespace, (Seat, SocketConfig)>,
    asking: Vec<(Namespace, AuthFuture)>,
    replies: HashMap<Ticket, Reply>,
    told: VecDeque<(Namespace, Event)>,
    /// WebSockets whose last messages go out.
    lingering: JoinSet<()>,
    closers: Vec<oneshot::Sender<()>>,
}

impl Driver {
    /// Drives the client to its end: until it is closed, or its handle and those of all its sockets are dropped.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut is_open = true;
        loop {
            self.perform();
            if !is_open && self.seats.is_empty() && self.conversation.is_idle() {
                break;
            }
            let due = self.conversation.poll_timeout();
            let reads = self.told.is_empty();
            let takes = self.conversation.backlog() < BACKLOG_MAX;
            let listener = self.first_listener();
            tokio::select! {
                () = make_room(listener), if !reads => self.tell_first(),
                request = requests.recv(), if is_open => is_open = self.handle_request(request),
                (namespace, request) = next_request(&mut self.seats), if takes => {
                    self.handle_socket_request(&namespace, request);
                }
                happening = self.line.next(reads) => self.handle_happening(happening),
                (namespace, auth) = answered(&mut self.asking) => {
                    self.conversation.handle_auth(&namespace, auth, Instant::now());
                }
                () = until(due) => self.conversation.handle_timeout(Instant::now()),
            }
        }
        self.finish().await;
    }

    fn perform(&mut self) {
        while let Some(action) = self.conversation.poll_action() {
            match action {
                Action::Get(query) => self.line.get(query),
                Action::Post(query, body) => self.line.post(query, body),
                Action::OpenSocket(query) => self.line.open_socket(&query),
                Action::Send(frame) => self.line.send(frame),
                Action::CloseSocket => self.close_socket(),
                Action::Abort => {
                    self.close_socket();
                    self.line = Line::new(self.endpoint.clone());
                    self.asking.clear();
                }
                Action::AskAuth(namespace) => self.ask_auth(namespace),
                Action::Tell(namespace, event) => self.take_event(namespace, event),
                Action::Settle(ticket, result) => {
                    if let Some(reply) = self.replies.remove(&ticket) {
                        // Who does not wait any longer needs no answer.
                        let _ = reply.send(result);
                    }
                }
            }
        }
    }

    fn close_socket(&mut self) {
        while self.lingering.try_join_next().is_some() {}
        if let Some(socket) = self.line.take_socket() {
            self.lingering.spawn(socket.finish());
        }
    }

    fn ask_auth(&mut self, namespace: Namespace) {
        let Some((_, config)) = self.seats.get(&namespace) else {
            return;
        };
        self.asking.retain(|(asking, _)| *asking != namespace);
        let auth: AuthFuture = match &config.auth {
            Auth::None => Box::pin(std::future::ready(Value::Null)),
            Auth::Value(value) => Box::pin(std::future::ready(value.clone())),
            Auth::Source(source) => source(),
        };
        self.asking.push((namespace, auth));
    }

    fn take_event(&mut self, namespace: Namespace, event: Event) {
        if let Some((seat, _)) = self.seats.get(&namespace) {
            seat.status.send_if_modified(|status| status.follow(&event));
            self.told.push_back((namespace, event));
        }
    }

    /// Who is to be told the first event.
    fn first_listener(&self) -> Option<mpsc::Sender<Event>> {
        let (namespace, _) = self.told.front()?;
        let (seat, _) = self.seats.get(namespace)?;
        Some(seat.tell.clone())
    }

    fn tell_first(&mut self) {
        let Some((namespace, event)) = self.told.pop_front() else {
            return;
        };
        if let Some((seat, _)) = self.seats.get(&namespace) {
            // There is room, or nobody listens: an application that only sends need not.
            let _ = seat.tell.try_send(event);
        }
    }

    /// Answers whether more requests may follow.
    fn handle_request(&mut self, request: Option<Request>) -> bool {
        match request {
            Some(Request::Socket {
                namespace,
                config,
                seat,
                taken,
            }) => {
                let opened = self.open(&namespace, config, seat);
                // Who does not wait any longer has dropped the socket too, which closes it.
                let _ = taken.send(opened);
                true
            }
            Some(Request::Wake) => {
                self.conversation.wake(Instant::now());
                true
            }
            Some(Request::Close(done)) => {
                self.closers.push(done);
                for namespace in self.seats.keys().cloned().collect::<Vec<_>>() {
                    self.remove(&namespace);
                }
                false
            }
            None => false,
        }
    }

    fn open(
        &mut self,
        namespace: &Namespace,
        config: SocketConfig,
        seat: Seat,
    ) -> Result<(), NamespaceTaken> {
        let rules = SocketRules {
            retries: config.retries,
            ack_timeout: config.ack_timeout,
            buffer_max: self.config.conversation.buffer_max,
        };
        if self.seats.contains_key(namespace) {
            return Err(NamespaceTaken);
        }
        self.seats.insert(namespace.clone(), (seat, config));
        self.conversation.open(namespace, rules, Instant::now())
    }

    fn handle_socket_request(&mut self, namespace: &Namespace, request: Option<SocketRequest>) {
        let now = Instant::now();
        match request {
            Some(SocketRequest::Emit {
                name,
                args,
                flags,
                sent,
            }) => {
                let unwanted = Acknowledgement::Unwanted;
                let emitted = self
                    .conversation
                    .emit(namespace, &name, args, unwanted, flags, now);
                let _ = sent.send(emitted.map(|_| ()));
            }
            Some(SocketRequest::Ask {
                name,
                args,
                flags,
                answer,
            }) => {
                self.forget_who_gave_up();
                let wanted = Acknowledgement::Wanted;
                match self
                    .conversation
                    .emit(namespace, &name, args, wanted, flags, now)
                {
                    Ok(ticket) => self.replies.extend(ticket.map(|ticket| (ticket, answer))),
                    Err(error) => {
                        let _ = answer.send(Err(error.into()));
                    }
                }
            }
            Some(SocketRequest::Answer(ack, args)) => {
                self.conversation.answer(namespace, ack, &args, now);
            }
            Some(SocketRequest::Connect) => self.conversation.connect(namespace, now),
            Some(SocketRequest::Disconnect) => self.conversation.disconnect(namespace, now),
            None => self.remove(namespace),
        }
    }

    /// Makes room for acknowledgements, once there are many, by those that nobody waits for any longer.
    fn forget_who_gave_up(&mut self) {
        if self.replies.len() < self.config.conversation.buffer_max {
            return;
        }
        let gone = self.replies.extract_if(|_, reply| reply.is_closed());
        for (ticket, _) in gone.collect::<Vec<_>>() {
            self.conversation.forget(ticket);
        }
    }

    /// The last events of a socket that nobody holds any more go out with the channel.
    fn remove(&mut self, namespace: &Namespace) {
        self.conversation.remove(namespace, Instant::now());
        self.perform();
        if let Some((seat, _)) = self.seats.remove(namespace) {
            let mine = self.told.iter().filter(|(of, _)| of == namespace);
            for (_, event) in mine {
                // Who does not read has lost the right to the last ones.
                let _ = seat.tell.try_send(event.clone());
            }
        }
        self.told.retain(|(of, _)| of != namespace);
    }

    fn handle_happening(&mut self, happening: Happening) {
        let now = Instant::now();
        let conversation = &mut self.conversation;
        match happening {
            Happening::GetAnswered(Ok(answer)) => {
                conversation.handle_get_response(answer.status, answer.body, now);
            }
            Happening::PostAnswered(Ok(answer)) => {
                conversation.handle_post_response(answer.status, now);
            }
            Happening::GetAnswered(Err(why)) | Happening::PostAnswered(Err(why)) => {
                conversation.handle_request_failed(why, now);
            }
            Happening::SocketOpen => conversation.handle_socket_open(now),
            Happening::Frame(frame) => conversation.handle_frame(frame, now),
            Happening::Sent => conversation.handle_sent(),
            Happening::SocketEnd(why) => conversation.handle_socket_end(why, now),
            Happening::Nothing => {}
        }
    }

    /// What was said last still goes out, within the bounds of the closing handshake.
    async fn finish(mut self) {
        self.close_socket();
        while self.lingering.join_next().await.is_some() {}
        for closer in self.closers {
            // Who does not wait any longer need not know.
            let _ = closer.send(());
        }
    }
}

/// Waits until the listener has room, or is gone.
async fn make_room(listener: Option<mpsc::Sender<Event>>) {
    if let Some(listener) = listener {
        // An error means that nobody listens.
        let _ = listener.reserve().await;
    }
}

async fn next_request(
    seats: &mut BTreeMap<Namespace, (Seat, SocketConfig)>,
) -> (Namespace, Option<SocketRequest>) {
    poll_fn(|context| poll_requests(seats, context)).await
}

fn poll_requests(
    seats: &mut BTreeMap<Namespace, (Seat, SocketConfig)>,
    context: &mut Context<'_>,
) -> Poll<(Namespace, Option<SocketRequest>)> {
    for (namespace, (seat, _)) in seats {
        if let Poll::Ready(request) = seat.requests.poll_recv(context) {
            return Poll::Ready((namespace.clone(), request));
        }
    }
    Poll::Pending
}

/// The first auth payload that is there.
async fn answered(asking: &mut Vec<(Namespace, AuthFuture)>) -> (Namespace, Value) {
    let (place, value) = poll_fn(|context| {
        for (place, (_, future)) in asking.iter_mut().enumerate() {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready((place, value));
            }
        }
        Poll::Pending
    })
    .await;
    (asking.swap_remove(place).0, value)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

/// Packets on their way at which no more events are taken: whoever emits waits then.
const BACKLOG_MAX: usize = 64;

/// How long the last messages on a WebSocket may take.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
