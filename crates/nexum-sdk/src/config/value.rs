//! One value of the configuration.

use std::str::FromStr;

use serde::de::value::SeqDeserializer;
use serde::de::{IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::Fault;
use crate::Result;

/// The text of a value, with its key for errors.
#[derive(Clone, Copy)]
pub(super) struct Value<'de> {
    pub(super) key: &'de str,
    pub(super) text: &'de str,
}

impl<'de> Value<'de> {
    fn parse<T: FromStr>(self) -> Result<T, Fault> {
        let text = self.text.trim();
        text.parse().map_err(|_| {
            Fault(format!(
                "{}: {text:?} is not a {}",
                self.key,
                std::any::type_name::<T>()
            ))
        })
    }

    /// Puts the key in front of an error.
    fn named<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        let prefix = format!("{}: ", self.key);
        result.map_err(|Fault(message)| match message.starts_with(&prefix) {
            true => Fault(message),
            false => Fault(prefix + &message),
        })
    }

    fn json<T>(
        self,
        read: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'de>>) -> serde_json::Result<T>,
    ) -> Result<T, Fault> {
        let mut json = serde_json::Deserializer::from_str(self.text);
        let value = read(&mut json).and_then(|value| json.end().map(|()| value));
        value.map_err(|error| Fault(format!("{}: {error}", self.key)))
    }

    /// The items of a text with commas. An empty text has none.
    fn items(self) -> impl Iterator<Item = Self> {
        let items = self.text.split(',').map(str::trim);
        let is_empty = self.text.trim().is_empty();
        items
            .filter(move |_| !is_empty)
            .map(move |text| Value { key: self.key, text })
    }

    fn is_json_array(self) -> bool {
        self.text.trim_start().starts_with('[')
    }
}

/// Methods that parse the text as a number or another simple type.
macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.named(visitor.$visit(self.parse()?))
        })*
    };
}

impl<'de> serde::Deserializer<'de> for Value<'de> {
    type Error = Fault;

    parsed! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
        deserialize_char visit_char
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.named(visitor.visit_borrowed_str(self.text.trim()))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.named(visitor.visit_borrowed_str(self.text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.named(visitor.visit_enum(self.text.trim().into_deserializer()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.is_json_array() {
            true => self.json(|json| json.deserialize_seq(visitor)),
            false => self.named(visitor.visit_seq(SeqDeserializer::new(self.items()))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.is_json_array() {
            true => self.json(|json| json.deserialize_tuple(len, visitor)),
            false => self.named(visitor.visit_seq(SeqDeserializer::new(self.items()))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.json(|json| json.deserialize_map(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.json(|json| json.deserialize_struct(name, fields, visitor))
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}
