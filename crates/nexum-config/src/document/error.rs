//! Errors of a configuration file, with their position.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::hint::Hint;
use crate::regular_file::FileError;

/// The most errors reported for one file: more than a person fixes before the next attempt.
pub const ERRORS_MAX: usize = 50;

/// One error of a configuration file or a manifest.
///
/// Its text is one line, without the remedy that [`hint`](Hint::hint) returns:
///
/// ```text
/// engine.toml:12:5: chains.1.rpc_ulr: unknown key, the nearest known one is rpc_url
/// ```
#[derive(Clone)]
pub struct ConfigError(Box<Details>);

#[derive(Clone)]
struct Details {
    file: PathBuf,
    position: Option<Position>,
    key: String,
    message: String,
    value: Option<String>,
    nearest: Option<String>,
    hint: Option<String>,
    source: Option<Arc<io::Error>>,
    /// How many errors this one stands for, if it only counts them.
    uncounted: usize,
}

/// A line and a column, both from 1. The column counts characters.
#[derive(Clone, Copy)]
struct Position {
    line: usize,
    column: usize,
}

impl ConfigError {
    /// The file with the error.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The line of the error, from 1. `None` for an error about the whole file.
    pub fn line(&self) -> Option<usize> {
        self.0.position.map(|position| position.line)
    }

    /// The column of the error in its line, in characters from 1. `None` for an error about the
    /// whole file.
    pub fn column(&self) -> Option<usize> {
        self.0.position.map(|position| position.column)
    }

    /// The full path of the faulty key, such as `chains.1.rpc_url`. Empty if the error is about no
    /// key.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The fault, without the position and the value.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The faulty value, if there is one: the text of the file, shortened and without secrets.
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// The known name that is most similar to the unknown one.
    pub fn nearest(&self) -> Option<&str> {
        self.0.nearest.as_deref()
    }

    /// Whether the error is about the value of `key` or a part of it. `key` is a full path. An error
    /// without a key is about everything in the file.
    pub fn is_about(&self, key: &str) -> bool {
        let rest = self.0.key.strip_prefix(key);
        self.0.key.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Whether the file does not exist, a case that some callers accept.
    pub fn is_not_found(&self) -> bool {
        self.0
            .source
            .as_ref()
            .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Sets the hint: one sentence without a full stop.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the hint to the hint of the cause, if the cause has one.
    #[must_use]
    pub(crate) fn with_hint_of(mut self, cause: &impl Hint) -> Self {
        self.0.hint = cause.hint();
        self
    }

    /// Sets the nearest name: the name of `known` that is most similar to `name`, if any is
    /// similar.
    #[must_use]
    pub fn with_nearest<'a>(mut self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.nearest = super::key::nearest(name, known).map(str::to_owned);
        self
    }

    pub(crate) fn with_nearest_found(mut self, nearest: Option<String>) -> Self {
        self.0.nearest = nearest;
        self
    }

    /// Sets the faulty value. The caller must have removed secrets.
    pub(crate) fn with_value(mut self, value: Option<String>) -> Self {
        self.0.value = value;
        self
    }

    /// An error at the byte `offset` of `text`.
    pub(crate) fn at(file: &Path, text: &str, offset: usize, key: String, message: String) -> Self {
        let position = Position::of(text, offset);
        let details = Details {
            position: Some(position),
            key,
            ..Details::new(file, message)
        };
        Self(Box::new(details))
    }

    /// An error about the whole file.
    pub(crate) fn of_file(file: &Path, message: String) -> Self {
        Self(Box::new(Details::new(file, message)))
    }

    /// The last line of a report, which counts the errors that the report leaves out.
    fn count(file: &Path, errors: usize) -> Self {
        let s = if errors == 1 { "" } else { "s" };
        let mut error = Self::of_file(file, format!("and at least {errors} more error{s}"));
        error.0.uncounted = errors;
        error
    }

    /// The line and the column, for a sort.
    fn place(&self) -> Option<(usize, usize)> {
        self.0.position.map(|position| (position.line, position.column))
    }

    pub(crate) fn unreadable(file: &Path, error: FileError) -> Self {
        let FileError::Io(error) = error else {
            return Self::of_file(file, error.to_string());
        };
        let message = match error.kind() {
            io::ErrorKind::NotFound => "does not exist",
            io::ErrorKind::PermissionDenied => "is not readable by this user",
            _ => "cannot be read",
        };
        Self(Box::new(Details {
            source: Some(Arc::new(error)),
            ..Details::new(file, message.to_owned())
        }))
    }

    pub(crate) fn not_utf8(file: &Path, bytes: &[u8], valid_up_to: usize) -> Self {
        let valid = bytes.get(..valid_up_to).unwrap_or_default();
        let text = std::str::from_utf8(valid).unwrap_or_default();
        Self::at(file, text, text.len(), String::new(), "is not UTF-8".to_owned())
    }
}

impl Details {
    fn new(file: &Path, message: String) -> Self {
        let file = file.to_owned();
        Self {
            file,
            position: None,
            key: String::new(),
            message,
            value: None,
            nearest: None,
            hint: None,
            source: None,
            uncounted: 0,
        }
    }
}

impl Position {
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details {
            file,
            position,
            key,
            message,
            value,
            nearest,
            ..
        } = &*self.0;
        write!(f, "{}", file.display())?;
        if let Some(Position { line, column }) = position {
            write!(f, ":{line}:{column}")?;
        }
        if !key.is_empty() {
            write!(f, ": {key}")?;
        }
        write!(f, ": {message}")?;
        if let Some(value) = value {
            write!(f, ", found {value}")?;
        }
        if let Some(nearest) = nearest {
            write!(f, ", the nearest known one is {nearest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigError({self})")
    }
}

impl Hint for ConfigError {
    fn hint(&self) -> Option<String> {
        self.0.hint.clone()
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|error| error as _)
    }
}

/// Notices as text, one line for each, in the order of the file.
pub(crate) fn notice_texts(mut notices: Vec<ConfigError>) -> Vec<String> {
    notices.sort_by_key(ConfigError::place);
    notices.iter().map(ToString::to_string).collect()
}

/// All errors of a file, in the order of the file: at least one and at most [`ERRORS_MAX`]. One more
/// at the end counts the others. The text has one line for each error.
#[derive(Clone)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Returns `errors`, all of one file, as an error if there are any. Counts those beyond
    /// [`ERRORS_MAX`] in one last error. A reader may have stopped early, so the count is a minimum.
    ///
    /// # Errors
    ///
    /// Fails if `errors` is not empty.
    pub fn check(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        let counted: usize = errors.iter().map(|error| error.0.uncounted).sum();
        errors.retain(|error| error.0.uncounted == 0);
        errors.sort_by_key(ConfigError::place);
        let left_out = counted + errors.len().saturating_sub(ERRORS_MAX);
        errors.truncate(ERRORS_MAX);
        let Some(last) = errors.last() else { return Ok(()) };
        if left_out > 0 {
            errors.push(ConfigError::count(last.file(), left_out));
        }
        Err(Self(errors))
    }

    /// The errors, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// Whether the only error is that the file does not exist, a case that some callers accept.
    pub fn is_not_found(&self) -> bool {
        self.0.iter().all(ConfigError::is_not_found)
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl std::error::Error for ConfigErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.first().and_then(std::error::Error::source)
    }
}
