//! A secret that tokens are signed with.

use std::fmt;

use toml::Value;

use super::setting::{Setting, Wrong};

/// A secret for signing tokens: the bytes of its text, as written. `Debug` and every message hide it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Fewest bytes accepted: as many as HS256 puts out (RFC 7518 §3.2).
    pub const BYTES_MIN: usize = 32;

    /// The one in the documentation's example, which everybody knows: it is refused.
    pub const EXAMPLE: &'static str = "put the output of 'openssl rand -base64 32' here";

    /// What is shown in its place.
    pub const MASK: &'static str = "(hidden)";

    /// Takes the text as the secret. Its length is checked with the whole configuration.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the signature only.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Setting for Secret {
    fn kind() -> String {
        "secret".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or_else(|| {
            Wrong::new("what is written (hidden)", "a secret: write it in quotes")
        })?;
        Ok(Self::new(text))
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::String(Self::MASK.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_writing_a_secret_shows_it() {
        let secret = Secret::new("hunter2");

        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(!secret.to_value().unwrap().to_string().contains("hunter2"));
        let wrong = Secret::from_value(&Value::Integer(4711)).unwrap_err();
        assert!(!wrong.to_string().contains("4711"), "{wrong}");
    }
}
