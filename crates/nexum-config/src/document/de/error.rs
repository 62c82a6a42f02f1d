//! Errors of serde, from the point that finds them to the point that knows their position.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::super::key::KeyPath;
use super::super::tree::Span;
use super::super::{ConfigError, Origin, key};
use super::Address;
use crate::hint::Hint;

/// The shortest content of a variable that messages are searched for, in bytes. A shorter content
/// occurs in ordinary sentences, and is no secret.
const SECRET_BYTES_MIN: usize = 4;

/// An error of the deserializer. The innermost value that receives an unplaced error adds its
/// position.
#[derive(Debug)]
pub(super) enum Error {
    Unplaced(Box<Problem>),
    /// The value at this address is at fault. Without an error, the fault follows from the fault of
    /// a part of the value.
    Located(Option<Box<ConfigError>>, Address),
}

/// An error without a position.
#[derive(Debug, Default)]
pub(super) struct Problem {
    message: String,
    hint: Option<String>,
    nearest: Option<String>,
    /// The key that the error is about, if that is a key of the table instead of the value itself.
    child: Option<String>,
    /// A type's own `Deserialize` wrote `message` and `hint`, which may repeat the value.
    foreign: bool,
}

impl Problem {
    /// The key of the table that the problem is about, if it is not about the table itself.
    pub(super) fn child(&self) -> Option<&str> {
        self.child.as_deref()
    }

    /// Turns the problem into an error at this position. `value` is the value without secrets.
    pub(super) fn at(self, origin: &Origin, span: Span, key: &KeyPath<'_>, value: Option<String>) -> ConfigError {
        let (path, value) = match &self.child {
            Some(child) => (KeyPath::Key(key, child).text(), None),
            None => (key.text(), value),
        };
        let error = origin
            .error(span, path, self.message)
            .with_value(value)
            .with_nearest_found(self.nearest);
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Removes message and hint if they repeat an element of `taken`, the contents of variables.
    pub(super) fn without(self: Box<Self>, taken: &[String]) -> Box<Self> {
        let told = |content: &String| {
            content.len() >= SECRET_BYTES_MIN
                && (self.message.contains(content) || self.hint.as_ref().is_some_and(|hint| hint.contains(content)))
        };
        if self.foreign && taken.iter().any(told) {
            return Box::new(Self {
                message: "is not accepted".to_owned(),
                ..Self::default()
            });
        }
        self
    }

    /// Replaces `text` with `shown` wherever a foreign message or hint repeats it.
    pub(super) fn with_shown(mut self: Box<Self>, text: &str, shown: &str) -> Box<Self> {
        if self.foreign && text.len() >= SECRET_BYTES_MIN {
            self.message = self.message.replace(text, shown);
            self.hint = self.hint.map(|hint| hint.replace(text, shown));
        }
        self
    }

    /// The problem that `key` is not in `known`.
    pub(super) fn unknown_key(key: &str, known: &'static [&'static str]) -> Self {
        Self {
            message: "unknown key".to_owned(),
            nearest: key::nearest(key, known.iter().copied()).map(str::to_owned),
            hint: Some(match known {
                [] => "this table has no keys".to_owned(),
                known => format!("known keys: {}", known.join(", ")),
            }),
            child: Some(key.to_owned()),
            foreign: false,
        }
    }
}

impl Error {
    pub(super) fn with_hint_of(error: &impl Hint) -> Self {
        Problem {
            message: error.to_string(),
            hint: error.hint(),
            ..Problem::default()
        }
        .into()
    }

    fn of_child(child: &str, message: &str) -> Self {
        Problem {
            message: message.to_owned(),
            child: Some(child.to_owned()),
            ..Problem::default()
        }
        .into()
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Unplaced(Box::new(problem))
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Problem {
            message,
            hint,
            foreign: true,
            ..Problem::default()
        }
        .into()
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Problem {
            message: format!("expected {}", in_toml_terms(expected)),
            ..Problem::default()
        }
        .into()
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let message = format!("expected {}, found {length} elements", in_toml_terms(expected));
        Problem {
            message,
            ..Problem::default()
        }
        .into()
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let nearest = key::nearest(variant, expected.iter().copied()).map(str::to_owned);
        Problem {
            message: format!("expected {}", one_of(expected)),
            nearest,
            ..Problem::default()
        }
        .into()
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Problem::unknown_key(field, expected).into()
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of_child(field, "missing key")
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of_child(field, "duplicate key")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplaced(problem) => f.write_str(&problem.message),
            Self::Located(Some(error), _) => fmt::Display::fmt(error, f),
            Self::Located(None, _) => f.write_str("a part is at fault"),
        }
    }
}

impl std::error::Error for Error {}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [name] => format!("{name:?}"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("{name:?}")).collect();
            format!("{} or {last:?}", first.join(", "))
        }
    }
}

/// The expected value in TOML's terms instead of Rust's.
fn in_toml_terms(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    let range = |min: i128, max: u64| format!("a whole number from {min} to {max}");
    match expected.as_str() {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "usize" => range(0, u64::MAX),
        "i32" => range(i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        "i64" => range(i64::MIN.into(), i64::MAX.unsigned_abs()),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "path string" => "a path".to_owned(),
        name if name.starts_with("struct ") => "a table".to_owned(),
        _ => expected,
    }
}
