//! The same bytes, given to this codec and to `tungstenite`, without compression.

use std::io::{Cursor, Read, Result, Write};

use nuncio_websocket::{CloseCode, ConnectionConfig, Event, FrameError, Mask, Role};
use proptest::prelude::*;
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

use crate::chunking::{damage, damage_at, expected, plain_sends, role, written};
use crate::peer::{Peer, Received};

const MESSAGE_BYTES_MAX: usize = 1000;

/// How a stream of bytes ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The bytes are used up.
    Open,
    /// A close frame came.
    Closed,
    /// A rule was broken.
    Refused,
}

proptest! {
    #[test]
    fn good_bytes_mean_the_same_to_both((role, mask) in role(), sends in plain_sends()) {
        let bytes = written(&sends, mask);

        let theirs = theirs(role, &bytes);

        prop_assert_eq!(&theirs, &(expected(&sends), end_of(&expected(&sends))));
        prop_assert_eq!(ours(role, &bytes).0, theirs);
    }

    #[test]
    fn bad_bytes_are_refused_by_both_at_the_same_place(
        (role, mask) in role(), sends in plain_sends(), damage in damage(),
    ) {
        let mut bytes = written(&sends, mask);
        damage_at(&mut bytes, &damage);

        let ((our_events, our_end), refused) = ours(role, &bytes);
        let (mut their_events, their_end) = theirs(role, &bytes);

        match refused {
            None => prop_assert_eq!((our_events, our_end), (their_events, their_end)),
            // They take what is too long a form of a length, and go on.
            Some(FrameError::LengthNotMinimal { .. }) => {
                their_events.truncate(our_events.len());
                prop_assert_eq!(our_events, their_events);
            }
            // They report a close frame with the code 1002 instead, unless its reason is refused too.
            Some(FrameError::CloseCodeIllegal { .. }) => {
                if their_end == End::Closed {
                    prop_assert_eq!(their_events.pop().and_then(close_code), Some(CloseCode::PROTOCOL));
                }
                prop_assert_eq!(our_events, their_events);
            }
            // They judge a frame when it is complete, this codec when its bytes show the fault.
            Some(_) => {
                prop_assert_eq!(our_events, their_events);
                prop_assert!(their_end == End::Refused || their_end == End::Open);
            }
        }
    }
}

/// Frames with one rule broken, complete, so that both must judge them.
#[test]
fn one_broken_rule_gives_the_same_verdict() {
    let zero_key = [0, 0, 0, 0];
    for (first, payload) in [
        (0xc1, &b"x"[..]),
        (0xa1, b"x"),
        (0x91, b"x"),
        (0x83, b"x"),
        (0x8b, b"x"),
        (0x80, b"x"),
        (0x09, b"x"),
        (0x88, b"x"),
        (0x88, b"\x03\xe8\xff"),
        (0x81, b"\xed\xa0\x80"),
        (0x81, b"\xce"),
    ] {
        let server = [&[first, 0x80 | payload.len() as u8][..], &zero_key, payload].concat();
        let client = [&[first, payload.len() as u8][..], payload].concat();

        for (role, bytes) in [(Role::Server, server), (Role::Client, client)] {
            assert_eq!(theirs(role, &bytes), (vec![], End::Refused), "{bytes:x?}");
            assert_eq!(ours(role, &bytes).0, (vec![], End::Refused), "{bytes:x?}");
        }
    }
}

#[test]
fn the_wrong_mask_gives_the_same_verdict() {
    let hello = [crate::chunking::Send::Text("Hello".into())];
    for (role, mask) in [
        (Role::Server, Mask::None),
        (Role::Client, Mask::Key([1, 2, 3, 4])),
    ] {
        let bytes = written(&hello, mask);

        assert_eq!(theirs(role, &bytes), (vec![], End::Refused));
        assert_eq!(ours(role, &bytes).0, (vec![], End::Refused));
    }
}

fn end_of(events: &[Event<'_>]) -> End {
    match events.last() {
        Some(Event::Close { .. }) => End::Closed,
        _ => End::Open,
    }
}

fn close_code(event: Event<'_>) -> Option<CloseCode> {
    match event {
        Event::Close { code, .. } => code,
        Event::Text(_) | Event::Binary(_) | Event::Ping(_) | Event::Pong(_) => None,
    }
}

type Outcome = (Vec<Event<'static>>, End);

fn ours(role: Role, bytes: &[u8]) -> (Outcome, Option<FrameError>) {
    let config = ConnectionConfig {
        message_bytes_max: MESSAGE_BYTES_MAX as u64,
        deflate: None,
    };
    let Received { events, refused } = Peer::new(role, config).receive(bytes);
    let end = if refused.is_some() {
        End::Refused
    } else {
        end_of(&events)
    };
    ((events, end), refused)
}

fn theirs(role: Role, bytes: &[u8]) -> Outcome {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket =
        WebSocket::from_raw_socket(Wire(Cursor::new(bytes.to_vec())), role, Some(config));
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => events.push(event(message)),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => {
                return (events, End::Open);
            }
            Err(Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)) => {
                return (events, End::Refused);
            }
            Err(error) => panic!("{error}"),
        }
        if end_of(&events) == End::Closed {
            return (events, End::Closed);
        }
    }
}

fn event(message: Message) -> Event<'static> {
    match message {
        Message::Text(text) => Event::Text(text.to_string().into()),
        Message::Binary(bytes) => Event::Binary(bytes.to_vec().into()),
        Message::Ping(payload) => Event::Ping(payload.to_vec().into()),
        Message::Pong(payload) => Event::Pong(payload.to_vec().into()),
        Message::Close(None) => Event::Close {
            code: None,
            reason: "".into(),
        },
        Message::Close(Some(close)) => {
            let code = CloseCode::new(close.code.into());
            Event::Close {
                code,
                reason: close.reason.to_string().into(),
            }
        }
        Message::Frame(_) => unreachable!("a frame is never read as such"),
    }
}

/// Bytes to read; what is written is forgotten.
struct Wire(Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
