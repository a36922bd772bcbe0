//! What a connection keeps while it is on HTTP long-polling: the two requests, what waits for a poll, the probe.
//!
//! All of it is boxed and dropped when the client upgrades, so that a WebSocket connection stays small.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::handshake::Response;
use crate::packet::{BinarySupport, Frame, Packet, Protocol};
use crate::payload::{self, Content, Packets};
use crate::server::{RequestId, SocketId};

/// The polling side of a connection. At most one GET, one POST and one probing WebSocket at a time.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    /// The GET that waits for packets.
    pub(crate) poll: Option<RequestId>,
    /// The POST whose body is on its way, or being decoded.
    pub(crate) post: Option<RequestId>,
    /// The packets of that POST that were not looked at yet, and when they came.
    pub(crate) incoming: Option<(Packets, Instant)>,
    pub(crate) probe: Option<Probe>,
    /// Set by an orderly close: when to stop waiting for the client to fetch what is left.
    pub(crate) close_at: Option<Instant>,
    queue: VecDeque<Frame>,
    queue_bytes: usize,
}

/// A WebSocket that wants to take over.
///
/// ```text
/// Opened --2probe--> Answered --5--> the connection's transport
///    |                  |  polls are released with 6 meanwhile
///    +------ 5 ---------+--- anything else, the deadline, its end --> closed, polling goes on
/// ```
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) socket: SocketId,
    dead_at: Instant,
    release: Release,
}

/// When a poll without packets is answered with a noop, so that the client can stop polling.
#[derive(Debug)]
enum Release {
    /// Not before the probe was answered.
    Never,
    /// So many polls more are released at once.
    AtOnce { left: u8 },
    /// A client that keeps polling is held back, or it would poll in a hot loop until the deadline.
    At(Instant),
}

impl Polling {
    /// The frame cannot be queued when it would pass the configured bound; an empty queue takes any frame.
    pub(crate) fn has_room(&self, frame: &Frame, config: &Config) -> bool {
        self.queue.is_empty() || self.queue_bytes + frame.len() <= config.queue_bytes_max
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.queue_bytes += frame.len();
        self.queue.push_back(frame);
    }

    pub(crate) fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn into_queue(self) -> VecDeque<Frame> {
        self.queue
    }

    /// Takes the pending poll and all that waits for it, when there is both.
    pub(crate) fn flush(
        &mut self,
        protocol: Protocol,
        binary: BinarySupport,
    ) -> Option<(RequestId, Response)> {
        if self.queue.is_empty() {
            return None;
        }
        let request = self.poll.take()?;
        self.queue_bytes = 0;
        let frames = Vec::from(std::mem::take(&mut self.queue));
        Some((request, answer(protocol, binary, &frames)))
    }

    /// Answers the pending poll with one packet, past the queue: the session is over.
    pub(crate) fn release_with(
        &mut self,
        packet: Packet,
        protocol: Protocol,
        binary: BinarySupport,
    ) -> Option<(RequestId, Response)> {
        let request = self.poll.take()?;
        Some((request, answer(protocol, binary, &[packet.encode()])))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let noop_at = match (&self.probe, self.poll) {
            (
                Some(Probe {
                    release: Release::At(at),
                    ..
                }),
                Some(_),
            ) => Some(*at),
            (Some(_) | None, _) => None,
        };
        let probe_at = self.probe.as_ref().map(|probe| probe.dead_at);
        [self.close_at, probe_at, noop_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Puts a noop where a pending poll should be released for the upgrade.
    pub(crate) fn release_poll(&mut self, now: Instant) {
        if self.poll.is_none() || !self.queue.is_empty() {
            return;
        }
        if let Some(probe) = &mut self.probe
            && probe.takes_noop(now)
        {
            self.push(Packet::Noop.encode());
        }
    }
}

impl Probe {
    pub(crate) fn new(now: Instant, socket: SocketId, config: &Config) -> Self {
        Self {
            socket,
            dead_at: now + config.upgrade_timeout,
            release: Release::Never,
        }
    }

    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        now >= self.dead_at
    }

    /// The probe was answered: polls may be released from here on.
    pub(crate) fn handle_answered(&mut self) {
        if let Release::Never = self.release {
            self.release = Release::AtOnce {
                left: NOOPS_AT_ONCE,
            };
        }
    }

    fn takes_noop(&mut self, now: Instant) -> bool {
        match &mut self.release {
            Release::Never => false,
            Release::AtOnce { left: 0 } => {
                self.release = Release::At(now + NOOP_INTERVAL);
                false
            }
            Release::AtOnce { left } => {
                *left -= 1;
                true
            }
            Release::At(at) if now >= *at => {
                *at = now + NOOP_INTERVAL;
                true
            }
            Release::At(_) => false,
        }
    }
}

fn answer(protocol: Protocol, binary: BinarySupport, frames: &[Frame]) -> Response {
    let (content, body) = payload::encode(protocol, binary, frames);
    Response {
        status: 200,
        content_type: Some(content.header()),
        body,
    }
}

/// Which bodies a POST may have: binary ones exist in v3 only.
pub(crate) fn takes_content(protocol: Protocol, content: Content) -> bool {
    match content {
        Content::Text => true,
        Content::Binary => protocol == Protocol::V3,
    }
}

/// Two polls can be under way while the answer to the probe travels; one more for luck.
const NOOPS_AT_ONCE: u8 = 3;
/// What the reference waits between two looks at a pending poll.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);
