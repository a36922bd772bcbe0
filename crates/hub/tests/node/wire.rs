//! A socket that keeps what is written to it, and an encoder that writes one line for each message.

use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use nuncio_hub::{Encode, EncoderId, Message, Sink, Writer};
use nuncio_model::{Body, Offset, Publication, Push, Status, Typing};

/// What was written, until it is read.
pub(crate) struct Wire {
    written: Mutex<Vec<u8>>,
    /// Bytes that it takes before it is full.
    room: AtomicUsize,
    writes: AtomicUsize,
}

impl Wire {
    pub(crate) const fn open() -> Self {
        Self {
            written: Mutex::new(Vec::new()),
            room: AtomicUsize::new(usize::MAX),
            writes: AtomicUsize::new(0),
        }
    }

    /// How often something was written.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Takes so many bytes more, then blocks.
    pub(crate) fn throttle(&self, bytes: usize) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    /// The whole lines that came since the last time.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut written = self.written.lock().unwrap();
        let end = written.iter().rposition(|&byte| byte == b'\n');
        let whole: Vec<u8> = written.drain(..end.map_or(0, |end| end + 1)).collect();
        let text = String::from_utf8(whole).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Sink for Wire {
    fn writer(&self) -> Writer {
        Writer::Anyone
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed);
        let bytes = buffers.iter().flat_map(|buffer| buffer.iter().copied());
        let bytes: Vec<u8> = bytes.take(room).collect();
        if bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.room.store(room - bytes.len(), Ordering::Relaxed);
        self.written.lock().unwrap().extend(&bytes);
        Ok(bytes.len())
    }
}

/// Called with each message that is encoded.
pub(crate) type Watch = Box<dyn FnMut(&str) + Send>;

/// As many as the tests use.
const ENCODERS: usize = 8;

/// One line for each message, counted by encoder.
pub(crate) struct Lines {
    encodes: [AtomicUsize; ENCODERS],
    watch: Mutex<Option<Watch>>,
}

impl Lines {
    pub(crate) const fn new() -> Self {
        Self {
            encodes: [const { AtomicUsize::new(0) }; ENCODERS],
            watch: Mutex::new(None),
        }
    }

    pub(crate) fn encodes(&self, encoder: u8) -> usize {
        self.encodes[usize::from(encoder)].load(Ordering::Relaxed)
    }

    /// Has something done while messages are encoded, which is in the middle of the fan-out.
    pub(crate) fn watch(&self, watch: impl FnMut(&str) + Send + 'static) {
        *self.watch.lock().unwrap() = Some(Box::new(watch));
    }
}

/// The encoder that writes the place of a message, as `@ordinal`.
pub(crate) const PLACED: u8 = 1;

impl Encode for Lines {
    fn encode_at(&self, encoder: EncoderId, message: Message<'_>, offset: Offset) -> Bytes {
        let line = self.encode(encoder, message);
        if encoder.0 != PLACED {
            return line;
        }
        let text = std::str::from_utf8(&line).unwrap().trim_end();
        format!("{text} @{}\n", offset.ordinal).into()
    }

    fn encode(&self, encoder: EncoderId, message: Message<'_>) -> Bytes {
        self.encodes[usize::from(encoder.0)].fetch_add(1, Ordering::Relaxed);
        let line = line(message);
        let watch = self.watch.lock().unwrap().take();
        if let Some(mut watch) = watch {
            watch(&line);
            self.watch.lock().unwrap().get_or_insert(watch);
        }
        format!("{line}\n").into()
    }
}

fn line(message: Message<'_>) -> String {
    match message {
        Message::Publication(publication) => said(publication),
        Message::Push(_, push) => pushed(push),
    }
}

/// `say room epoch seq content`
pub(crate) fn said(publication: &Publication) -> String {
    let Body::Chat { content } = &publication.body else {
        panic!("only chat messages are published here")
    };
    let (room, position) = (&publication.room, publication.position);
    format!(
        "say {room} {} {} {}",
        position.epoch,
        position.seq,
        content.as_str()
    )
}

fn pushed(push: &Push) -> String {
    match push {
        Push::Event { data, .. } => format!("event {}", data.as_str()),
        Push::Question { data, .. } => format!("question {}", data.as_str()),
        Push::Private { content, .. } => format!("private {}", content.as_str()),
        Push::Joined { room, user } => format!("joined {room} {user}"),
        Push::Left { room, user } => format!("left {room} {user}"),
        Push::Typing {
            room,
            user,
            typing: Typing::Started,
        } => format!("typing {room} {user}"),
        Push::Typing { room, user, .. } => format!("quiet {room} {user}"),
        Push::Presence {
            user,
            status: Status::Online,
        } => format!("online {user}"),
        Push::Presence { user, .. } => format!("offline {user}"),
        Push::PresenceCount { room, count } => format!("count {room} {count}"),
        Push::Position {
            room,
            position,
            recovered,
            reason,
        } => format!(
            "position {room} {} {} {recovered} {}",
            position.epoch,
            position.seq,
            reason.as_str()
        ),
        other @ (Push::Removed { .. } | Push::Reconnect { .. } | Push::Expiring { .. }) => {
            panic!("the hub makes no {other:?}")
        }
    }
}
