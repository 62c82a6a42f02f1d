//! Errors of the ledger's folder. Their texts have the names of files, and not the path of the folder: the
//! content of a variable can be a part of it.

use std::io;
use std::path::{Path, PathBuf};

use nexum_config::hint::Hint;

/// An error of reading or writing the ledger's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder does not exist.
    #[error("there is no event ledger in the state directory")]
    Missing(PathBuf),
    /// A file of the folder cannot be read or written.
    #[error("the event ledger cannot use its file {}", name(path))]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// A segment has another version of the format.
    #[error(
        "{} has version {version} of the event ledger's format, and this nexum reads the versions 1 to {known}",
        name(path)
    )]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u8,
        /// The newest version that this program reads.
        known: u8,
    },
}

/// The name of a file without its directory.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
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
