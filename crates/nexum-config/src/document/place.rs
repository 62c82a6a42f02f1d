//! Somewhere in a document.

use std::fmt;
use std::sync::Arc;

use super::tree::{Node, Span, Value};
use super::{ConfigError, Origin, show};

/// Somewhere in a file, for an error that is found later.
#[derive(Clone)]
pub struct Place {
    origin: Arc<Origin>,
    key: String,
    span: Span,
    /// What an error shows of the value, if that is in one piece.
    value: Option<String>,
}

impl Place {
    /// The place of a table.
    pub(super) fn of_table(origin: &Arc<Origin>, key: String, span: &Span) -> Self {
        Self {
            origin: origin.clone(),
            key,
            span: span.clone(),
            value: None,
        }
    }

    /// The place of `node`, which has the full path `key`; `name` is the last named key in that.
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

    /// The place of a key with the full path `key` that should be in the table here.
    pub(super) fn missing(self, key: String) -> Self {
        Self {
            key,
            value: None,
            ..self
        }
    }

    /// The full path of the key, as `capabilities.required[0]`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// An error about this place and the value there.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        let error = self.origin.error(self.span.clone(), self.key.clone(), message.into());
        error.with_value(self.value.clone())
    }

    /// `text`, which is the string here, with its references replaced.
    pub(super) fn interpolated(&self, text: &str) -> Result<String, ConfigError> {
        match self.origin.environment.interpolate(text) {
            Ok(interpolated) => Ok(interpolated.text.into_owned()),
            Err(error) => Err(self.error(error.to_string()).with_hint_of(&error)),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.origin.error(self.span.clone(), String::new(), String::new());
        let (line, column) = (at.line().unwrap_or(0), at.column().unwrap_or(0));
        write!(f, "{}:{line}:{column} {}", self.origin.path.display(), self.key)
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}
