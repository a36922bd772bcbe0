//! The values of fields: parsed as everywhere, and described for the document.

use std::borrow::Cow;
use std::ops::Deref;

use nuncio_model::{
    Epoch, EventName, IdempotencyKey, Json, MessageId, Namespace, RoomName, SocketId, UserId,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

macro_rules! values {
    ($($(#[doc = $doc:literal])* $name:ident($inner:ty), $shown:literal, { $($schema:tt)* };)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(super) struct $name(pub(super) $inner);

        impl Deref for $name {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $shown.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": concat!($($doc),*).trim(),
                    $($schema)*
                })
            }
        }
    )*};
}

values! {
    /// A room: 1 to 255 bytes of UTF-8 without control characters; those that begin with `nuncio:` are reserved.
    Room(RoomName), "RoomId", { "minLength": 1, "maxLength": 255, "pattern": r"^(?!nuncio:)[^\u0000-\u001f\u007f-\u009f]+$", "examples": ["lobby"] };
    /// A user, as the `sub` of its tokens: 1 to 255 bytes without control characters.
    User(UserId), "UserId", { "minLength": 1, "maxLength": 255, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$", "examples": ["ann"] };
    /// A session: 20 characters of base64url.
    Session(SocketId), "SessionId", { "pattern": "^[A-Za-z0-9_-]{20}$", "examples": ["wq0c9cXH0dJ5cqkeXWzM"] };
    /// A namespace. `/` unless said otherwise.
    Ns(Namespace), "Namespace", { "minLength": 1, "maxLength": 255, "pattern": r"^/[^\u0000-\u001f\u007f-\u009f]*$", "examples": ["/"] };
    /// The name of an event: 1 to 255 bytes without control characters.
    Event(EventName), "EventName", { "minLength": 1, "maxLength": 255, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$", "examples": ["order"] };
    /// Names one intention: a repeat with the same key gets the first one's answer. 1 to 64 bytes without control characters.
    Intention(IdempotencyKey), "IdempotencyKey", { "minLength": 1, "maxLength": 64, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$" };
    /// Names one life of a room's numbering: compare it with `===`.
    EpochId(Epoch), "Epoch", { "examples": ["q83vASNFZ4k"] };
    /// A message: 26 characters, unique in the cluster, sorted by time.
    Message(MessageId), "MessageId", { "examples": ["01K9ZC6Q5F7V2Q8E6J3D4M5N0P"] };
}

/// Any JSON, passed on byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnyJson(pub(super) Json);

impl<'de> Deserialize<'de> for AnyJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Json::from(&*raw)))
    }
}

impl JsonSchema for AnyJson {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyJson".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Any JSON, passed on byte for byte." })
    }
}

/// A field in which `null` is a value, and no way of leaving it out.
pub(super) fn written<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<AnyJson>, D::Error> {
    AnyJson::deserialize(deserializer).map(Some)
}

/// A list that holds something.
pub(super) fn is_given<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// The namespace that is meant.
pub(super) fn namespace(ns: Option<Ns>) -> Namespace {
    ns.map_or_else(Namespace::default, |ns| ns.0)
}
