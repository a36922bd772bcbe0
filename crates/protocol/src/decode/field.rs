//! Readers of single fields: what is wanted, and what to say when it is something else.

use std::borrow::Cow;

use nuncio_model::{
    CallId, Epoch, EventName, IdempotencyKey, NameError, Position, Refusal, RoomName, UserId, quote,
};
use serde_json::value::RawValue;

use super::fields::{Fields, Key};

/// What is wrong with a field; where it stands is added on the way up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    path: String,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// Another kind or another value is wanted.
    Not { wanted: &'static str, got: String },
    /// The field is not there.
    Missing { wanted: &'static str },
    /// The value breaks a rule.
    Rule(String),
}

impl Wrong {
    /// The value breaks a rule: a phrase that follows the field's name.
    fn rule(rule: impl Into<String>) -> Self {
        Self::new(What::Rule(rule.into()))
    }

    /// The field is not there.
    pub(crate) const fn absent(wanted: &'static str) -> Self {
        Self::new(What::Missing { wanted })
    }

    fn kind(wanted: &'static str, raw: &RawValue) -> Self {
        let got = kind(raw).to_owned();
        Self::new(What::Not { wanted, got })
    }

    fn value(wanted: &'static str, raw: &RawValue) -> Self {
        let got = quote(raw.get()).to_string();
        Self::new(What::Not { wanted, got })
    }

    const fn new(what: What) -> Self {
        let path = String::new();
        Self { path, what }
    }

    /// Says that a field was left out, instead of what is wrong with the `null` in its place.
    pub(crate) fn missing(self) -> Self {
        match self.what {
            What::Not { wanted, got: _ } => Self::absent(wanted),
            What::Missing { .. } | What::Rule(_) => self,
        }
    }

    /// The field that is wrong stands in, or is, the field `key`.
    pub(crate) fn inside(self, key: Key) -> Self {
        let dot = match self.path.as_bytes().first() {
            None | Some(b'[') => "",
            Some(_) => ".",
        };
        let path = format!("{}{dot}{}", key.name(), self.path);
        Self { path, ..self }
    }

    fn inside_entry(self, index: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("[{index}]{dot}{}", self.path);
        Self { path, ..self }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let path = wrong.path;
        Self::invalid(match wrong.what {
            What::Not { wanted, got } => format!("{path} must be {wanted}, not {got}"),
            What::Missing { wanted } => format!("{path} is missing: it must be {wanted}"),
            What::Rule(rule) => format!("{path}{rule}"),
        })
    }
}

impl From<NameError> for Wrong {
    fn from(error: NameError) -> Self {
        Self::rule(format!(": {error}"))
    }
}

/// Any text.
pub(crate) fn string(raw: &RawValue) -> Result<Cow<'_, str>, Wrong> {
    let Some(inner) = raw
        .get()
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return Err(Wrong::kind("a string", raw));
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw.get())
        .map(Cow::Owned)
        .map_err(|_| Wrong::rule(" must be a string of Unicode, and has a lone surrogate"))
}

/// Text that keeps a secret: it is not quoted, whatever is wrong with it.
pub(crate) fn secret(raw: &RawValue) -> Result<Box<str>, Wrong> {
    match &*string(raw)? {
        "" => Err(Wrong::rule(" must not be empty")),
        text => Ok(text.into()),
    }
}

/// A whole number from 0 to 2^53-1, which every JSON parser reads exactly.
pub(crate) fn safe_integer(raw: &RawValue) -> Result<u64, Wrong> {
    let value = raw.get().parse::<u64>().ok();
    value
        .filter(|&value| value <= CallId::NUMBER_MAX)
        .ok_or_else(|| Wrong::value("an integer from 0 to 2^53-1", raw))
}

/// A number of things.
pub(crate) fn count(raw: &RawValue) -> Result<u32, Wrong> {
    let value = raw.get().parse::<u32>();
    value.map_err(|_| Wrong::value("an integer from 0 to 4294967295", raw))
}

/// A client's own name for a call.
pub(crate) fn call_id(raw: &RawValue) -> Result<CallId, Wrong> {
    const WANTED: &str = "a string of 1 to 64 bytes or an integer from 0 to 2^53-1";
    if let Ok(number) = safe_integer(raw) {
        return Ok(CallId::Number(number));
    }
    match string(raw) {
        Ok(text) if (1..=CallId::TEXT_BYTES_MAX).contains(&text.len()) => {
            Ok(CallId::Text(text.into()))
        }
        _ => Err(Wrong::value(WANTED, raw)),
    }
}

/// A room's name.
pub(crate) fn room(raw: &RawValue) -> Result<RoomName, Wrong> {
    Ok(RoomName::parse(&string(raw)?)?)
}

/// A user's name.
pub(crate) fn user(raw: &RawValue) -> Result<UserId, Wrong> {
    Ok(UserId::parse(&string(raw)?)?)
}

/// The name of an application's event.
pub(crate) fn event(raw: &RawValue) -> Result<EventName, Wrong> {
    Ok(EventName::parse(&string(raw)?)?)
}

/// The name of an intention to publish.
pub(crate) fn idempotency_key(raw: &RawValue) -> Result<IdempotencyKey, Wrong> {
    Ok(IdempotencyKey::parse(&string(raw)?)?)
}

/// An object, for its fields.
pub(crate) fn object(raw: &RawValue) -> Result<Fields<'_>, Wrong> {
    if !raw.get().starts_with('{') {
        return Err(Wrong::kind("an object", raw));
    }
    // The text was checked as JSON when the whole message was; what is left are keys that are not Unicode.
    serde_json::from_str(raw.get())
        .map_err(|_| Wrong::rule(" must have keys of Unicode, and one has a lone surrogate"))
}

/// An array of objects, each read by `read`.
pub(crate) fn objects<'a, T>(
    raw: &'a RawValue,
    read: impl Fn(&Fields<'a>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return Err(Wrong::kind("an array of objects", raw));
    };
    let entries = entries.into_iter().enumerate();
    entries
        .map(|(index, entry)| {
            object(entry)
                .and_then(|fields| read(&fields))
                .map_err(|wrong| wrong.inside_entry(index))
        })
        .collect()
}

/// A place in a room: the fields `epoch` and `seq` of one object.
pub(crate) fn position(fields: &Fields<'_>) -> Result<Position, Wrong> {
    Ok(Position {
        epoch: fields.required(Key::Epoch, epoch)?,
        seq: fields.required(Key::Seq, safe_integer)?,
    })
}

/// What no room's epoch is, but by a chance of one in 2^64: epochs are random.
const EPOCH_OF_ANOTHER: Epoch = Epoch::from_random(0x6e6f_7420_6f75_7273);

/// An epoch is opaque to clients, so one that this server cannot have given out is not an error: it fits no room, and the answer to it is
/// `recovered: false`.
fn epoch(raw: &RawValue) -> Result<Epoch, Wrong> {
    Ok(string(raw)?.parse().unwrap_or(EPOCH_OF_ANOTHER))
}

fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes()[0] {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "an array",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}
