//! What events carry: a list of arguments, as one Rust value.
//!
//! A tuple is several arguments, `()` none, anything else one. On the wire an array is the list, and any other value the one argument
//! (`protocol.md`, "Events").

use std::fmt;

use bytes::Bytes;
use nuncio_model::Json;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde::ser::Impossible;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::binary;

/// Arguments as they travel.
#[derive(Debug, Clone)]
pub(super) struct Args {
    pub(super) data: Json,
    pub(super) attachments: Box<[Bytes]>,
}

impl Args {
    pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        let (text, attachments) = binary::writing(|| serde_json::to_string(value));
        let text = match (Shape::of(value), text?) {
            (Shape::None, _) => "[]".to_owned(),
            (Shape::One, list) if list.starts_with('[') => format!("[{list}]"),
            (Shape::One | Shape::Several, text) => text,
        };
        let data = Json::from_checked(text.into());
        Ok(Self { data, attachments })
    }

    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let list = self.list()?;
        binary::reading(&self.attachments, || T::deserialize(List(&list)))
    }

    /// Each argument as it was written.
    pub(super) fn list(&self) -> Result<Vec<&RawValue>, serde_json::Error> {
        let text = self.data.as_str().trim_start();
        if text.starts_with('[') {
            serde_json::from_str(text)
        } else {
            Ok(vec![serde_json::from_str(text)?])
        }
    }
}

/// How many arguments a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    None,
    One,
    Several,
}

impl Shape {
    fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        value.serialize(Probe).err().unwrap_or(Self::One)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Shape {}

impl serde::ser::Error for Shape {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::One
    }
}

/// Looks at what a value begins as, and gives that back as its error: nothing is written.
struct Probe;

macro_rules! one {
    ($($method:ident($($argument:ty),*);)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<(), Shape> {
            Err(Shape::One)
        }
    )*};
}

macro_rules! begins {
    ($($method:ident($($argument:ty),*) as $compound:ident is $shape:ident;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<Self::$compound, Shape> {
            Err(Shape::$shape)
        }
    )*};
}

impl Serializer for Probe {
    type Ok = ();
    type Error = Shape;
    type SerializeSeq = Impossible<(), Shape>;
    type SerializeTuple = Impossible<(), Shape>;
    type SerializeTupleStruct = Impossible<(), Shape>;
    type SerializeTupleVariant = Impossible<(), Shape>;
    type SerializeMap = Impossible<(), Shape>;
    type SerializeStruct = Impossible<(), Shape>;
    type SerializeStructVariant = Impossible<(), Shape>;

    one! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    begins! {
        serialize_seq(Option<usize>) as SerializeSeq is One;
        serialize_tuple(usize) as SerializeTuple is Several;
        serialize_tuple_struct(&'static str, usize) as SerializeTupleStruct is One;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) as SerializeTupleVariant is One;
        serialize_map(Option<usize>) as SerializeMap is One;
        serialize_struct(&'static str, usize) as SerializeStruct is One;
        serialize_struct_variant(&'static str, u32, &'static str, usize) as SerializeStructVariant is One;
    }

    fn serialize_unit(self) -> Result<(), Shape> {
        Err(Shape::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Shape> {
        Err(Shape::One)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), Shape> {
        Err(Shape::One)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Shape> {
        Err(Shape::One)
    }
}

/// Reads a tuple from several arguments and anything else from the first. Missing ones are `null`, as they would be `undefined` to a handler of the
/// reference; more than are wanted are passed over.
struct List<'a>(&'a [&'a RawValue]);

impl<'a> List<'a> {
    fn argument(&self, index: usize) -> serde_json::Deserializer<serde_json::de::StrRead<'a>> {
        let text = self.0.get(index).map_or("null", |argument| argument.get());
        serde_json::Deserializer::from_str(text)
    }
}

macro_rules! of_the_first {
    ($($method:ident($($name:ident: $argument:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $argument,)* visitor: V) -> Result<V::Value, Self::Error> {
            self.argument(0).$method($($name,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for List<'de> {
    type Error = serde_json::Error;

    of_the_first! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let next = 0;
        visitor.visit_seq(Walk {
            list: self,
            next,
            len,
        })
    }
}

struct Walk<'a> {
    list: List<'a>,
    next: usize,
    len: usize,
}

impl<'de> SeqAccess<'de> for Walk<'de> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        if self.next == self.len {
            return Ok(None);
        }
        let mut argument = self.list.argument(self.next);
        self.next += 1;
        seed.deserialize(&mut argument).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::io::Binary;

    #[test]
    fn a_tuple_is_several_arguments_and_anything_else_one() {
        let text = |args: Result<Args, serde_json::Error>| args.unwrap().data.as_str().to_owned();

        assert_eq!(text(Args::encode(&())), "[]");
        assert_eq!(text(Args::encode(&("a", 1))), r#"["a",1]"#);
        assert_eq!(text(Args::encode("a")), r#""a""#);
        assert_eq!(text(Args::encode(&vec![1, 2])), "[[1,2]]");
        assert_eq!(text(Args::encode(&json!({"a": 1}))), r#"{"a":1}"#);
        assert_eq!(text(Args::encode(&json!([1]))), "[[1]]");
        assert_eq!(text(Args::encode(&None::<u8>)), "null");
    }

    #[test]
    fn arguments_are_read_as_what_they_are_to_be() {
        assert_eq!(args("[1,\"a\"]").decode::<(u8, String)>().unwrap().1, "a");
        assert_eq!(args("[1,2,3]").decode::<(u8, u8)>().unwrap(), (1, 2));
        assert_eq!(args("[1]").decode::<(u8, Option<u8>)>().unwrap(), (1, None));
        assert_eq!(args("[[1,2]]").decode::<Vec<u8>>().unwrap(), [1, 2]);
        assert_eq!(args("7").decode::<u8>().unwrap(), 7);
        assert_eq!(args("{\"a\":1}").decode::<Value>().unwrap()["a"], 1);
        args("[]").decode::<()>().unwrap();
        assert!(args("[]").decode::<String>().is_err());
        assert!(args("\"a\"").decode::<u8>().is_err());
    }

    #[test]
    fn binary_data_travels_beside_the_text_and_is_found_in_its_place() {
        let args = Args::encode(&(json!({"n": 1}), Binary::from(vec![0, 255]))).unwrap();

        assert_eq!(
            args.data.as_str(),
            r#"[{"n":1},{"_placeholder":true,"num":0}]"#
        );
        let (_, binary) = args.decode::<(Value, Binary)>().unwrap();
        assert_eq!(binary.as_ref(), [0, 255]);
        assert!(serde_json::to_string(&binary).is_err(), "only in events");
    }

    fn args(text: &str) -> Args {
        Args {
            data: Json::parse(text).unwrap(),
            attachments: Box::default(),
        }
    }
}
