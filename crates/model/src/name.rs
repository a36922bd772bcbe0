//! Names: text that was parsed once and is valid ever after.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quote;

/// Why a text is not a valid name. The message quotes the text, shortened and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("{kind} is empty")]
    Empty {
        /// What was parsed.
        kind: &'static str,
    },
    /// More bytes than allowed.
    #[error("{kind} of {len} bytes, at most {max} are allowed")]
    TooLong {
        /// What was parsed.
        kind: &'static str,
        /// Its length in bytes of UTF-8.
        len: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// A control character, which could break logs and terminals.
    #[error("{kind} {} contains a control character", quote(.text))]
    Control {
        /// What was parsed.
        kind: &'static str,
        /// What was written.
        text: String,
    },
    /// The name belongs to the server.
    #[error("{kind} {} is reserved", quote(.text))]
    Reserved {
        /// What was parsed.
        kind: &'static str,
        /// What was written.
        text: String,
    },
    /// A namespace that does not start with a slash.
    #[error("{kind} {} must start with /", quote(.text))]
    NoSlash {
        /// What was parsed.
        kind: &'static str,
        /// What was written.
        text: String,
    },
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, max $max:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the name.
            ///
            /// # Errors
            /// [`NameError`] names the rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check($kind, text, $max)?;
                let reserved: fn(&str) -> Option<NameError> = $check;
                reserved(text).map_or_else(|| Ok(Self(text.into())), Err)
            }

            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// A room of a namespace: 1 to 255 bytes of UTF-8 without control characters; the prefix `nuncio:` is the server's.
    RoomName, "room id", max 255, |text| {
        text.starts_with("nuncio:").then(|| NameError::Reserved { kind: "room id", text: text.into() })
    };
    /// A user, as the token's `sub` names it: 1 to 255 bytes without control characters.
    UserId, "user id", max 255, |_| None;
    /// A namespace: `/`, `/chat`; rooms and sockets belong to one.
    Namespace, "namespace", max 255, |text| {
        (!text.starts_with('/')).then(|| NameError::NoSlash { kind: "namespace", text: text.into() })
    };
    /// The name of an application's event: 1 to 255 bytes without control characters.
    EventName, "event name", max 255, |_| None;
    /// Names one intention of a user to publish, however often it is sent: 1 to 64 bytes.
    IdempotencyKey, "idempotencyKey", max 64, |_| None;
}

impl Default for Namespace {
    /// The main namespace, `/`. Shared, because nearly every client is in it.
    fn default() -> Self {
        static MAIN: LazyLock<Namespace> = LazyLock::new(|| Namespace("/".into()));
        MAIN.clone()
    }
}

fn check(kind: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > max {
        return Err(NameError::TooLong {
            kind,
            len: text.len(),
            max,
        });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control {
            kind,
            text: text.into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_id_is_1_to_255_bytes() {
        assert!(RoomName::parse("").is_err());
        assert!(RoomName::parse(&"é".repeat(127)).is_ok());
        assert_eq!(
            RoomName::parse(&"é".repeat(128)),
            Err(NameError::TooLong {
                kind: "room id",
                len: 256,
                max: 255
            })
        );
    }

    #[test]
    fn a_room_id_has_no_control_characters_and_no_reserved_prefix() {
        assert!(matches!(
            RoomName::parse("a\u{1b}[2J"),
            Err(NameError::Control { .. })
        ));
        assert!(matches!(
            RoomName::parse("nuncio:x"),
            Err(NameError::Reserved { .. })
        ));
        assert!(RoomName::parse("<img onerror>").is_ok(), "markup is data");
    }

    #[test]
    fn a_namespace_starts_with_a_slash() {
        assert!(matches!(
            Namespace::parse("chat"),
            Err(NameError::NoSlash { .. })
        ));
        assert_eq!(Namespace::default().as_str(), "/");
    }
}
