//! JSON written by hand: objects of known keys, in a fixed order, into one buffer.

use std::fmt;
use std::io::Write as _;

use bytes::Bytes;
use nuncio_model::{CallId, Json};

/// A JSON text in the making. Keys are ours and need no escaping; a comma goes before each that is not the first of its object.
#[derive(Debug, Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Room for `capacity` bytes; exact capacity makes it one allocation.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// A message of the given `type`, left open; `capacity` is for all that follows.
    pub(crate) fn message(kind: &'static str, capacity: usize) -> Self {
        let mut text = Self::with_capacity(kind.len() + 12 + capacity);
        text.raw("{\"type\":\"").raw(kind).raw("\"");
        text
    }

    /// Text as it is.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Bytes that are JSON, as they are.
    pub(crate) fn bytes(&mut self, json: &[u8]) -> &mut Self {
        self.0.extend_from_slice(json);
        self
    }

    /// `,"key":`, without the comma at the start of an object.
    pub(crate) fn key(&mut self, key: &'static str) -> &mut Self {
        self.comma().raw("\"").raw(key).raw("\":")
    }

    /// A field of text, escaped.
    pub(crate) fn string(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key).quoted(value)
    }

    /// A field of text that needs no escaping: ids and epochs.
    pub(crate) fn plain(&mut self, key: &'static str, value: impl fmt::Display) -> &mut Self {
        self.key(key).raw("\"");
        write!(self.0, "{value}").expect("a buffer takes everything");
        self.raw("\"")
    }

    /// A field with a number.
    pub(crate) fn number(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.key(key).digits(value)
    }

    /// A field with a truth value.
    pub(crate) fn truth(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.key(key).raw(if value { "true" } else { "false" })
    }

    /// A field with JSON as it is.
    pub(crate) fn json(&mut self, key: &'static str, value: &Json) -> &mut Self {
        self.key(key).0.extend_from_slice(value.as_bytes());
        self
    }

    /// A field with a call's id, as its client wrote it.
    pub(crate) fn call(&mut self, key: &'static str, id: &CallId) -> &mut Self {
        match id {
            CallId::Number(number) => self.number(key, *number),
            CallId::Text(text) => self.string(key, text),
        }
    }

    /// A field with an array, each entry written by `write`.
    pub(crate) fn array<T>(
        &mut self,
        key: &'static str,
        entries: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.key(key).raw("[");
        for entry in entries {
            self.comma();
            write(self, entry);
        }
        self.raw("]")
    }

    /// A JSON string.
    pub(crate) fn quoted(&mut self, value: &str) -> &mut Self {
        self.raw("\"").escaped(value).raw("\"")
    }

    /// Closes an object.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.raw("}")
    }

    /// Gives the text away as it is.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    /// Closes the message and gives its text away.
    pub(crate) fn close(mut self) -> Bytes {
        self.end();
        self.0.into()
    }

    fn digits(&mut self, value: u64) -> &mut Self {
        self.raw(itoa::Buffer::new().format(value))
    }

    fn comma(&mut self) -> &mut Self {
        match self.0.last() {
            Some(b'{' | b'[') | None => self,
            Some(_) => self.raw(","),
        }
    }

    /// Escapes what JSON must (RFC 8259 §7) and nothing else. What a page shows is the page's to escape: here `<` is data like any other.
    fn escaped(&mut self, value: &str) -> &mut Self {
        let bytes = value.as_bytes();
        let mut start = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if is_escaped(byte) {
                self.0.extend_from_slice(&bytes[start..at]);
                self.escape(byte);
                start = at + 1;
            }
        }
        self.0.extend_from_slice(&bytes[start..]);
        self
    }

    fn escape(&mut self, byte: u8) {
        match short_escape(byte) {
            Some(letter) => self.0.extend_from_slice(&[b'\\', letter]),
            None => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                self.0
                    .extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
}

/// The length of `value` between its quotes once it is escaped.
pub(crate) fn escaped_len(value: &str) -> usize {
    let escaped = value.bytes().filter(|&byte| is_escaped(byte));
    value.len()
        + escaped
            .map(|byte| if short_escape(byte).is_some() { 1 } else { 5 })
            .sum::<usize>()
}

/// How many digits a number has.
pub(crate) const fn digits_len(value: u64) -> usize {
    match value.checked_ilog10() {
        Some(log) => log as usize + 1,
        None => 1,
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

const fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        0x08 => Some(b'b'),
        0x09 => Some(b't'),
        0x0A => Some(b'n'),
        0x0C => Some(b'f'),
        0x0D => Some(b'r'),
        _ => None,
    }
}
