//! One table of a document, and positions in it.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::de;
use super::environment::is_reference;
use super::key::{KeyPath, join};
use super::location::{Located, Location};
use super::tree::{Entry, Node, Span, Table, Value};
use super::value_text::value_text;
use super::{ConfigError, Origin, enough};
use crate::masked_path::MaskedPath;

/// The key of a whole number, and the values that the number may have.
pub type NumberRange = (&'static str, RangeInclusive<u64>);

/// One table of a document. The owner of its keys can store it and parse it later. Clones share the
/// tree.
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

    /// The file, and the table to change.
    pub(super) fn parts_mut(&mut self) -> (&Origin, &mut Table) {
        (&self.origin, Arc::make_mut(&mut self.table))
    }

    /// The file, and the table.
    pub(super) fn parts(&self) -> (&Arc<Origin>, &Table) {
        (&self.origin, &self.table)
    }

    /// The file that contains the table.
    pub fn file(&self) -> &Path {
        &self.origin.path
    }

    /// The full path of the table in the file, such as `chains.1`. Empty for the outermost table.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The keys of the table, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.entries.iter().map(|entry| &*entry.key)
    }

    /// Reads the table into `T`, a struct with named fields. The table may have only the keys of
    /// `T`.
    ///
    /// `T` derives `Deserialize`. Its enums may have only unit variants. A hand-written
    /// `Deserialize` may add a hint to its error, in a second line that starts with `hint: `. It
    /// should not repeat the value, because the error shows the value anyway.
    ///
    /// # Errors
    ///
    /// Returns the first fault of the table.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let mut errors = Vec::new();
        let parsed = self.parse_all(&mut errors);
        match (errors.into_iter().next(), parsed) {
            (Some(error), _) => Err(error),
            (None, Some(parsed)) => Ok(parsed),
            (None, None) => Err(self.error("", "cannot be read")),
        }
    }

    /// Reads the table as [`Section::parse`] does, and adds every fault to `errors`.
    ///
    /// The result of a table with faults leaves out the unknown keys and the faulty values. Use it
    /// only to find further errors. None if a value is missing that `T` requires: a `T` whose keys
    /// are all optional, with [`Section::required`], finds more.
    pub fn parse_all<T: DeserializeOwned>(&self, errors: &mut Vec<ConfigError>) -> Option<T> {
        let node = Node {
            span: self.span.clone(),
            value: Value::Table(self.table.clone()),
        };
        de::read(&self.origin, &self.key, &node, errors)
    }

    /// Reads the table as [`Section::parse_all`] does, and adds an error for each of these numbers
    /// that is not a whole number in its range.
    pub fn parse_bounded<T: DeserializeOwned>(
        &self,
        numbers: &[NumberRange],
        errors: &mut Vec<ConfigError>,
    ) -> Option<T> {
        let mut faulty = Vec::new();
        for (key, range) in numbers {
            if let Err(error) = self.number(key, range) {
                errors.push(error);
                faulty.push(*key);
            }
        }
        match &*faulty {
            [] => self.parse_all(errors),
            faulty => self.without(faulty).parse_all(errors),
        }
    }

    /// Returns `value`, the value of `key` as [`Section::parse_all`] has read it. Adds an error to
    /// `errors` if the table does not have the key. If the value is faulty, `parse_all` has added
    /// the error.
    pub fn required<T>(&self, key: &str, value: Option<T>, errors: &mut Vec<ConfigError>) -> Option<T> {
        if self.table.get(key).is_none() {
            errors.push(self.error(key, "missing key"));
        }
        value
    }

    /// Whether `errors` has an error about the value of `key`, a key of this table, or a part of it.
    pub fn is_faulty(&self, key: &str, errors: &[ConfigError]) -> bool {
        let path = join(&self.key, key);
        errors.iter().any(|error| error.is_about(&path))
    }

    /// An error about the value of `key`. The `key` is a path of plain keys below this table, such
    /// as `limits.instances`, or empty for the table itself. The error shows the value, so
    /// `message` should say what is expected.
    pub fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.location(key).error(message)
    }

    /// The position of `key`, a path as in [`Section::error`]. If the key is missing, the position
    /// is that of the table that should contain it.
    pub fn location(&self, key: &str) -> Location {
        let mut location = Location::of_table(&self.origin, self.key.to_string(), &self.span);
        for (part, entry) in self.walk(key) {
            let path = join(location.key(), part);
            location = match entry {
                Some(entry) => Location::of_node(&self.origin, path, part, &entry.node),
                None => location.missing(path),
            };
        }
        location
    }

    /// The path `path`, which is the value of `key`. A relative path is relative to the directory of
    /// the file.
    pub fn path(&self, key: &str, path: &Path) -> MaskedPath {
        let directory = self.file().parent().unwrap_or(Path::new(""));
        MaskedPath::resolve(directory, path, self.written_with_variable(key))
    }

    /// The string at `key` as the file has it, if nexum replaces a variable in it with its content.
    pub(crate) fn written_with_variable(&self, key: &str) -> Option<&str> {
        let Value::String(text) = &self.table.get(key)?.node.value else {
            return None;
        };
        let interpolated = self.origin.interpolate(text).ok()?;
        (!interpolated.taken.is_empty()).then_some(text)
    }

    /// Whether the value of `key` is exactly one reference without a default, such as `${VAR}`: the
    /// file then contains no part of the value.
    pub fn is_reference(&self, key: &str) -> bool {
        let value = self.table.get(key).map(|entry| &entry.node.value);
        matches!(value, Some(Value::String(text)) if is_reference(text))
    }

    /// The table at `key`, if the key is present.
    ///
    /// # Errors
    ///
    /// Fails if the value is not a table.
    pub fn section(&self, key: &str) -> Result<Option<Section>, ConfigError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(entry) => self.below(&entry.key, &entry.node).map(Some),
        }
    }

    /// All entries, each with its key. The value is the table, or an error if the entry is not a
    /// table.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, Result<Section, ConfigError>)> {
        self.table
            .entries
            .iter()
            .map(|entry| (&*entry.key, self.below(&entry.key, &entry.node)))
    }

    /// A copy of the table without these keys, for a table that has both fixed keys and free ones.
    pub fn without(&self, keys: &[&str]) -> Section {
        self.filtered(|entry| !keys.contains(&&*entry.key))
    }

    /// A copy of the table with only these keys, for a table that several readers share.
    pub fn only(&self, keys: &[&str]) -> Section {
        self.filtered(|entry| keys.contains(&&*entry.key))
    }

    /// A copy of the table in which `key` is called `name`, for a reader that only knows `name`.
    pub(crate) fn renamed(&self, key: &str, name: &str) -> Section {
        let mut table = Table::clone(&self.table);
        for entry in table.entries.iter_mut().filter(|entry| &*entry.key == key) {
            entry.key = name.into();
        }
        Self {
            table: Arc::new(table),
            ..self.clone()
        }
    }

    /// A copy of the table without the tables in it.
    pub(crate) fn without_tables(&self) -> Section {
        self.filtered(|entry| entry.node.table().is_none())
    }

    fn filtered(&self, keeps: impl Fn(&Entry) -> bool) -> Section {
        let kept = self.table.entries.iter().filter(|entry| keeps(entry));
        let table = Table {
            entries: kept.cloned().collect(),
        };
        Self {
            table: Arc::new(table),
            ..self.clone()
        }
    }

    /// The tables of the array at `key`, as written with `[[key]]`. Empty if the key is missing. Adds
    /// an error to `errors` if the value is not an array, or has an element that is not a table.
    pub fn array_of_tables(&self, key: &str, errors: &mut Vec<ConfigError>) -> Vec<Section> {
        let Some(entry) = self.table.get(key) else {
            return Vec::new();
        };
        let nodes = match &entry.node.value {
            Value::Array(nodes) => nodes.as_slice(),
            _ => &[],
        };
        let table = |(index, node): (usize, &Node)| {
            let table = node.table()?;
            Some(self.child(format!("{}[{index}]", join(&self.key, key)), node, table))
        };
        let tables: Vec<_> = nodes.iter().enumerate().filter_map(table).collect();
        if tables.len() < nodes.len() || !matches!(entry.node.value, Value::Array(_)) {
            let error = self.error(key, "expected an array of tables");
            errors.push(error.with_hint(format!("write [[{}]]", join(&self.key, key))));
        }
        tables
    }

    /// The string at `key`, with its position.
    ///
    /// # Errors
    ///
    /// Fails if the key is missing or its value is not a string.
    pub(crate) fn string(&self, key: &str) -> Result<Located<String>, ConfigError> {
        let location = self.location(key);
        match self.table.get(key).map(|entry| &entry.node.value) {
            Some(Value::String(text)) => Ok(Located {
                value: location.interpolated(text)?,
                location,
            }),
            Some(_) => Err(location.error("expected a string")),
            None => Err(location.error("missing key")),
        }
    }

    /// The error for `key`, a key of this table that is not in `known`.
    pub(crate) fn unknown_key(&self, key: &str, known: &[&'static str]) -> ConfigError {
        let span = self.table.get(key).map_or(&self.span, |entry| &entry.key_span);
        let error = self
            .origin
            .error(span.clone(), join(&self.key, key), "unknown key".to_owned());
        let known_keys = match known {
            [] => "this table has no keys".to_owned(),
            known => format!("known keys: {}", known.join(", ")),
        };
        error.with_nearest(key, known.iter().copied()).with_hint(known_keys)
    }

    /// One error for each of the first keys that are not in `known`, and one with the number of the
    /// rest.
    pub fn unknown_keys(&self, known: &[&'static str]) -> Vec<ConfigError> {
        let unknown = self.table.unknown(known);
        let first = unknown.first.iter().map(|entry| self.unknown_key(&entry.key, known));
        let more = self.origin.more_unknown(&unknown, || self.key.to_string());
        first.chain(more).collect()
    }

    /// The whole numbers in the table `name`, in the order of `keys`. `None` stands for an absent
    /// key and for a faulty one. The table may be absent, and it may have no other keys. Adds every
    /// fault to `errors`.
    pub(crate) fn numbers<const N: usize>(
        &self,
        name: &str,
        keys: &[NumberRange; N],
        errors: &mut Vec<ConfigError>,
    ) -> [Option<u64>; N] {
        let section = self.section(name).map_err(|error| errors.push(error));
        let Ok(Some(section)) = section else {
            return [None; N];
        };
        let keys = keys.each_ref();
        errors.extend(section.unknown_keys(&keys.map(|&(key, _)| key)));
        keys.map(|(key, range)| {
            let number = section.number(key, range);
            number.map_err(|error| errors.push(error)).ok().flatten()
        })
    }

    /// The whole number at `key`, if the key is present.
    ///
    /// # Errors
    ///
    /// Fails if the value is not a whole number in `range`.
    pub(crate) fn number(&self, key: &str, range: &RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
        let Some(entry) = self.table.get(key) else {
            return Ok(None);
        };
        let number = match entry.node.value {
            Value::Integer(Some(number)) => u64::try_from(number).ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| self.error(key, expected(range)))
    }

    /// The parts of `key`, a path as in [`Section::error`], each with its entry if that is present.
    fn walk<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a Entry>)> {
        let mut table = Some(&self.table);
        key.split('.').filter(|part| !part.is_empty()).map(move |part| {
            let entry = table.and_then(|table| table.get(part));
            table = entry.and_then(|entry| entry.node.table());
            (part, entry)
        })
    }

    /// The strings of the array at `key`, each with its position. Empty if the key is missing. Adds
    /// an error to `errors` if the value is not an array, and for each element that is not a string.
    pub(crate) fn strings(&self, key: &str, errors: &mut Vec<ConfigError>) -> Vec<Located<String>> {
        let Some(entry) = self.table.get(key) else {
            return Vec::new();
        };
        let Value::Array(nodes) = &entry.node.value else {
            errors.push(self.error(key, "expected an array of strings"));
            return Vec::new();
        };
        let string = |(index, node): (usize, &Node)| {
            let location = Location::of_node(&self.origin, format!("{}[{index}]", join(&self.key, key)), key, node);
            match &node.value {
                Value::String(text) => Ok(Located {
                    value: location.interpolated(text)?,
                    location,
                }),
                _ => Err(location.error("expected a string")),
            }
        };
        let mut strings = Vec::with_capacity(nodes.len());
        for string in nodes.iter().enumerate().map(string) {
            match string {
                Ok(string) => strings.push(string),
                Err(_) if enough(errors) => break,
                Err(error) => errors.push(error),
            }
        }
        strings
    }

    /// All entries as text for a module's `config`, in the order of the file: the text of
    /// [`value_text`]. Adds every fault to `errors`.
    pub(crate) fn texts(&self, errors: &mut Vec<ConfigError>) -> Vec<(String, String)> {
        let mut texts = Vec::with_capacity(self.table.entries.len());
        for Entry { key, node, .. } in &self.table.entries {
            if enough(errors) {
                break;
            }
            match value_text(
                &self.origin,
                &KeyPath::Key(&KeyPath::Section(&self.key), key),
                key,
                node,
            ) {
                Ok(text) => texts.push((key.to_string(), text)),
                Err(error) => errors.push(error),
            }
        }
        texts
    }

    fn below(&self, key: &str, node: &Node) -> Result<Section, ConfigError> {
        match node.table() {
            Some(table) => Ok(self.child(join(&self.key, key), node, table)),
            None => Err(self.error(key, "expected a table")),
        }
    }

    fn child(&self, key: String, node: &Node, table: &Arc<Table>) -> Section {
        Self::new(self.origin.clone(), key.into(), node.span.clone(), table.clone())
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Section").field(&self.location("")).finish()
    }
}

/// The message for a number outside `range`.
fn expected(range: &RangeInclusive<u64>) -> String {
    match (range.start(), range.end()) {
        (min, &u64::MAX) => format!("expected a whole number of at least {min}"),
        (min, max) => format!("expected a whole number from {min} to {max}"),
    }
}
