//! Reads the module's configuration into a type of the author.
//!
//! The contract gives keys with values as text. Each value is parsed as its field requires:
//! numbers, booleans, `Option`, enums without fields, and all types that read themselves from text,
//! such as `Address` and `U256`. A list is text with commas, or an array. Arrays and tables are
//! TOML, as nexum passes them, or JSON.

mod value;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::{Error, ErrorKind, Result};
use value::Value;

/// Reads the configuration.
///
/// ```
/// #[derive(Debug, PartialEq, serde::Deserialize)]
/// struct Settings {
///     count: u8,
///     #[serde(default)]
///     verbose: bool,
/// }
///
/// let pairs = [("count".to_owned(), "x".to_owned())];
/// let error = nexum_sdk::config::read::<Settings>(&pairs).unwrap_err();
/// assert_eq!(error.message(), "config: count: \"x\" is not a u8");
/// ```
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] with the key: a missing key, an unknown key, or a value that does
/// not fit.
pub fn read<T: DeserializeOwned>(config: &[(String, String)]) -> Result<T> {
    let texts = config
        .iter()
        .map(|(_, text)| match text.trim_start().starts_with(['[', '{']) {
            true => value::json(text),
            false => String::new(),
        });
    let texts: Vec<_> = texts.collect();
    let pairs = config.iter().zip(&texts);
    let pairs: Vec<_> = pairs.map(|((key, text), json)| Value { key, text, json }).collect();
    T::deserialize(Pairs(&pairs))
        .map_err(|Fault(message)| Error::new(ErrorKind::InvalidInput, format!("config: {message}")))
}

/// Refuses all keys, for a module without settings.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] with the first key.
pub fn refuse(config: &[(String, String)]) -> Result {
    match config.first() {
        None => Ok(()),
        Some((key, _)) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("config: {key} is unknown; the module has no settings"),
        )),
    }
}

/// The description of a fault.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("{field} is missing"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("{variant:?} is none of {}", expected.join(", ")))
    }
}

struct Pairs<'de>(&'de [Value<'de>]);

impl<'de> Pairs<'de> {
    fn refuse_unknown(&self, known: &[&str]) -> Result<(), Fault> {
        let mut keys = self.0.iter().map(|value| value.key);
        match keys.find(|key| !known.contains(key)) {
            None => Ok(()),
            Some(key) => Err(Fault(format!("{key} is unknown; known are {}", known.join(", ")))),
        }
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let entries = self.0.iter().map(|value| (value.key, *value));
        visitor.visit_map(MapDeserializer::new(entries))
    }
}

impl<'de> serde::Deserializer<'de> for Pairs<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.refuse_unknown(fields)?;
        self.visit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
