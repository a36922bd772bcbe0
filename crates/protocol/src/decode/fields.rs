//! The fields of one JSON object, found but not yet read.

use std::fmt;

use nuncio_model::Json;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::field::Wrong;

/// The known fields of an object as slices of its text. Of a repeated key the last one counts, as in JavaScript; unknown keys are skipped.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>([Option<&'a RawValue>; Key::COUNT]);

impl<'a> Fields<'a> {
    /// The field as it was written, `null` included.
    pub(crate) fn raw(&self, key: Key) -> Option<&'a RawValue> {
        self.0[key as usize]
    }

    /// Whether the field is there and is not `null`.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.present(key).is_some()
    }

    /// Reads a field that may be left out; `null` counts as left out.
    pub(crate) fn optional<T>(
        &self,
        key: Key,
        read: impl FnOnce(&'a RawValue) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        self.present(key)
            .map(|raw| read(raw).map_err(|wrong| wrong.inside(key)))
            .transpose()
    }

    /// Reads a field that must be there. When it is not, what is wanted is what `read` asks for instead of `null`.
    pub(crate) fn required<T>(
        &self,
        key: Key,
        read: impl FnOnce(&'a RawValue) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        match self.raw(key) {
            Some(raw) => read(raw).map_err(|wrong| wrong.inside(key)),
            None => read(RawValue::NULL).map_err(|wrong| wrong.missing().inside(key)),
        }
    }

    /// A field that may be any JSON, `null` included, and must be there.
    pub(crate) fn any(&self, key: Key) -> Result<Json, Wrong> {
        let raw = self.raw(key);
        raw.map(Json::from)
            .ok_or_else(|| Wrong::absent("any JSON").inside(key))
    }

    /// A field that may be any JSON, and is `null` when it is left out.
    pub(crate) fn any_or_null(&self, key: Key) -> Json {
        self.raw(key).map_or_else(Json::null, Json::from)
    }

    fn present(&self, key: Key) -> Option<&'a RawValue> {
        self.raw(key).filter(|raw| raw.get() != "null")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
        let mut fields = Fields::default();
        while let Some(Known(key)) = map.next_key()? {
            match key {
                Some(key) => fields.0[key as usize] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// A key of an object, if it is one of ours.
struct Known(Option<Key>);

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KnownVisitor)
    }
}

struct KnownVisitor;

impl Visitor<'_> for KnownVisitor {
    type Value = Known;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Known, E> {
        Ok(Known(Key::find(text)))
    }
}

macro_rules! keys {
    ($($key:ident $name:literal,)*) => {
        /// A field that some message of a client has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Key { $(#[doc = $name] $key),* }

        impl Key {
            const COUNT: usize = [$(Self::$key),*].len();

            /// The field's name on the wire.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }

            fn find(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$key),)* _ => None }
            }
        }
    };
}

keys! {
    Type "type",
    Id "id",
    Ack "ack",
    Event "event",
    Data "data",
    RoomId "roomId",
    Rooms "rooms",
    Since "since",
    Epoch "epoch",
    Seq "seq",
    History "history",
    Content "content",
    Idempotency "idempotencyKey",
    To "to",
    Token "token",
    Resume "resume",
    Before "before",
    After "after",
    Limit "limit",
}
