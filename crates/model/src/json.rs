//! JSON text that is passed through without being taken apart.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as text, known to be valid: sent on as it came, never re-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

/// Why a text was refused as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("invalid JSON: {0}")]
    Invalid(#[from] serde_json::Error),
    /// Valid, but nested deeper than allowed, which would burden every receiver's parser.
    #[error("JSON nested {depth} deep, at most {max} is allowed")]
    TooDeep {
        /// How deep it is nested.
        depth: usize,
        /// The bound.
        max: usize,
    },
}

impl Json {
    /// Deepest nesting of arrays and objects that is accepted from a client.
    pub const DEPTH_MAX: usize = 32;

    /// Checks a text and keeps a copy of it.
    ///
    /// # Errors
    /// [`JsonError::Invalid`] when it is not one JSON value, [`JsonError::TooDeep`] when it is nested more than [`DEPTH_MAX`](Self::DEPTH_MAX) deep.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Self::check_depth(text)?;
        Ok(Self::from(raw))
    }

    /// Serializes a value of ours.
    ///
    /// # Panics
    /// When the value has a map with keys that are not text, which is a mistake in the calling code.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(
            serde_json::to_vec(value)
                .expect("only maps with text keys are serialized")
                .into(),
        )
    }

    /// The JSON `null`.
    pub const fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// Takes bytes that are known to be one valid JSON value: read back from the store, or cut out of a text that was checked whole.
    pub const fn from_checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("JSON was checked when it came in")
    }

    /// The text as shared bytes.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Refuses a text nested deeper than [`DEPTH_MAX`](Self::DEPTH_MAX). Brackets inside strings do not count. One pass, no allocation.
    ///
    /// # Errors
    /// [`JsonError::TooDeep`].
    pub fn check_depth(text: &str) -> Result<(), JsonError> {
        let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if deepest > Self::DEPTH_MAX {
            return Err(JsonError::TooDeep {
                depth: deepest,
                max: Self::DEPTH_MAX,
            });
        }
        Ok(())
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(Bytes::copy_from_slice(raw.get().as_bytes()))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_str(self.as_str()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_passes_through_as_it_was_written() {
        let json = Json::parse(r#"{"a": 1.50, "b":[true]}"#).unwrap();

        assert_eq!(json.as_str(), r#"{"a": 1.50, "b":[true]}"#);
    }

    #[test]
    fn nesting_of_32_is_accepted_and_33_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));

        assert!(Json::parse(&nested(32)).is_ok());
        assert!(matches!(
            Json::parse(&nested(33)),
            Err(JsonError::TooDeep { depth: 33, max: 32 })
        ));
    }

    #[test]
    fn brackets_inside_strings_do_not_count_as_nesting() {
        let text = format!(r#""{}\"{}""#, "[".repeat(50), "{".repeat(50));

        assert!(Json::parse(&text).is_ok());
    }
}
