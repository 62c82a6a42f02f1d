//! Positions in a document.

use std::fmt;
use std::sync::Arc;

use super::tree::{Node, Span, Value};
use super::{ConfigError, Origin, show};

/// A position in a file, for an error that the caller finds later.
#[derive(Clone)]
pub struct Location {
    origin: Arc<Origin>,
    key: String,
    span: Span,
    /// The value as errors show it. `None` for a table or an array.
    value: Option<String>,
}

impl Location {
    /// The position of a table.
    pub(super) fn of_table(origin: &Arc<Origin>, key: String, span: &Span) -> Self {
        Self {
            origin: origin.clone(),
            key,
            span: span.clone(),
            value: None,
        }
    }

    /// The position of `node`, whose full path is `key`. The last named key of that path is `name`.
    pub(super) fn of_node(origin: &Arc<Origin>, key: String, name: &str, node: &Node) -> Self {
        let value = match node.value {
            Value::Array(_) | Value::Table(_) => None,
            _ => Some(show::value(origin, name, node)),
        };
        Self {
            value,
            ..Self::of_table(origin, key, &node.span)
        }
    }

    /// The position of a missing key with the full path `key`, which belongs into the table here.
    pub(super) fn missing(self, key: String) -> Self {
        Self {
            key,
            value: None,
            ..self
        }
    }

    /// The full path of the key, such as `capabilities.required[0]`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The line of this position, from 1. Counts the lines of the file up to here.
    pub fn line(&self) -> usize {
        let at = self.origin.error(self.span.clone(), String::new(), String::new());
        at.line().unwrap_or_default()
    }

    /// An error about this position and its value.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        let error = self.origin.error(self.span.clone(), self.key.clone(), message.into());
        error.with_value(self.value.clone())
    }

    /// Replaces the references in `text`, the string at this position.
    pub(super) fn interpolated(&self, text: &str) -> Result<String, ConfigError> {
        match self.origin.interpolate(text) {
            Ok(interpolated) => Ok(interpolated.text.into_owned()),
            Err(error) => Err(self.error(error.to_string()).with_hint_of(&error)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.origin.error(self.span.clone(), String::new(), String::new());
        let (line, column) = (at.line().unwrap_or(0), at.column().unwrap_or(0));
        write!(f, "{}:{line}:{column} {}", self.origin.path.display(), self.key)
    }
}

/// A value with its position.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The position of the value.
    pub location: Location,
}
