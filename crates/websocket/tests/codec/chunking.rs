//! Properties: how the bytes are cut does not matter, what was sent is received, no bytes make a panic.

use bytes::BytesMut;
use nuncio_websocket::{
    CloseCode, Compression, ConnectionConfig, Deflater, Event, Fragments, Mask, MessageKind, Role,
    WindowBits, encode, encode_close, encode_ping, encode_pong,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::peer::{DEFLATE, Peer, Received, events};

/// What one side sends.
#[derive(Debug, Clone)]
pub(crate) enum Send {
    Text(String),
    Binary(Vec<u8>),
    Deflated(String, u8),
    Fragments(String, Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl Send {
    pub(crate) fn write(&self, out: &mut BytesMut, mask: Mask) {
        match self {
            Self::Text(text) => {
                let frame = encode(MessageKind::Text, text.as_bytes(), Compression::None, mask);
                out.extend_from_slice(&frame);
            }
            Self::Binary(bytes) => {
                out.extend_from_slice(&encode(MessageKind::Binary, bytes, Compression::None, mask));
            }
            Self::Deflated(text, bits) => {
                let deflater = &mut Deflater::new();
                let window = WindowBits::new(*bits).unwrap();
                let compression = Compression::Deflate { deflater, window };
                out.extend_from_slice(&encode(
                    MessageKind::Text,
                    text.as_bytes(),
                    compression,
                    mask,
                ));
            }
            Self::Fragments(text, lens) => write_fragments(text, lens, out, mask),
            Self::Ping(payload) => out.extend_from_slice(&encode_ping(payload, mask)),
            Self::Pong(payload) => out.extend_from_slice(&encode_pong(payload, mask)),
            Self::Close(reason) => {
                let (code, reason) = reason
                    .as_ref()
                    .map_or((None, ""), |(code, reason)| (CloseCode::new(*code), reason));
                out.extend_from_slice(&encode_close(code, reason, mask));
            }
        }
    }

    /// What the other side shall receive.
    pub(crate) fn event(&self) -> Event<'static> {
        match self.clone() {
            Self::Text(text) | Self::Deflated(text, _) | Self::Fragments(text, _) => {
                Event::Text(text.into())
            }
            Self::Binary(bytes) => Event::Binary(bytes.into()),
            Self::Ping(payload) => Event::Ping(payload.into()),
            Self::Pong(payload) => Event::Pong(payload.into()),
            Self::Close(None) => Event::Close {
                code: None,
                reason: "".into(),
            },
            Self::Close(Some((code, reason))) => Event::Close {
                code: CloseCode::new(code),
                reason: reason.into(),
            },
        }
    }
}

fn write_fragments(text: &str, lens: &[usize], out: &mut BytesMut, mask: Mask) {
    let mut fragments = Fragments::new(MessageKind::Text);
    let mut rest = text.as_bytes();
    for len in lens {
        let (piece, after) = rest.split_at((*len).min(rest.len()));
        out.extend_from_slice(&fragments.piece(piece, mask));
        out.extend_from_slice(&encode_ping(b"between", mask));
        rest = after;
    }
    out.extend_from_slice(&fragments.last(rest, mask));
}

/// The events of some sendings; a fragmented message brings a ping after each piece but the last.
pub(crate) fn expected(sends: &[Send]) -> Vec<Event<'static>> {
    sends
        .iter()
        .flat_map(|send| {
            let pings = if let Send::Fragments(_, lens) = send {
                lens.len()
            } else {
                0
            };
            let ping = Event::Ping(b"between".as_slice().into());
            std::iter::repeat_n(ping, pings).chain([send.event()])
        })
        .collect()
}

/// Messages and control frames, and then perhaps a close frame.
pub(crate) fn plain_sends() -> impl Strategy<Value = Vec<Send>> {
    sends(prop_oneof![plain_send()].boxed())
}

fn all_sends() -> impl Strategy<Value = Vec<Send>> {
    let deflated =
        ("(ab|\\PC){0,200}", 9_u8..=15).prop_map(|(text, bits)| Send::Deflated(text, bits));
    sends(prop_oneof![3 => plain_send(), 1 => deflated].boxed())
}

fn sends(send: BoxedStrategy<Send>) -> impl Strategy<Value = Vec<Send>> {
    let close = proptest::option::of((
        prop_oneof![1000_u16..=1003, 1007_u16..=1013, 3000_u16..=4999],
        "\\PC{0,30}",
    ))
    .prop_map(Send::Close);
    (vec(send, 0..8), proptest::option::of(close)).prop_map(|(mut sends, close)| {
        sends.extend(close);
        sends
    })
}

fn plain_send() -> impl Strategy<Value = Send> {
    prop_oneof![
        "\\PC{0,200}".prop_map(Send::Text),
        vec(any::<u8>(), 0..400).prop_map(Send::Binary),
        ("\\PC{0,100}", vec(0_usize..40, 0..5))
            .prop_map(|(text, lens)| Send::Fragments(text, lens)),
        vec(any::<u8>(), 0..=125).prop_map(Send::Ping),
        vec(any::<u8>(), 0..=125).prop_map(Send::Pong),
    ]
}

pub(crate) fn written(sends: &[Send], mask: Mask) -> Vec<u8> {
    let mut out = BytesMut::new();
    for send in sends {
        send.write(&mut out, mask);
    }
    out.to_vec()
}

/// A role and the mask of what it reads.
pub(crate) fn role() -> impl Strategy<Value = (Role, Mask)> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|key| (Role::Server, Mask::Key(key))),
        Just((Role::Client, Mask::None)),
    ]
}

fn deflating(role: Role) -> Peer {
    Peer::new(
        role,
        ConnectionConfig {
            deflate: Some(DEFLATE),
            ..ConnectionConfig::default()
        },
    )
}

fn lens() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1_usize..4, 0..300), vec(0_usize..200, 0..40)]
}

proptest! {
    #[test]
    fn what_was_sent_is_received((role, mask) in role(), sends in all_sends()) {
        let received = deflating(role).receive(&written(&sends, mask));

        prop_assert_eq!(received, events(expected(&sends)));
    }

    #[test]
    fn any_cut_of_good_bytes_gives_the_same_events(
        (role, mask) in role(), sends in all_sends(), lens in lens(),
    ) {
        let bytes = written(&sends, mask);
        let mut peer = deflating(role);

        let received = peer.receive_in_pieces(&bytes, &lens);

        prop_assert_eq!(received, events(expected(&sends)));
        prop_assert_eq!(peer.connection.heap_bytes(), 0);
    }

    #[test]
    fn any_cut_of_bad_bytes_gives_the_same_events_and_the_same_refusal(
        (role, mask) in role(), sends in all_sends(), lens in lens(), damage in damage(), cut: prop::sample::Index,
    ) {
        let mut bytes = written(&sends, mask);
        damage_at(&mut bytes, &damage);
        bytes.truncate(cut.index(bytes.len() + 1));

        let whole = deflating(role).receive(&bytes);
        let pieces = deflating(role).receive_in_pieces(&bytes, &lens);

        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn random_bytes_never_panic((role, _) in role(), bytes in vec(any::<u8>(), 0..300), lens in lens()) {
        let whole: Received = deflating(role).receive(&bytes);
        let pieces = deflating(role).receive_in_pieces(&bytes, &lens);

        prop_assert_eq!(whole, pieces);
    }
}

/// Places and the bytes to put there.
pub(crate) fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    vec(any::<(prop::sample::Index, u8)>(), 0..4)
}

pub(crate) fn damage_at(bytes: &mut [u8], damage: &[(prop::sample::Index, u8)]) {
    if bytes.is_empty() {
        return;
    }
    for (place, byte) in damage {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
}
