//! The data of a packet: JSON text and the binary attachments it refers to.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::decode::DecodeError;
use crate::json::{self, Cursor};

/// JSON text with placeholders (`{"_placeholder":true,"num":0}`) for the attachments beside it.
///
/// The text of a decoded packet is what the peer sent: a slice of it, checked but not written anew. It is the same
/// whichever parser the peer uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    json: Bytes,
    attachments: Vec<Bytes>,
}

impl Payload {
    /// Trusts that `json` is one JSON text whose placeholders are all below the number of attachments.
    pub fn new(json: impl Into<Bytes>, attachments: Vec<Bytes>) -> Self {
        Self {
            json: json.into(),
            attachments,
        }
    }

    /// The JSON text; empty when the packet has no data.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The attachments, by the number in their placeholders.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The elements of an array, each as it is written. Empty for anything but an array.
    pub fn elements(&self) -> Vec<&RawValue> {
        let mut cursor = Cursor::new(&self.json);
        let mut elements = Vec::new();
        if cursor.peek() == b'[' {
            cursor.enter();
            while cursor.has_more(b']') {
                elements.extend(serde_json::from_slice::<&RawValue>(cursor.value()).ok());
            }
        }
        elements
    }

    /// The attachment an element stands for, when it is a placeholder.
    pub fn attachment(&self, element: &RawValue) -> Option<&Bytes> {
        #[derive(serde::Deserialize)]
        struct Placeholder {
            _placeholder: bool,
            num: usize,
        }
        if self.attachments.is_empty() || !element.get().starts_with('{') {
            return None;
        }
        let placeholder: Placeholder = serde_json::from_str(element.get()).ok()?;
        placeholder
            ._placeholder
            .then(|| self.attachments.get(placeholder.num))?
    }

    pub(crate) fn into_parts(self) -> (Bytes, Vec<Bytes>) {
        (self.json, self.attachments)
    }
}

/// The data of an EVENT: its name and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    payload: Payload,
    args_at: usize,
}

impl Event {
    /// Takes an array whose first element is a string that is not reserved, or a number.
    ///
    /// # Errors
    /// [`DecodeError::Data`] for anything else.
    pub(crate) fn new(payload: Payload) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(&payload.json);
        if cursor.peek() != b'[' {
            return Err(DecodeError::Data);
        }
        cursor.enter();
        if !cursor.has_more(b']') || !is_event_name(cursor.value()) {
            return Err(DecodeError::Data);
        }
        let args_at = if cursor.peek() == b',' {
            cursor.position() + 1
        } else {
            cursor.position()
        };
        Ok(Self { payload, args_at })
    }

    /// The name. A number is given as it is written.
    pub fn name(&self) -> Cow<'_, str> {
        let mut cursor = Cursor::new(&self.payload.json);
        cursor.enter();
        match cursor.value() {
            quoted @ [b'"', ..] => json::unescape(quoted).expect("checked when the event was made"),
            number => String::from_utf8_lossy(number),
        }
    }

    /// The arguments, each as it is written.
    pub fn args(&self) -> Vec<&RawValue> {
        let mut elements = self.payload.elements();
        elements.remove(0);
        elements
    }

    /// The arguments as they are written, with the commas between them and without brackets: what
    /// [`encode::event`](crate::encode::event) takes. Without a copy.
    pub fn args_json(&self) -> Bytes {
        let json = &self.payload.json;
        let end = json
            .iter()
            .rposition(|&byte| byte == b']')
            .unwrap_or(json.len());
        json.slice(self.args_at.min(end)..end)
    }

    /// The whole array and its attachments.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

/// Builds the array of an EVENT or ACK from values of any kind.
///
/// ```
/// use nuncio_socketio::payload::ArrayBuilder;
///
/// let payload = ArrayBuilder::event("file").value(&("a.txt", 3)).unwrap().binary(vec![1, 2]).build();
/// assert_eq!(payload.json(), r#"["file",["a.txt",3],{"_placeholder":true,"num":0}]"#);
/// assert_eq!(payload.attachments(), [vec![1, 2]]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ArrayBuilder {
    json: BytesMut,
    attachments: Vec<Bytes>,
}

impl ArrayBuilder {
    /// An empty array, as for the arguments of an acknowledgement.
    pub fn new() -> Self {
        Self::default()
    }

    /// An array that begins with an event's name.
    pub fn event(name: &str) -> Self {
        let mut builder = Self::new();
        builder.separate();
        put_string(&mut builder.json, name);
        builder
    }

    /// Appends a value as JSON.
    ///
    /// # Errors
    /// What the value's `Serialize` says; nothing was appended then.
    pub fn value<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_vec(value)?;
        self.separate();
        self.json.put_slice(&json);
        Ok(self)
    }

    /// Appends JSON text as it is.
    pub fn raw(mut self, value: &RawValue) -> Self {
        self.separate();
        self.json.put_slice(value.get().as_bytes());
        self
    }

    /// Appends a binary argument.
    pub fn binary(mut self, bytes: impl Into<Bytes>) -> Self {
        self.separate();
        put_placeholder(&mut self.json, self.attachments.len());
        self.attachments.push(bytes.into());
        self
    }

    /// Closes the array.
    pub fn build(mut self) -> Payload {
        if self.json.is_empty() {
            self.json.put_u8(b'[');
        }
        self.json.put_u8(b']');
        Payload {
            json: self.json.freeze(),
            attachments: self.attachments,
        }
    }

    fn separate(&mut self) {
        self.json
            .put_u8(if self.json.is_empty() { b'[' } else { b',' });
    }
}

/// Refuses placeholders that name no attachment: passed on, they would break other clients.
pub(crate) fn check_placeholders(json: &[u8], attachments: usize) -> Result<(), DecodeError> {
    check_value(&mut Cursor::new(json), attachments)
}

fn check_value(cursor: &mut Cursor<'_>, attachments: usize) -> Result<(), DecodeError> {
    match cursor.peek() {
        b'[' => {
            cursor.enter();
            while cursor.has_more(b']') {
                check_value(cursor, attachments)?;
            }
        }
        b'{' => return check_object(cursor, attachments),
        _ => {
            cursor.value();
        }
    }
    Ok(())
}

fn check_object(cursor: &mut Cursor<'_>, attachments: usize) -> Result<(), DecodeError> {
    let (mut is_placeholder, mut number) = (false, None);
    cursor.enter();
    while cursor.has_more(b'}') {
        let key = json::unescape(cursor.key());
        cursor.peek();
        let mut value = cursor.clone();
        check_value(cursor, attachments)?;
        match key.as_deref() {
            Some("_placeholder") => is_placeholder = value.value() == b"true",
            Some("num") => number = Some(value.value()),
            Some(_) | None => {}
        }
    }
    if is_placeholder
        && number
            .and_then(index)
            .is_none_or(|number| number >= attachments)
    {
        return Err(DecodeError::Placeholder);
    }
    Ok(())
}

pub(crate) fn index(number: &[u8]) -> Option<usize> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

pub(crate) fn put_placeholder(json: &mut BytesMut, number: usize) {
    json.put_slice(br#"{"_placeholder":true,"num":"#);
    json.put_slice(number.to_string().as_bytes());
    json.put_u8(b'}');
}

pub(crate) fn put_string(json: &mut BytesMut, text: &str) {
    serde_json::to_writer(json.writer(), text).expect("a buffer takes any string");
}

/// A number, or a string outside the reserved names: those mean something on the receiving side.
fn is_event_name(json: &[u8]) -> bool {
    match json {
        quoted @ [b'"', ..] => {
            json::unescape(quoted).is_some_and(|name| !RESERVED_EVENTS.contains(&name.as_ref()))
        }
        [b'-' | b'0'..=b'9', ..] => true,
        _ => false,
    }
}

/// Event names that no peer may send (socket.io-parser, `RESERVED_EVENTS`).
pub const RESERVED_EVENTS: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];
