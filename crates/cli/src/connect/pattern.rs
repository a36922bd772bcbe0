//! What a script expects of a message.

use regex_lite::Regex;
use serde_json::Value;

/// What a message must have.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// This text, anywhere.
    Text(String),
    /// A match, anywhere.
    Regex(Regex),
    /// All that this has: an object may have more fields, an array has exactly as many elements.
    Json(Value),
}

impl Pattern {
    /// `/…/` is a regular expression, an object or an array is JSON, anything else a text.
    ///
    /// # Errors
    /// What is wrong with the regular expression.
    pub(super) fn parse(text: &str) -> Result<Self, regex_lite::Error> {
        let inner = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'));
        if let Some(regex) = inner.filter(|inner| !inner.is_empty()) {
            return Ok(Self::Regex(Regex::new(regex)?));
        }
        match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(Self::Json(value)),
            Ok(_) | Err(_) => Ok(Self::Text(text.to_owned())),
        }
    }

    /// Whether a message has it.
    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text),
            Self::Regex(regex) => regex.is_match(message),
            Self::Json(wanted) => {
                serde_json::from_str(message).is_ok_and(|value| has(&value, wanted))
            }
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
            Self::Json(value) => value.fmt(f),
        }
    }
}

fn has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| value.get(key).is_some_and(|value| has(value, wanted))),
        (Value::Array(value), Value::Array(wanted)) => {
            value.len() == wanted.len()
                && value
                    .iter()
                    .zip(wanted)
                    .all(|(value, wanted)| has(value, wanted))
        }
        (value, wanted) => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_may_have_more_and_an_array_may_not() {
        let pattern = Pattern::parse(r#"{"type":"chat", "user": {"id": 7}, "tags": [1]}"#).unwrap();

        assert!(pattern.matches(r#"{"user":{"name":"x","id":7},"tags":[1],"type":"chat","ts":1}"#));
        assert!(!pattern.matches(r#"{"user":{"id":7},"tags":[1,2],"type":"chat"}"#));
        assert!(!pattern.matches(r#"{"type":"chat"}"#));
        assert!(!pattern.matches("no JSON"));
    }

    #[test]
    fn slashes_make_a_regular_expression_and_anything_else_is_a_text() {
        assert!(Pattern::parse("/^a+$/").unwrap().matches("aaa"));
        assert!(!Pattern::parse("/^a+$/").unwrap().matches("aab"));
        assert!(Pattern::parse("7").unwrap().matches("1 + 6 = 7"));
        assert!(Pattern::parse("/").unwrap().matches("a/b"));
        assert!(Pattern::parse("/(/").is_err());
    }
}
