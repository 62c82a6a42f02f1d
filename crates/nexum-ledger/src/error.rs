//! Errors of the ledger's folder.

use std::io;
use std::path::PathBuf;

use nexum_config::hint::Hint;

/// An error of reading or writing the ledger's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder does not exist.
    #[error("there is no ledger at {}", .0.display())]
    Missing(PathBuf),
    /// A file of the folder cannot be read or written.
    #[error("the ledger cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// A segment has another version of the format.
    #[error("{} has version {version} of the ledger's format, and this nexum reads version {known}", path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u8,
        /// The version of this program.
        known: u8,
    },
}

impl LedgerError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { path, error }
    }
}

impl Hint for LedgerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some("a daemon with `enabled = true` in `[ledger]` creates it".to_owned()),
            Self::File { .. } => None,
            Self::Version { .. } => Some("use the nexum that wrote it, or remove the file".to_owned()),
        }
    }
}
