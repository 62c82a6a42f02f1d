//! One table of a document, and places in it.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::de::{Context, Deserializer};
use super::key::{KeyPath, join};
use super::show;
use super::tree::{Entry, Node, Span, Table, Value};
use super::{ConfigError, ERRORS_MAX, Origin};

/// One table of a document. It can be kept and parsed later, by whoever owns its keys; clones share the tree.
#[derive(Clone)]
pub struct Section {
    origin: Arc<Origin>,
    key: Arc<str>,
    span: Span,
    table: Arc<Table>,
}

impl Section {
    pub(super) fn new(origin: Arc<Origin>, key: Arc<str>, span: Span, table: Arc<Table>) -> Self {
        Self {
            origin,
            key,
            span,
            table,
        }
    }

    /// The file it stands in.
    pub fn file(&self) -> &Path {
        &self.origin.path
    }

    /// Its full path in the file, as `chains.1`; empty for the outermost table.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The keys in it, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.entries.iter().map(|entry| &*entry.key)
    }

    /// Reads it into `T`: a struct with named fields, whose own keys are all it may hold.
    ///
    /// `T` derives `Deserialize`. Enums may have unit variants only. A `Deserialize` of one's own may add a hint to its
    /// error in a second line that begins `hint: `; it should not repeat the value, which is shown anyway.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let mut errors = Vec::new();
        let parsed = self.parse_all(&mut errors);
        match (errors.into_iter().next(), parsed) {
            (Some(error), _) => Err(error),
            (None, Some(parsed)) => Ok(parsed),
            (None, None) => Err(self.error("", "cannot be read")),
        }
    }

    /// As [`Section::parse`], but adds to `errors` everything that it finds wrong. What it gives with unknown keys
    /// left out is good for finding further errors, and for nothing else.
    pub fn parse_all<T: DeserializeOwned>(&self, errors: &mut Vec<ConfigError>) -> Option<T> {
        let context = Context {
            origin: &self.origin,
            unknown: RefCell::new(Vec::new()),
        };
        let key = KeyPath::Section(&self.key);
        let parsed = T::deserialize(Deserializer::table(&context, &key, &self.span, &self.table));
        errors.append(&mut context.unknown.take());
        parsed
            .map_err(|error| errors.push(context.finish(error, &self.span, &key)))
            .ok()
    }

    /// An error about the value of `key`, which is a path of plain keys below this table, as `limits.instances`, or
    /// empty for the table itself. The value is shown, so `message` should say what is expected of it.
    pub fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.place(key).error(message)
    }

    /// The place of `key`, a path as for [`Section::error`]; if it is not there, that of the table it is missing in.
    pub fn place(&self, key: &str) -> Place {
        let mut place = Place {
            origin: self.origin.clone(),
            key: self.key.to_string(),
            span: self.span.clone(),
            value: None,
        };
        let mut table = Some(&self.table);
        for part in key.split('.').filter(|part| !part.is_empty()) {
            place.key = join(&place.key, part);
            let entry = table.and_then(|table| table.get(part));
            table = None;
            if let Some(entry) = entry {
                place.span = entry.node.span.clone();
                place.value = scalar(&self.origin, part, &entry.node);
                if let Value::Table(below) = &entry.node.value {
                    table = Some(below);
                }
            }
        }
        place
    }

    /// The table at `key`, if the key is there.
    ///
    /// # Errors
    /// When the value is no table.
    pub fn section(&self, key: &str) -> Result<Option<Section>, ConfigError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(entry) => self.below(&entry.key, &entry.node).map(Some),
        }
    }

    /// All entries, each of which has to be a table: its key and the table, or why it is none.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, Result<Section, ConfigError>)> {
        self.table
            .entries
            .iter()
            .map(|entry| (&*entry.key, self.below(&entry.key, &entry.node)))
    }

    /// The tables of the array at `key`, as made by `[[key]]`; none if the key is not there.
    ///
    /// # Errors
    /// When the value is not an array of tables.
    pub(crate) fn array_of_tables(&self, key: &str) -> Result<Vec<Section>, ConfigError> {
        let Some(entry) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let Value::Array(nodes) = &entry.node.value else {
            return Err(self
                .error(key, "expected an array of tables")
                .with_hint(format!("write [[{key}]]")));
        };
        let section = |(index, node): (usize, &Node)| match &node.value {
            Value::Table(table) => Ok(self.child(format!("{}[{index}]", join(&self.key, key)), node, table)),
            _ => Err(self
                .error(key, "expected an array of tables")
                .with_hint(format!("write [[{key}]]"))),
        };
        nodes.iter().enumerate().map(section).collect()
    }

    /// The string at `key`, with its place.
    ///
    /// # Errors
    /// When the key is missing or its value is not a string.
    pub(crate) fn string(&self, key: &str) -> Result<Placed<String>, ConfigError> {
        let place = self.place(key);
        match self.table.get(key).map(|entry| &entry.node.value) {
            Some(Value::String(text)) => Ok(Placed {
                value: place.interpolated(text)?,
                place,
            }),
            Some(_) => Err(place.error("expected a string")),
            None => Err(place.error("missing key")),
        }
    }

    /// Errors for the keys that are not in `known`.
    pub(crate) fn unknown_keys(&self, known: &[&'static str]) -> Vec<ConfigError> {
        let unknown = self.table.entries.iter().filter(|entry| !known.contains(&&*entry.key));
        let error = |entry: &Entry| {
            let key = join(&self.key, &entry.key);
            let error = self.origin.error(entry.key_span.clone(), key, "unknown key".to_owned());
            error
                .with_nearest(&entry.key, known.iter().copied())
                .with_hint(format!("known keys: {}", known.join(", ")))
        };
        unknown.take(ERRORS_MAX).map(error).collect()
    }

    /// The strings of the array at `key`, each with its place; none if the key is not there.
    ///
    /// # Errors
    /// When the value is not an array of strings.
    pub(crate) fn strings(&self, key: &str) -> Result<Vec<Placed<String>>, ConfigError> {
        let Some(entry) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let Value::Array(nodes) = &entry.node.value else {
            return Err(self.error(key, "expected an array of strings"));
        };
        let string = |(index, node): (usize, &Node)| {
            let place = Place {
                origin: self.origin.clone(),
                key: format!("{}[{index}]", join(&self.key, key)),
                span: node.span.clone(),
                value: scalar(&self.origin, key, node),
            };
            match &node.value {
                Value::String(text) => Ok(Placed {
                    value: place.interpolated(text)?,
                    place,
                }),
                _ => Err(place.error("expected a string")),
            }
        };
        nodes.iter().enumerate().map(string).collect()
    }

    /// All entries as text, in the order of the file, for a module's `config`: a string as it is, an integer in
    /// decimal, anything else as it is written. What has no such form goes to `errors`.
    pub(crate) fn scalars(&self, errors: &mut Vec<ConfigError>) -> Vec<(String, String)> {
        let mut scalars = Vec::with_capacity(self.table.entries.len());
        for entry in &self.table.entries {
            match self.scalar_text(&entry.key, &entry.node) {
                Ok(text) => scalars.push((entry.key.to_string(), text)),
                Err(error) => errors.push(error),
            }
        }
        scalars
    }

    fn scalar_text(&self, key: &str, node: &Node) -> Result<String, ConfigError> {
        let written = self.origin.written(&node.span);
        let place = Place {
            origin: self.origin.clone(),
            key: join(&self.key, key),
            span: node.span.clone(),
            value: Some(show::value(&self.origin, key, node)),
        };
        match &node.value {
            Value::String(text) => place.interpolated(text),
            Value::Integer(Some(number)) => Ok(number.to_string()),
            Value::Integer(None) => Err(place.error("expected an integer of at most 128 bits")),
            Value::Float(_) => Ok(written.replace('_', "")),
            Value::Boolean(_) | Value::Datetime => Ok(written.to_owned()),
            Value::Array(_) | Value::Table(_) => Err(place
                .error("expected a string, a number, a boolean or a date")
                .with_hint("write a structured value as a string, as JSON for example")),
        }
    }

    fn below(&self, key: &str, node: &Node) -> Result<Section, ConfigError> {
        match &node.value {
            Value::Table(table) => Ok(self.child(join(&self.key, key), node, table)),
            _ => Err(self.error(key, "expected a table")),
        }
    }

    fn child(&self, key: String, node: &Node, table: &Arc<Table>) -> Section {
        Self::new(self.origin.clone(), key.into(), node.span.clone(), table.clone())
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Section").field(&self.place("")).finish()
    }
}

/// Somewhere in a file, for an error that is found later.
#[derive(Clone)]
pub struct Place {
    origin: Arc<Origin>,
    key: String,
    span: Span,
    value: Option<String>,
}

impl Place {
    /// The full path of the key, as `capabilities.required[0]`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// An error about this place and the value there.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        let error = self.origin.error(self.span.clone(), self.key.clone(), message.into());
        error.with_value(self.value.clone())
    }

    fn interpolated(&self, text: &str) -> Result<String, ConfigError> {
        match self.origin.environment.interpolate(text) {
            Ok(interpolated) => Ok(interpolated.text.into_owned()),
            Err(error) => Err(self.error(error.to_string()).with_hint(error.hint())),
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

/// What an error shows of `node`, if that is a value in one piece.
fn scalar(origin: &Origin, name: &str, node: &Node) -> Option<String> {
    match node.value {
        Value::Array(_) | Value::Table(_) => None,
        _ => Some(show::value(origin, name, node)),
    }
}
