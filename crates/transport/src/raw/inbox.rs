//! What has arrived and waits for the program's handler.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::message::Event;

/// Events between the connection's task and whoever receives them. Bounded: when it is full, nothing more is read from the socket.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: VecDeque<Event>,
    bytes: usize,
    reader: Reader,
    /// Whether the connection's task waits until everything is received.
    is_awaited: bool,
}

#[derive(Debug, Default)]
enum Reader {
    /// It has something to do meanwhile.
    #[default]
    Busy,
    Waiting(Waker),
    /// It took the end of the connection, or is gone: nothing is kept for it.
    Gone,
}

/// Events that may wait.
const EVENTS_MAX: usize = 64;
/// Bytes that may wait, but for one message that is larger.
const BYTES_MAX: usize = 64 * 1024;

impl Inbox {
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX || self.bytes >= BYTES_MAX
    }

    /// Adds an event, and wakes whoever waits, unless that is the task `cx` of the caller, which will look by itself.
    pub(super) fn push(&mut self, event: Event, cx: &Context<'_>) {
        match &self.reader {
            Reader::Gone => return,
            Reader::Waiting(waker) if !waker.will_wake(cx.waker()) => waker.wake_by_ref(),
            Reader::Waiting(_) | Reader::Busy => {}
        }
        self.bytes += len(&event);
        self.events.push_back(event);
    }

    /// Whether everything is received; if not, the task is told when it is.
    pub(super) fn await_empty(&mut self) -> bool {
        self.is_awaited = !self.events.is_empty();
        !self.is_awaited
    }

    /// The next event; whether there is room again where there was none.
    pub(super) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<(Option<Event>, Room)> {
        let was_full = self.is_full();
        let Some(event) = self.events.pop_front() else {
            if let Reader::Gone = self.reader {
                return Poll::Ready((None, Room::AsBefore));
            }
            self.reader = Reader::Waiting(cx.waker().clone());
            return Poll::Pending;
        };
        self.bytes -= len(&event);
        self.reader = match event {
            Event::Closed(_) => Reader::Gone,
            Event::Message(_) | Event::Ping(_) | Event::Pong(_) => Reader::Busy,
        };
        let is_empty = self.is_awaited && self.events.is_empty();
        let room = if is_empty || (was_full && !self.is_full()) {
            Room::Again
        } else {
            Room::AsBefore
        };
        Poll::Ready((Some(event), room))
    }

    /// Nobody receives any more.
    pub(super) fn abandon(&mut self) {
        *self = Self {
            reader: Reader::Gone,
            ..Self::default()
        };
    }
}

/// Whether the connection's task has to be told to read on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Again,
    AsBefore,
}

fn len(event: &Event) -> usize {
    match event {
        Event::Message(message) => message.as_bytes().len(),
        Event::Ping(payload) | Event::Pong(payload) => payload.len(),
        Event::Closed(_) => 0,
    }
}
