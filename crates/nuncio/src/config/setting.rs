//! How one setting is read, from a TOML value or from the text of a variable or flag, and written back.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nuncio_model::{Namespace, Pattern, Right, RoomGrant, quote};
use serde::Deserialize;
use toml::{Table, Value};

/// A value of the wrong kind: what was found, and what is wanted instead. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not {wanted}")]
pub struct Wrong {
    found: String,
    wanted: String,
}

impl Wrong {
    pub(crate) fn new(found: impl fmt::Display, wanted: impl fmt::Display) -> Self {
        Self {
            found: found.to_string(),
            wanted: wanted.to_string(),
        }
    }

    pub(crate) fn value(value: &Value, wanted: impl fmt::Display) -> Self {
        match value {
            Value::String(text) => Self::new(quote(text), wanted),
            other => Self::new(quote(&other.to_string()), wanted),
        }
    }
}

/// What came out of a file, or out of a variable or flag.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Raw<'a> {
    Value(&'a Value),
    Text(&'a str),
}

/// A type that a key of the configuration may have.
pub(crate) trait Setting: Sized {
    /// What the reference page calls it.
    fn kind() -> String;
    /// Reads a TOML value.
    fn from_value(value: &Value) -> Result<Self, Wrong>;
    /// Writes it as TOML; `None` when it is not set.
    fn to_value(&self) -> Option<Value>;
    /// Reads the text of a variable or a flag.
    fn from_text(text: &str) -> Result<Self, Wrong> {
        Self::from_value(&Value::String(text.to_owned()))
    }

    fn read(raw: Raw<'_>) -> Result<Self, Wrong> {
        match raw {
            Raw::Value(value) => Self::from_value(value),
            Raw::Text(text) => Self::from_text(text.trim()),
        }
    }
}

/// A number of bytes: `65536`, `"64KiB"`, `"1MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

impl ByteSize {
    const UNITS: [(&str, usize); 7] = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("B", 1),
    ];

    /// `n` times 1024 bytes.
    pub const fn kib(n: usize) -> Self {
        Self(n * 1024)
    }

    fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = split_unit(text);
        let unit = match unit {
            "" => 1,
            unit => {
                let known = |(name, _): &&(&str, usize)| name.eq_ignore_ascii_case(unit);
                Self::UNITS.iter().find(known)?.1
            }
        };
        digits.parse::<usize>().ok()?.checked_mul(unit).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = &Self::UNITS[..3];
        match binary
            .iter()
            .find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Setting for ByteSize {
    fn kind() -> String {
        "size".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let size = match value {
            Value::Integer(bytes) => usize::try_from(*bytes).ok().map(Self),
            Value::String(text) => Self::parse(text),
            _ => None,
        };
        size.ok_or_else(|| {
            Wrong::value(
                value,
                r#"a size: write bytes (65536) or a unit ("64KiB", "1MiB")"#,
            )
        })
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

/// No setting of time is longer, so that adding one to a clock never overflows: ten years.
const DURATION_MAX: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Setting for Duration {
    fn kind() -> String {
        "duration".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let duration = match value {
            Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Self::from_secs),
            Value::Float(seconds) => Self::try_from_secs_f64(*seconds).ok(),
            Value::String(text) => duration_of(text),
            _ => None,
        };
        duration.filter(|duration| *duration <= DURATION_MAX).ok_or_else(|| {
            Wrong::value(
                value,
                r#"a duration of at most 3650d: write seconds (30) or a unit ("500ms", "30s", "5m", "24h")"#,
            )
        })
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::String(write_duration(*self)))
    }
}

/// Reads a duration as the configuration has it: `500ms`, `30s`, `5m`, `24h`, `7d`; a number alone is seconds.
///
/// # Errors
/// [`Wrong`], for another text and for more than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, Wrong> {
    Setting::from_text(text)
}

fn duration_of(text: &str) -> Option<Duration> {
    let (digits, unit) = split_unit(text);
    let unit = match unit {
        "" => "s",
        unit => unit,
    };
    let (_, ms) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(*ms)
        .map(Duration::from_millis)
}

fn write_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    // Days are left out: "24h" reads better than "1d".
    let whole = |(_, unit): &&(&str, u64)| ms > 0 && ms.is_multiple_of(u128::from(*unit));
    match DURATION_UNITS[1..].iter().find(whole) {
        Some((name, unit)) => format!("{}{name}", ms / u128::from(*unit)),
        None => "0s".to_owned(),
    }
}

fn split_unit(text: &str) -> (String, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    (text[..end].replace('_', ""), text[end..].trim())
}

impl Setting for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        value
            .as_bool()
            .ok_or_else(|| Wrong::value(value, "true or false, without quotes"))
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse()
            .map_err(|_| Wrong::new(quote(text), "true or false"))
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }
}

macro_rules! number_settings {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn kind() -> String {
                "number".to_owned()
            }

            fn from_value(value: &Value) -> Result<Self, Wrong> {
                let number = value.as_integer().and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| Wrong::value(value, format!("a whole number from 0 to {}", Self::MAX)))
            }

            fn from_text(text: &str) -> Result<Self, Wrong> {
                let wrong = |_| Wrong::new(quote(text), format!("a whole number from 0 to {}", Self::MAX));
                text.replace('_', "").parse().map_err(wrong)
            }

            fn to_value(&self) -> Option<Value> {
                i64::try_from(*self).ok().map(Value::Integer)
            }
        }
    )*};
}

number_settings!(u32, usize);

macro_rules! text_settings {
    ($($type:ty, $kind:literal, $wanted:literal, $parse:expr, $write:expr;)*) => {$(
        impl Setting for $type {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn from_value(value: &Value) -> Result<Self, Wrong> {
                let parse: fn(&str) -> Option<Self> = $parse;
                value.as_str().and_then(parse).ok_or_else(|| Wrong::value(value, $wanted))
            }

            fn to_value(&self) -> Option<Value> {
                let write: fn(&Self) -> String = $write;
                Some(Value::String(write(self)))
            }
        }
    )*};
}
pub(crate) use text_settings;

text_settings! {
    String, "text", "a text in quotes", |text| Some(text.to_owned()), |text| text.clone();
    PathBuf, "path", "the path of a file or folder, in quotes", |text| (!text.is_empty()).then(|| text.into()),
        |path| path.display().to_string();
    SocketAddr, "address", r#"an address and port such as "127.0.0.1:8080" or "[::1]:8080" (names are not looked up)"#,
        |text| text.parse().ok(), ToString::to_string;
    Pattern, "pattern", r#"a pattern of names such as "chat:*" or "*""#, |text| Some(Self::new(text)), |pattern| pattern.as_str().to_owned();
    Namespace, "namespace", r#"a namespace: it starts with a slash, as "/" and "/chat" do"#, |text| Self::parse(text).ok(),
        ToString::to_string;
}

impl<T: Setting> Setting for Option<T> {
    fn kind() -> String {
        T::kind()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        T::from_value(value).map(Some)
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Ok(None);
        }
        T::from_text(text).map(Some)
    }

    fn to_value(&self) -> Option<Value> {
        self.as_ref()?.to_value()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn kind() -> String {
        format!("list of {}", T::kind())
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Array(items) => items.iter().map(T::from_value).collect(),
            Value::String(_) => T::from_value(value).map(|item| vec![item]),
            // Not shown: it may be a secret.
            _ => Err(Wrong::new("what is written", "a list in brackets")),
        }
    }

    /// Items with commas between, or a TOML array.
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if !text.starts_with('[') {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty());
            return items.map(T::from_text).collect();
        }
        // The text itself stays out of the message: it may hold secrets.
        let wrong = |_| {
            Wrong::new(
                "the text in brackets",
                "a TOML array; a list may also be written with commas alone",
            )
        };
        let value = format!("value = {text}").parse::<Table>().map_err(wrong)?;
        Self::from_value(&value["value"])
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Array(
            self.iter().filter_map(Setting::to_value).collect(),
        ))
    }
}

impl Setting for RoomGrant {
    fn kind() -> String {
        "table {rooms, allow}".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        Self::deserialize(value.clone()).map_err(|error| {
            let wanted = r#"a grant such as { rooms = "chat:*", allow = ["join", "publish", "presence", "history", "typing"] }"#;
            Wrong::value(value, format!("{wanted}: {}", error.message()))
        })
    }

    fn to_value(&self) -> Option<Value> {
        let every = [
            Right::Join,
            Right::Publish,
            Right::Presence,
            Right::History,
            Right::Typing,
        ];
        let allow = every.into_iter().filter(|&right| self.allow.has(right));
        let words = allow.map(|right| Value::String(right.as_str().to_owned()));
        Some(Value::Table(Table::from_iter([
            ("rooms".to_owned(), self.rooms.to_value()?),
            ("allow".to_owned(), Value::Array(words.collect())),
        ])))
    }
}

#[cfg(test)]
mod tests;
