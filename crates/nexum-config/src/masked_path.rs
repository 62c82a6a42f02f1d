//! Paths that an operator writes, without the content of variables in their text.

use std::fmt;
use std::ops::Deref;
use std::path::{Display, Path, PathBuf};

/// A path that may contain the content of a variable. Its text shows `${VAR}` in place of that
/// content.
///
/// It dereferences to the path that the system opens. Errors and logs use [`shown`](Self::shown).
#[derive(Clone, PartialEq, Eq)]
pub struct MaskedPath {
    path: PathBuf,
    /// The path as the operator wrote it, if that differs.
    written: Option<PathBuf>,
}

impl MaskedPath {
    /// The path `path` in `directory`. `written` is its text with the references to variables, if it
    /// has any.
    pub(crate) fn resolve(directory: &Path, path: &Path, written: Option<&str>) -> Self {
        let written = written.map(|written| match path.is_absolute() {
            true => PathBuf::from(written),
            false => in_directory(directory, Path::new(written)),
        });
        Self {
            path: in_directory(directory, path),
            written,
        }
    }

    /// The path for errors, logs and answers. It may not exist.
    pub fn shown(&self) -> &Path {
        self.written.as_deref().unwrap_or(&self.path)
    }

    /// As [`shown`](Self::shown), and absolute if the working directory exists.
    pub fn shown_absolute(&self) -> PathBuf {
        let shown = self.shown();
        match self.path.is_absolute() {
            true => shown.to_owned(),
            false => std::path::absolute(shown).unwrap_or_else(|_| shown.to_owned()),
        }
    }

    /// The path for errors of `path`, which is this path or below it.
    pub fn shown_of(&self, path: &Path) -> PathBuf {
        match (&self.written, path.strip_prefix(&self.path)) {
            (None, _) => path.to_owned(),
            (Some(written), Ok(below)) => in_directory(written, below),
            (Some(written), Err(_)) => written.clone(),
        }
    }

    /// The text of [`shown`](Self::shown).
    pub fn display(&self) -> Display<'_> {
        self.shown().display()
    }

    /// The path `name` in this directory.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
            written: self.written.as_ref().map(|written| written.join(name)),
        }
    }

    /// The path of the file `name` beside this file.
    #[must_use]
    pub fn with_file_name(&self, name: &str) -> Self {
        let beside = |written: &PathBuf| {
            // The content of a variable in the file name can have directories of its own.
            let is_file_name = written.file_name() == self.path.file_name()
                || written.components().count() == self.path.components().count();
            match is_file_name {
                true => written.with_file_name(name),
                false => written.join("..").join(name),
            }
        };
        Self {
            path: self.path.with_file_name(name),
            written: self.written.as_ref().map(beside),
        }
    }
}

/// The path in the directory, without the `.` that joining leaves in the middle.
fn in_directory(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path).components().collect()
}

impl<P: Into<PathBuf>> From<P> for MaskedPath {
    /// A path without variables.
    fn from(path: P) -> Self {
        Self {
            path: path.into(),
            written: None,
        }
    }
}

impl Deref for MaskedPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for MaskedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}
