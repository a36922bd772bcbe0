//! The arguments of events and acknowledgements.

use bytes::{BufMut, Bytes, BytesMut};
use nuncio_socketio::payload::ArrayBuilder;
use nuncio_socketio::{Event, Payload};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// The arguments of an event or of an acknowledgement: JSON values and binary ones, in order.
///
/// ```
/// use nuncio_client::socketio::Args;
/// use serde_json::json;
///
/// let args = Args::new().with(&("a.txt", 3))?.binary(vec![1, 2]);
/// assert_eq!(args.value::<(String, u32)>(0)?, ("a.txt".to_owned(), 3));
/// assert_eq!(args.bytes(1).unwrap(), &[1, 2][..]);
///
/// // One argument, several, none:
/// let _: [Args; 4] = ["hello".into(), json!({"a": 1}).into(), vec![json!(1), json!(2)].into(), ().into()];
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args(Payload);

impl Args {
    /// No arguments.
    pub fn new() -> Self {
        Self(ArrayBuilder::new().build())
    }

    /// Appends a value as JSON.
    ///
    /// # Errors
    /// What the value's `Serialize` says.
    pub fn with<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_vec(value)?;
        Ok(self.append(&json, None))
    }

    /// Appends a binary argument.
    #[must_use]
    pub fn binary(self, bytes: impl Into<Bytes>) -> Self {
        let number = self.0.attachments().len();
        let placeholder = format!(r#"{{"_placeholder":true,"num":{number}}}"#);
        self.append(placeholder.as_bytes(), Some(bytes.into()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.elements().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// The argument at a place, read from its JSON. Beyond the last one it is `null`, as in JavaScript.
    ///
    /// # Errors
    /// What the type's `Deserialize` says.
    pub fn value<T: DeserializeOwned>(&self, place: usize) -> Result<T, serde_json::Error> {
        let elements = self.0.elements();
        let json = elements.get(place).map_or("null", |element| element.get());
        serde_json::from_str(json)
    }

    /// The binary argument at a place; `None` for a JSON one.
    pub fn bytes(&self, place: usize) -> Option<&Bytes> {
        let elements = self.0.elements();
        self.0.attachment(elements.get(place)?)
    }

    /// The whole: a JSON array, in which each binary value, however deep, is a placeholder with the number of its attachment.
    pub fn payload(&self) -> &Payload {
        &self.0
    }

    pub(super) fn of_event(event: &Event) -> Self {
        let (list, attachments) = (event.args_json(), event.payload().attachments().to_vec());
        let mut json = BytesMut::with_capacity(list.len() + 2);
        json.put_u8(b'[');
        json.put_slice(&list);
        json.put_u8(b']');
        Self(Payload::new(json, attachments))
    }

    /// What stands between the brackets.
    pub(super) fn list(&self) -> Bytes {
        let json = self.0.json();
        let end = json.iter().rposition(|&byte| byte == b']');
        let begin = json.iter().position(|&byte| byte == b'[');
        match (begin, end) {
            (Some(begin), Some(end)) if begin < end => json.slice(begin + 1..end),
            (Some(_) | None, _) => Bytes::new(),
        }
    }

    /// The text of the last argument, where it is a string: the position of an event, when the server recovers.
    pub(super) fn last_text(&self) -> Option<String> {
        let elements = self.0.elements();
        let last: &RawValue = elements.last()?;
        last.get()
            .starts_with('"')
            .then(|| serde_json::from_str(last.get()).ok())?
    }

    fn append(self, json: &[u8], attachment: Option<Bytes>) -> Self {
        let list = self.list();
        let mut array = BytesMut::with_capacity(list.len() + json.len() + 3);
        array.put_u8(b'[');
        array.put_slice(&list);
        if !list.is_empty() {
            array.put_u8(b',');
        }
        array.put_slice(json);
        array.put_u8(b']');
        let mut attachments = self.0.attachments().to_vec();
        attachments.extend(attachment);
        Self(Payload::new(array, attachments))
    }
}

impl Default for Args {
    fn default() -> Self {
        Self::new()
    }
}

/// A JSON array and its attachments, as a packet carries them.
impl From<Payload> for Args {
    fn from(payload: Payload) -> Self {
        Self(payload)
    }
}

/// None.
impl From<()> for Args {
    fn from((): ()) -> Self {
        Self::new()
    }
}

/// One.
impl From<Value> for Args {
    fn from(value: Value) -> Self {
        Self::new().append(value.to_string().as_bytes(), None)
    }
}

/// One.
impl From<&str> for Args {
    fn from(text: &str) -> Self {
        Value::from(text).into()
    }
}

/// One.
impl From<String> for Args {
    fn from(text: String) -> Self {
        Value::from(text).into()
    }
}

/// One, binary.
impl From<Bytes> for Args {
    fn from(bytes: Bytes) -> Self {
        Self::new().binary(bytes)
    }
}

/// Several.
impl From<Vec<Value>> for Args {
    fn from(values: Vec<Value>) -> Self {
        let json = Value::Array(values).to_string();
        Self(Payload::new(json, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_appended_in_order_and_read_by_their_place() {
        let args = Args::from("a")
            .with(&7)
            .unwrap()
            .binary(vec![1])
            .binary(vec![2, 3]);

        assert_eq!(args.len(), 4);
        assert_eq!(args.value::<String>(0).unwrap(), "a");
        assert_eq!(args.value::<u8>(1).unwrap(), 7);
        assert_eq!(args.bytes(1), None);
        assert_eq!(args.bytes(3).unwrap(), &[2, 3][..]);
        assert_eq!(args.value::<Option<u8>>(9).unwrap(), None);
    }

    #[test]
    fn a_null_is_an_argument_and_nothing_is_none() {
        assert_eq!(Args::from(Value::Null).len(), 1);
        assert!(Args::from(()).is_empty());
        assert_eq!(
            Args::from(vec![json!("]"), json!("[")]).list(),
            r#""]","[""#
        );
    }

    #[test]
    fn only_a_string_at_the_end_is_a_position() {
        let position = |values: Vec<Value>| Args::from(values).last_text();

        assert_eq!(
            position(vec![json!(1), json!("x\"y")]).as_deref(),
            Some("x\"y")
        );
        assert_eq!(position(vec![json!("x"), json!(1)]), None);
        assert_eq!(position(Vec::new()), None);
    }
}
