//! References in strings: to variables, `${VAR}`, to files, `${file:PATH}`, and to credentials of
//! systemd, `${cred:NAME}`, each with an optional `:-default`. `$${` is a literal `${`.

mod error;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env::VarError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::regular_file::{self, FileError};

pub(super) use error::InterpolationError;

/// The longest string after its references are replaced, in bytes. It has room for a certificate,
/// but not for a whole file.
pub const INTERPOLATED_BYTES_MAX: usize = 64 << 10;

/// The longest variable name, in bytes. It bounds the names that errors show.
const VARIABLE_NAME_BYTES_MAX: usize = 128;

/// The longest path of a file, in bytes: the longest that Linux accepts.
const PATH_BYTES_MAX: usize = 4_096;

/// The longest name of a credential, in bytes: the longest file name of Linux.
const CREDENTIAL_NAME_BYTES_MAX: usize = 255;

/// The variable in which systemd names the directory with the credentials of a service.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// The start of a reference.
const OPEN: &str = "${";

/// The separator of a reference and its default.
const DEFAULT: &str = ":-";

/// The start of a reference to a file, and of one to a credential. No variable has a colon in its
/// name.
const FILE: &str = "file:";
const CREDENTIAL: &str = "cred:";

/// The variables, files and credentials that strings refer to. Its `Debug` shows no values.
#[derive(Clone)]
pub struct Environment(Lookup);

#[derive(Clone)]
enum Lookup {
    Closed,
    Process,
    Pairs(Arc<BTreeMap<String, String>>),
}

impl Environment {
    /// The environment of this process, with all files that the process can read. Each string looks
    /// its references up when it is read into its type.
    pub fn process() -> Self {
        Self(Lookup::Process)
    }

    /// Only these variables, with all files that the process can read.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(Lookup::Pairs(Arc::new(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )))
    }

    /// Nothing: every reference is an error that says so. This is for files whose author must not
    /// read the operator's environment.
    pub fn closed() -> Self {
        Self(Lookup::Closed)
    }

    /// Replaces the references in `text`. The path of a file is relative to `directory`.
    pub(super) fn interpolate<'a>(
        &self,
        text: &'a str,
        directory: &Path,
    ) -> Result<Interpolated<'a>, InterpolationError> {
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
                replaced.push_str(&self.resolve(inside, directory, &mut taken)?);
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

    /// The replacement for the text between `${` and `}`. The content of a variable, a file or a
    /// credential is also added to `taken`.
    fn resolve<'a>(
        &self,
        inside: &'a str,
        directory: &Path,
        taken: &mut Vec<String>,
    ) -> Result<Cow<'a, str>, InterpolationError> {
        let (source, default) = match inside.split_once(DEFAULT) {
            Some((source, default)) => (source, Some(default)),
            None => (inside, None),
        };
        let source = Source::parse(source)?;
        match (self.content(&source, directory), default) {
            (Ok(content), default) if default.is_none() || !content.is_empty() => {
                taken.push(content.clone());
                Ok(Cow::Owned(content))
            }
            (Err(error), None) => Err(error),
            (Err(error), Some(_)) if !error.is_absence() => Err(error),
            (_, default) => Ok(Cow::Borrowed(default.unwrap_or_default())),
        }
    }

    fn content(&self, source: &Source<'_>, directory: &Path) -> Result<String, InterpolationError> {
        match *source {
            Source::Variable(name) => self
                .variable(name)?
                .ok_or_else(|| InterpolationError::Unset { name: name.to_owned() }),
            Source::File(path) => {
                if let Lookup::Closed = self.0 {
                    return Err(InterpolationError::Closed);
                }
                let path: PathBuf = directory.join(path).components().collect();
                read(&path, &path)
            }
            Source::Credential(name) => {
                let credentials = self.variable(CREDENTIALS_DIRECTORY)?;
                let no_credentials = || InterpolationError::NoCredentials { name: name.to_owned() };
                let directory = PathBuf::from(credentials.ok_or_else(no_credentials)?);
                // The content of a variable is secret.
                let shown = Path::new("$CREDENTIALS_DIRECTORY").join(name);
                read(&directory.join(name), &shown).map_err(|error| match error {
                    InterpolationError::NoFile { .. } => InterpolationError::NoCredential { name: name.to_owned() },
                    error => error,
                })
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Option<String>, InterpolationError> {
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
}

/// The content of the regular file at `path` without one line feed at its end. Errors name it
/// `shown`.
fn read(path: &Path, shown: &Path) -> Result<String, InterpolationError> {
    let unusable = |reason: String| InterpolationError::File {
        path: shown.to_owned(),
        reason,
    };
    let bytes = regular_file::read(path, INTERPOLATED_BYTES_MAX as u64).map_err(|error| match error {
        FileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            InterpolationError::NoFile { path: shown.to_owned() }
        }
        FileError::Io(error) => unusable(format!("cannot be read: {error}")),
        error => unusable(error.to_string()),
    })?;
    let mut content = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8".to_owned()))?;
    if content.ends_with('\n') {
        content.pop();
        if content.ends_with('\r') {
            content.pop();
        }
    }
    Ok(content)
}

/// The source of a replacement, as the file names it.
#[derive(Clone, Copy)]
enum Source<'a> {
    Variable(&'a str),
    /// The path of a file.
    File(&'a str),
    /// The name of a credential.
    Credential(&'a str),
}

impl<'a> Source<'a> {
    fn parse(text: &'a str) -> Result<Self, InterpolationError> {
        let (source, is_valid) = if let Some(path) = text.strip_prefix(FILE) {
            (Self::File(path), is_path(path))
        } else if let Some(name) = text.strip_prefix(CREDENTIAL) {
            (Self::Credential(name), is_credential_name(name))
        } else {
            (Self::Variable(text), is_variable_name(text))
        };
        is_valid.then_some(source).ok_or(InterpolationError::Name)
    }
}

/// Whether `text` is exactly one reference without a default. Such a text contains no secret.
pub(super) fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains(DEFAULT) && !inside.contains('}') && Source::parse(inside).is_ok())
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

/// A string whose references are replaced.
pub(super) struct Interpolated<'a> {
    pub(super) text: Cow<'a, str>,
    /// Contents of variables, files and credentials. No error may show them.
    pub(super) taken: Vec<String>,
}

/// The references in `text`, such as `${VAR}`, without their defaults. Ends at a faulty one.
pub(super) fn references(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    parts(text, |part| {
        if let Part::Reference(source) = part {
            found.push(format!("{OPEN}{source}}}"));
        }
    });
    found
}

/// `text` with its references, without their defaults, which can be secrets.
pub(super) fn without_defaults(text: &str) -> String {
    let mut shown = String::new();
    parts(text, |part| match part {
        Part::Text(text) => shown.push_str(text),
        Part::Reference(source) => {
            shown.push_str(OPEN);
            shown.push_str(source);
            shown.push('}');
        }
    });
    shown
}

/// A part of a string.
enum Part<'a> {
    /// Text as written.
    Text(&'a str),
    /// The source that a reference names, without the default.
    Reference(&'a str),
}

/// Calls `take` with each part of `text`, up to the first faulty reference.
fn parts<'a>(text: &'a str, mut take: impl FnMut(Part<'a>)) {
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once(OPEN) {
        if before.ends_with('$') {
            take(Part::Text(&rest[..before.len() + OPEN.len()]));
            rest = reference;
            continue;
        }
        take(Part::Text(before));
        let Some((inside, after)) = reference.split_once('}') else {
            return;
        };
        take(Part::Reference(
            inside.split_once(DEFAULT).map_or(inside, |(source, _)| source),
        ));
        rest = after;
    }
    take(Part::Text(rest));
}

fn is_variable_name(name: &str) -> bool {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let sized = name.len() <= VARIABLE_NAME_BYTES_MAX;
    begins_well && sized && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_path(path: &str) -> bool {
    (1..=PATH_BYTES_MAX).contains(&path.len()) && !path.contains(OPEN) && !path.chars().any(char::is_control)
}

/// Whether `name` is a file name that systemd accepts for a credential.
fn is_credential_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'$');
    (1..=CREDENTIAL_NAME_BYTES_MAX).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(is_allowed)
}

#[expect(clippy::disallowed_methods, reason = "this is the seam that the rule asks for")]
fn process_variable(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}
