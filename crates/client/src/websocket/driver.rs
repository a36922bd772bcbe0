//! The task of one connection: between the socket, the codec and the handle.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use nuncio_model::CloseCode;
use nuncio_websocket::{
    CloseCode as WireCode, Compression, Connection, ConnectionConfig, Deflater, Event as Arrival,
    Fragments, FrameError, Inflater, Mask, MessageKind, Role, State, encode_into, encode_ping,
    encode_pong,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{self, error::SendError};
use tokio::time::{Instant, sleep_until};

use super::open::{OpenError, Opened, open};
use super::stream::{Part, Piece};
use super::{ClientConfig, Error, Event, Message, ReadyState, SharedState, random};
use crate::dial::Stream;

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Send(Message),
    /// At most 125 bytes.
    Ping(Bytes),
    Stream {
        kind: MessageKind,
        parts: mpsc::Receiver<Part>,
    },
    Close {
        code: WireCode,
        reason: String,
    },
}

/// Connects, and drives the connection to its end. The last event is always a close.
pub(super) async fn run(
    config: ClientConfig,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    state: Arc<SharedState>,
) {
    let mut waiting = VecDeque::new();
    let opened = open_unless_closed(&config, &mut commands, &events, &mut waiting).await;
    let end = match opened {
        Ok(opened) => {
            state.advance(ReadyState::Open);
            let subprotocol = opened.agreement.subprotocol.clone();
            let mut task = Task::new(&config, opened, commands, events.clone(), &state);
            task.told.push_back(Event::Open { subprotocol });
            task.waiting = waiting;
            task.drive().await
        }
        Err(error) => End::error(error.into()),
    };
    state.advance(ReadyState::Closed);
    for event in end.told {
        // A dropped receiver wants to hear nothing.
        let _ = events.send(event).await;
    }
}

/// Opens the connection, keeps what is sent meanwhile, and gives up when the handle is closed or nobody listens any more.
async fn open_unless_closed(
    config: &ClientConfig,
    commands: &mut mpsc::Receiver<Command>,
    events: &mpsc::Sender<Event>,
    waiting: &mut VecDeque<Command>,
) -> Result<Opened, OpenError> {
    let opening = open(config);
    tokio::pin!(opening);
    loop {
        tokio::select! {
            opened = &mut opening => return opened,
            command = commands.recv(), if waiting.len() < config.queue_max.max(1) => match command {
                Some(send @ (Command::Send(_) | Command::Ping(_) | Command::Stream { .. })) => {
                    waiting.push_back(send);
                }
                Some(Command::Close { .. }) | None => return Err(OpenError::Closed),
            },
            () = events.closed() => return Err(OpenError::Closed),
        }
    }
}

struct Task<'a> {
    connection: Connection,
    inflater: Inflater,
    deflater: Deflater,
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    input: BytesMut,
    output: BytesMut,
    /// Something is written that the stream (TLS) may still hold back.
    flushes: bool,
    commands: mpsc::Receiver<Command>,
    /// Commands from before the connection was open.
    waiting: VecDeque<Command>,
    /// The message that is sent in fragments, and where its parts come from.
    streaming: Option<(Fragments, mpsc::Receiver<Part>)>,
    /// Whether a message is being received in pieces.
    is_in_pieces: bool,
    events: mpsc::Sender<Event>,
    told: VecDeque<Event>,
    /// What the server's close frame said.
    closed: Option<(CloseCode, String)>,
    /// Set with our close frame.
    deadline: Option<Instant>,
    heartbeat: Option<Heartbeat>,
    config: &'a ClientConfig,
    state: &'a SharedState,
}

impl<'a> Task<'a> {
    fn new(
        config: &'a ClientConfig,
        opened: Opened,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
        state: &'a SharedState,
    ) -> Self {
        let (read, write) = tokio::io::split(opened.stream);
        let bounds = ConnectionConfig {
            message_bytes_max: config.message_bytes_max,
            deflate: opened.agreement.deflate,
        };
        Self {
            connection: Connection::new(Role::Client, bounds),
            inflater: Inflater::new(),
            deflater: Deflater::default(),
            read,
            write,
            input: opened.rest,
            output: BytesMut::new(),
            flushes: false,
            commands,
            waiting: VecDeque::new(),
            streaming: None,
            is_in_pieces: false,
            events,
            told: VecDeque::new(),
            closed: None,
            deadline: None,
            heartbeat: config.ping_interval.map(Heartbeat::new),
            config,
            state,
        }
    }

    async fn drive(mut self) -> End {
        self.take_input();
        let events = self.events.clone();
        while !self.is_over() {
            let reads = self.told.is_empty();
            let sends = self.connection.may_send() && self.output.len() < OUTPUT_BYTES_MAX;
            let writes = !self.output.is_empty() || self.flushes;
            tokio::select! {
                // Signs of the end first, then what makes room, then what needs it.
                biased;
                () = at(self.deadline) => return self.end(Error::CloseTimeout),
                () = at(self.heartbeat.as_ref().map(|heartbeat| heartbeat.due)) => {
                    if let Err(error) = self.beat(reads) {
                        return self.end(error);
                    }
                }
                written = write(&mut self.write, &mut self.output, &mut self.flushes), if writes => {
                    if let Err(error) = written {
                        return self.end(Error::Io(error));
                    }
                }
                permit = events.reserve(), if !reads => self.tell(permit),
                () = events.closed(), if reads && sends => self.handle_command(None),
                count = self.read.read_buf(&mut self.input), if reads => match count {
                    Ok(0) => return self.end(Error::Io(io::ErrorKind::UnexpectedEof.into())),
                    Ok(_) => {
                        self.heard();
                        self.take_input();
                    }
                    Err(error) => return self.end(Error::Io(error)),
                },
                part = next_part(&mut self.streaming), if sends && self.streaming.is_some() => self.handle_part(part),
                command = next_command(&mut self.waiting, &mut self.commands), if sends && self.streaming.is_none() => {
                    self.handle_command(command);
                }
            }
        }
        self.end(Error::CloseTimeout)
    }

    fn tell(&mut self, permit: Result<mpsc::Permit<'_, Event>, SendError<()>>) {
        match permit {
            Ok(permit) => {
                if let Some(event) = self.told.pop_front() {
                    permit.send(event);
                }
            }
            Err(_) => self.told.clear(),
        }
    }

    /// Both close frames are exchanged and ours is written: there is nothing to wait for.
    fn is_over(&self) -> bool {
        self.connection.state() == State::Closed
            && self.output.is_empty()
            && !self.flushes
            && self.told.is_empty()
    }

    fn take_input(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let mut rest = &mut input[..];
        loop {
            match self.connection.receive(&mut rest, &mut self.inflater) {
                Ok(Some(arrival)) => {
                    let arrival = arrival.into_owned();
                    self.handle_arrival(arrival);
                }
                Ok(None) => break,
                Err(error) => {
                    self.fail(error);
                    break;
                }
            }
        }
        self.take_piece();
        input.clear();
        self.input = input;
    }

    /// Gives out what is there of a message that is still to end.
    fn take_piece(&mut self) {
        let Some(len_min) = self.config.piece_bytes_min else {
            return;
        };
        if let Some((kind, bytes)) = self.connection.take_piece(len_min) {
            self.is_in_pieces = true;
            self.told.push_back(Event::Piece(Piece {
                kind,
                bytes: bytes.into(),
                is_last: false,
            }));
        }
    }

    /// A message, or the last piece of one.
    fn handle_message(&mut self, kind: MessageKind, bytes: Bytes) {
        let is_last = std::mem::take(&mut self.is_in_pieces);
        self.told.push_back(if is_last {
            Event::Piece(Piece {
                kind,
                bytes,
                is_last,
            })
        } else {
            Event::Message(Message::Binary(bytes))
        });
    }

    fn handle_arrival(&mut self, arrival: Arrival<'static>) {
        match arrival {
            Arrival::Text(text) if self.is_in_pieces => {
                let bytes = text.into_owned().into_bytes();
                self.handle_message(MessageKind::Text, bytes.into());
            }
            Arrival::Text(text) => self
                .told
                .push_back(Event::Message(text.into_owned().into())),
            Arrival::Binary(bytes) => {
                self.handle_message(MessageKind::Binary, bytes.into_owned().into());
            }
            Arrival::Ping(payload) => {
                if self.connection.may_send() {
                    let pong = encode_pong(&payload, Mask::Key(random()));
                    self.output.extend_from_slice(&pong);
                }
                let payload = Bytes::copy_from_slice(&payload);
                self.told.push_back(Event::Ping(payload));
            }
            Arrival::Pong(payload) => {
                let payload = Bytes::copy_from_slice(&payload);
                self.told.push_back(Event::Pong(payload));
            }
            Arrival::Close { code, reason } => {
                let said = code.map_or(CloseCode::NO_STATUS, |code| CloseCode(code.as_u16()));
                self.closed = Some((said, reason.into_owned()));
                self.close(code, "");
            }
        }
    }

    /// The server broke the protocol: it is told by the code (RFC 6455 §7.1.7), the application by the error.
    fn fail(&mut self, error: FrameError) {
        self.close(Some(error.close_code()), &error.to_string());
        self.told.push_back(Event::Error(Error::Frame(error)));
    }

    fn handle_command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Send(message)) => self.send(&message),
            Some(Command::Ping(payload)) => self.ping(&payload),
            Some(Command::Stream { kind, parts }) => {
                self.streaming = Some((Fragments::new(kind), parts));
            }
            Some(Command::Close { code, reason }) => self.close(Some(code), &reason),
            None => self.close(Some(WireCode::NORMAL), ""),
        }
    }

    /// The next fragment. A message that was given up cannot be taken back: only the end of the connection ends it.
    fn handle_part(&mut self, part: Option<Part>) {
        let Some((mut fragments, parts)) = self.streaming.take() else {
            return;
        };
        let mask = Mask::Key(random());
        match part {
            Some(Part::Bytes(bytes)) => {
                self.output
                    .extend_from_slice(&fragments.piece(&bytes, mask));
                self.streaming = Some((fragments, parts));
            }
            Some(Part::End) => self.output.extend_from_slice(&fragments.last(&[], mask)),
            None => self.close(WireCode::new(1011), "the message was given up"),
        }
    }

    fn send(&mut self, message: &Message) {
        let (kind, payload) = match message {
            Message::Text(text) => (MessageKind::Text, text.as_bytes()),
            Message::Binary(bytes) => (MessageKind::Binary, &bytes[..]),
        };
        let compression = match self.connection.deflate() {
            Some(agreed) => Compression::Deflate {
                deflater: &mut self.deflater,
                window: agreed.client_window,
            },
            None => Compression::None,
        };
        let mask = Mask::Key(random());
        encode_into(&mut self.output, kind, payload, compression, mask);
    }

    fn ping(&mut self, payload: &[u8]) {
        let ping = encode_ping(payload, Mask::Key(random()));
        self.output.extend_from_slice(&ping);
    }

    /// The heartbeat is due: pings, unless the ping before was not answered. Whoever does not read hears no answer either.
    fn beat(&mut self, reads: bool) -> Result<(), Error> {
        let Some(heartbeat) = &mut self.heartbeat else {
            return Ok(());
        };
        let interval = heartbeat.interval;
        if heartbeat.is_unanswered && reads {
            return Err(Error::NoPong { interval });
        }
        heartbeat.is_unanswered = true;
        heartbeat.due = Instant::now() + interval;
        if self.connection.may_send() {
            self.ping(&[]);
        }
        Ok(())
    }

    /// Whatever the server sends is a sign of life.
    const fn heard(&mut self) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.is_unanswered = false;
        }
    }

    fn close(&mut self, code: Option<WireCode>, reason: &str) {
        let frame = self.connection.close(code, reason, Mask::Key(random()));
        if let Some(frame) = frame {
            self.output.extend_from_slice(&frame);
            self.deadline = Some(Instant::now() + self.config.close_timeout);
            self.state.advance(ReadyState::Closing);
        }
    }

    /// The last events: after a close frame of the server nothing that happens to the socket is an error any more.
    fn end(&mut self, error: Error) -> End {
        let mut told: Vec<_> = self.told.drain(..).collect();
        let failed = told.iter().any(|event| matches!(event, Event::Error(_)));
        match self.closed.take() {
            Some((code, reason)) => told.push(Event::Close {
                code,
                reason,
                was_clean: self.connection.state() == State::Closed,
            }),
            None if failed => told.push(lost()),
            None if self.connection.state() == State::Closed => told.push(lost()),
            None => told.extend(End::error(error).told),
        }
        End { told }
    }
}

/// Our pings, with [`ClientConfig::ping_interval`].
struct Heartbeat {
    interval: std::time::Duration,
    due: Instant,
    /// Nothing came since the last ping.
    is_unanswered: bool,
}

impl Heartbeat {
    fn new(interval: std::time::Duration) -> Self {
        Self {
            interval,
            due: Instant::now() + interval,
            is_unanswered: false,
        }
    }
}

/// The events that end a connection.
struct End {
    told: Vec<Event>,
}

impl End {
    fn error(error: Error) -> Self {
        Self {
            told: vec![Event::Error(error), lost()],
        }
    }
}

fn lost() -> Event {
    Event::Close {
        code: CloseCode::ABNORMAL,
        reason: String::new(),
        was_clean: false,
    }
}

/// One step of writing; may be dropped half-way and begun again.
async fn write(
    stream: &mut WriteHalf<Box<dyn Stream>>,
    output: &mut BytesMut,
    flushes: &mut bool,
) -> io::Result<()> {
    if output.is_empty() {
        stream.flush().await?;
        *flushes = false;
    } else {
        stream.write_buf(output).await?;
        *flushes = true;
    }
    Ok(())
}

async fn next_command(
    waiting: &mut VecDeque<Command>,
    commands: &mut mpsc::Receiver<Command>,
) -> Option<Command> {
    match waiting.pop_front() {
        Some(command) => Some(command),
        None => commands.recv().await,
    }
}

async fn next_part(streaming: &mut Option<(Fragments, mpsc::Receiver<Part>)>) -> Option<Part> {
    match streaming {
        Some((_, parts)) => parts.recv().await,
        None => pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Bytes that may wait to be written before no more messages are taken from the handle.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
