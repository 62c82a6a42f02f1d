//! References to variables in strings: `${VAR}`, `${VAR:-default}`, and `$${` for a literal `${`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env::VarError;
use std::fmt;
use std::sync::Arc;

use crate::hint::Hint;

/// The longest string after its references are replaced, in bytes. It has room for a certificate,
/// but not for a whole file.
pub const INTERPOLATED_BYTES_MAX: usize = 64 << 10;

/// The longest variable name, in bytes. It bounds the names that errors show.
const VARIABLE_NAME_BYTES_MAX: usize = 128;

/// The source of the variables that strings refer to. Its `Debug` shows no values.
#[derive(Clone)]
pub struct Environment(Lookup);

#[derive(Clone)]
enum Lookup {
    Closed,
    Process,
    Pairs(Arc<BTreeMap<String, String>>),
}

impl Environment {
    /// The environment of this process. Each string looks its variables up when it is read into its
    /// type.
    pub fn process() -> Self {
        Self(Lookup::Process)
    }

    /// Only these variables.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(Lookup::Pairs(Arc::new(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )))
    }

    /// No variables: every reference is an error that says so. This is for files whose author must
    /// not read the operator's environment.
    pub fn closed() -> Self {
        Self(Lookup::Closed)
    }

    fn get(&self, name: &str) -> Result<Option<String>, InterpolationError> {
        match &self.0 {
            Lookup::Closed => Err(InterpolationError::Closed),
            Lookup::Pairs(pairs) => Ok(pairs.get(name).cloned()),
            Lookup::Process => match process_variable(name) {
                Ok(value) => Ok(Some(value)),
                Err(VarError::NotPresent) => Ok(None),
                Err(VarError::NotUnicode(_)) => Err(InterpolationError::NotUnicode { name: name.to_owned() }),
            },
        }
    }

    /// Replaces the references in `text`.
    pub(super) fn interpolate<'a>(&self, text: &'a str) -> Result<Interpolated<'a>, InterpolationError> {
        let mut taken = Vec::new();
        let mut replaced = String::new();
        let mut rest = text;
        while let Some((before, reference)) = rest.split_once(OPEN) {
            if let Some(before) = before.strip_suffix('$') {
                replaced.push_str(before);
                replaced.push_str(OPEN);
                rest = reference;
            } else {
                let (inside, after) = reference.split_once('}').ok_or(InterpolationError::Unterminated)?;
                replaced.push_str(before);
                replaced.push_str(&self.resolve(inside, &mut taken)?);
                rest = after;
            }
            if replaced.len() > INTERPOLATED_BYTES_MAX {
                return Err(InterpolationError::TooLong);
            }
        }
        if rest.len() == text.len() {
            return Ok(Interpolated {
                text: Cow::Borrowed(text),
                taken,
            });
        }
        replaced.push_str(rest);
        Ok(Interpolated {
            text: Cow::Owned(replaced),
            taken,
        })
    }

    /// The replacement for `VAR` or `VAR:-default`. A variable's content is also added to `taken`.
    fn resolve<'a>(&self, inside: &'a str, taken: &mut Vec<String>) -> Result<Cow<'a, str>, InterpolationError> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable_name(name) {
            return Err(InterpolationError::Name);
        }
        match (self.get(name)?, default) {
            (Some(value), default) if default.is_none() || !value.is_empty() => {
                taken.push(value.clone());
                Ok(Cow::Owned(value))
            }
            (_, Some(default)) => Ok(Cow::Borrowed(default)),
            (_, None) => Err(InterpolationError::Unset { name: name.to_owned() }),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Lookup::Closed => "Environment::Closed",
            Lookup::Process => "Environment::Process",
            Lookup::Pairs(_) => "Environment::Pairs(..)",
        })
    }
}

/// The start of a reference.
const OPEN: &str = "${";

/// A string whose references are replaced.
pub(super) struct Interpolated<'a> {
    pub(super) text: Cow<'a, str>,
    /// Contents of variables. No error may show them.
    pub(super) taken: Vec<String>,
}

/// An error of replacing the references of a string. It names the variable, and never shows its
/// content.
#[derive(Debug, thiserror::Error)]
pub(super) enum InterpolationError {
    #[error("a `${{` has no closing `}}`")]
    Unterminated,
    #[error("a `${{..}}` does not contain the name of a variable")]
    Name,
    #[error("the environment variable {name} is not set")]
    Unset { name: String },
    #[error("the environment variable {name} is not UTF-8")]
    NotUnicode { name: String },
    #[error("is longer than {INTERPOLATED_BYTES_MAX} bytes after its variables are replaced")]
    TooLong,
    #[error("this file cannot use environment variables")]
    Closed,
}

impl Hint for InterpolationError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unterminated => "add the `}`, or write `$${` for a literal `${`".to_owned(),
            Self::Name => "write `${NAME}` or `${NAME:-default}`, or `$${` for a literal `${`".to_owned(),
            Self::Unset { name } => format!("set the variable, or add a default: `${{{name}:-default}}`"),
            Self::NotUnicode { name } => format!("set {name} to UTF-8 text"),
            Self::TooLong => "give the path of a file instead".to_owned(),
            Self::Closed => "set this key in engine.toml, or write `$${` for a literal `${`".to_owned(),
        };
        Some(hint)
    }
}

fn is_variable_name(name: &str) -> bool {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let sized = name.len() <= VARIABLE_NAME_BYTES_MAX;
    begins_well && sized && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[expect(clippy::disallowed_methods, reason = "this is the seam that the rule asks for")]
fn process_variable(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}
