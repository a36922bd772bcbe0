//! Ids: fixed arrays of bytes, written as text only at the edge.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct IdError {
    kind: &'static str,
}

impl IdError {
    pub(crate) const fn of(kind: &'static str) -> Self {
        Self { kind }
    }
}

/// The public id of one socket: 20 characters of base64url, as Socket.IO ids have (other nodes tell a socket's private room by that length).
///
/// A native session has exactly one socket, so this is also the session's `id` in `protocol.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId([u8; 15]);

impl SocketId {
    /// Makes an id from random bytes; they must be unguessable.
    pub const fn from_random(bytes: [u8; 15]) -> Self {
        Self(bytes)
    }

    /// The bytes behind the text.
    pub const fn as_bytes(&self) -> &[u8; 15] {
        &self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 20];
        f.write_str(encode(&self.0, &mut text))
    }
}

impl FromStr for SocketId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        decode(text).map(Self).ok_or(IdError { kind: "session id" })
    }
}

/// The secret that lets a client take its session over after a loss: the session's id and 128 random bits.
///
/// Rotated at each resume. `Debug` and `Display` never show the secret; [`reveal`](Self::reveal) does, for the client's eyes only.
#[derive(Clone, Copy)]
pub struct ResumeToken {
    /// Whose session it is.
    pub socket: SocketId,
    /// 128 bits, unguessable.
    pub secret: [u8; 16],
}

impl ResumeToken {
    /// The text that the client is given.
    pub fn reveal(&self) -> String {
        let mut bytes = [0; 31];
        bytes[..15].copy_from_slice(&self.socket.0);
        bytes[15..].copy_from_slice(&self.secret);
        BASE64.encode(bytes)
    }

    /// Compares two secrets in constant time, so that a guess learns nothing from how long the answer takes.
    pub fn matches(&self, other: &Self) -> bool {
        let difference = self
            .secret
            .iter()
            .zip(&other.secret)
            .fold(0, |difference, (a, b)| difference | (a ^ b));
        self.socket == other.socket && std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumeToken({}, secret)", self.socket)
    }
}

impl FromStr for ResumeToken {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes: [u8; 31] = decode(text).ok_or(IdError {
            kind: "resume token",
        })?;
        let (mut socket, mut secret) = ([0; 15], [0; 16]);
        socket.copy_from_slice(&bytes[..15]);
        secret.copy_from_slice(&bytes[15..]);
        Ok(Self {
            socket: SocketId(socket),
            secret,
        })
    }
}

/// The id of a message: 128 bits, unique in the cluster, sorted by time (RFC 9562, UUID version 7), written as 26 characters of Crockford's base32,
/// whose order as text is the order of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u128);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl MessageId {
    /// Makes an id of version 7 from the wall clock in milliseconds since the Unix epoch and 80 random bits, of which 74 are used.
    pub const fn new(unix_ms: u64, random: u128) -> Self {
        let time = (unix_ms as u128 & 0xFFFF_FFFF_FFFF) << 80;
        let high = (random >> 62) & 0xFFF;
        let low = random & 0x3FFF_FFFF_FFFF_FFFF;
        Self(time | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)
    }

    /// The id as a number, for storage.
    pub const fn to_u128(self) -> u128 {
        self.0
    }

    /// The id that [`to_u128`](Self::to_u128) gave.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 26];
        let mut rest = self.0;
        for slot in text.iter_mut().rev() {
            *slot = CROCKFORD[(rest & 31) as usize];
            rest >>= 5;
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let invalid = IdError { kind: "message id" };
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(invalid);
        }
        text.bytes()
            .try_fold(0, |bits: u128, byte| {
                let digit = CROCKFORD
                    .iter()
                    .position(|&known| known == byte)
                    .ok_or(invalid)?;
                Ok(bits << 5 | digit as u128)
            })
            .map(Self)
    }
}

/// Names one life of a room's numbering: a position of another epoch says nothing about this one. 64 random bits, 11 characters as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Makes an epoch of random bits. They need not be unguessable, only fresh.
    pub const fn from_random(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, for storage.
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 11];
        f.write_str(encode(&self.0.to_be_bytes(), &mut text))
    }
}

impl FromStr for Epoch {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        decode(text)
            .map(|bytes| Self(u64::from_be_bytes(bytes)))
            .ok_or(IdError { kind: "epoch" })
    }
}

/// A place in a room's order: after the publication number `seq` of `epoch`; `seq` 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Which numbering `seq` belongs to.
    pub epoch: Epoch,
    /// Counts from 1, without gaps, at most 2^53-1.
    pub seq: u64,
}

fn encode<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    let len = BASE64
        .encode_slice(bytes, text)
        .expect("the buffer fits the id");
    std::str::from_utf8(&text[..len]).expect("base64 is ASCII")
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // decode_slice wants room for a whole last group, so the buffer is the largest id rounded up.
    let mut buffer = [0; 33];
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    let len = BASE64.decode_slice(text, &mut buffer).ok()?;
    buffer[..len].try_into().ok()
}

macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

macro_rules! debug_as_display {
    ($($id:ty),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

as_text!(SocketId, MessageId, Epoch);
debug_as_display!(SocketId, MessageId, Epoch);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_id_is_twenty_characters_and_reads_back() {
        let id = SocketId::from_random([0xA7; 15]);

        let text = id.to_string();

        assert_eq!(text.len(), 20);
        assert_eq!(text.parse(), Ok(id));
        assert!("short".parse::<SocketId>().is_err());
        assert!("éééééééééé".parse::<SocketId>().is_err());
    }

    #[test]
    fn a_resume_token_never_shows_its_secret_in_debug_output() {
        let token = ResumeToken {
            socket: SocketId::from_random([1; 15]),
            secret: [0xEE; 16],
        };

        assert!(!format!("{token:?}").contains("7u7u"), "{token:?}");
        assert!(
            token
                .reveal()
                .parse::<ResumeToken>()
                .unwrap()
                .matches(&token)
        );
    }

    #[test]
    fn a_resume_token_with_one_wrong_bit_does_not_match() {
        let token = ResumeToken {
            socket: SocketId::from_random([1; 15]),
            secret: [0; 16],
        };
        let mut forged = token;
        forged.secret[15] ^= 1;

        assert!(!token.matches(&forged));
    }

    #[test]
    fn message_ids_sort_by_time_as_text_too() {
        let (early, late) = (
            MessageId::new(1_700_000_000_000, u128::MAX),
            MessageId::new(1_700_000_000_001, 0),
        );

        assert!(early < late);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(late.to_string().len(), 26);
    }

    #[test]
    fn a_message_id_carries_version_and_variant_of_rfc_9562() {
        let id = MessageId::new(0, u128::MAX).to_u128();

        assert_eq!(id >> 76 & 0xF, 7);
        assert_eq!(id >> 62 & 0b11, 0b10);
    }

    #[test]
    fn an_epoch_reads_back_from_its_text() {
        let epoch = Epoch::from_random(u64::MAX - 3);

        assert_eq!(epoch.to_string().len(), 11);
        assert_eq!(epoch.to_string().parse(), Ok(epoch));
    }
}
