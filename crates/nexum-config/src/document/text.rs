//! Values that a document writes as strings.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Reads a string with `parse`, for a hand-written `Deserialize`. An error shows the string and its
/// position. `expecting` names the kind of value, such as `a URL`, for a value of another type.
///
/// # Errors
///
/// Fails if the value is not a string, or if `parse` fails.
pub fn deserialize_text<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    expecting: &'static str,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { expecting, parse })
}

struct Text<T, E> {
    expecting: &'static str,
    parse: fn(&str) -> Result<T, E>,
}

impl<T, E: fmt::Display> Visitor<'_> for Text<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<D: Error>(self, text: &str) -> Result<T, D> {
        (self.parse)(text).map_err(D::custom)
    }
}
