//! Why a state directory was not opened.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nexum_config::hint::Hint;
use nexum_config::masked_path::MaskedPath;
use nexum_core::BoxError;
use nexum_core::store::StoreError;

use crate::backend::Backend;

/// Why the state in a directory was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made, or its files cannot be looked at.
    #[error("the state directory {} cannot be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else has it open.
    #[error("the state in {} is in use by {holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// Its rows are another back-end's.
    #[error("the state in {} is kept by {found}, and {wanted} was asked for", path.display())]
    OtherBackend {
        /// The directory.
        path: PathBuf,
        /// Whose file is there.
        found: Backend,
        /// Whose was asked for.
        wanted: Backend,
    },
    /// The back-end is not compiled in.
    #[error("this build lacks the back-end {0}")]
    NotBuilt(Backend),
    /// The back-end cannot open its file.
    #[error("the state in {} cannot be opened", path.display())]
    Database {
        /// The file, or the directory of files.
        path: PathBuf,
        /// What the back-end said.
        source: BoxError,
    },
    /// The file is there without content.
    #[error("the state in {} is gone: the file is empty", path.display())]
    Emptied {
        /// The file.
        path: PathBuf,
    },
    /// A FIFO or a device has the name of a file.
    #[error("the state cannot be opened: {} is not a regular file", path.display())]
    Irregular {
        /// Its path.
        path: PathBuf,
    },
    /// The file is open, and its rows are not what this program reads.
    #[error("the state in {} cannot be used", path.display())]
    State {
        /// The file, or the directory of files.
        path: PathBuf,
        /// What is wrong with them.
        source: StoreError,
    },
}

impl OpenError {
    /// The error without the content of variables in the path of the state directory.
    pub(crate) fn masked(mut self, state_dir: &MaskedPath) -> Self {
        match &mut self {
            Self::Directory { path, .. }
            | Self::InUse { path, .. }
            | Self::OtherBackend { path, .. }
            | Self::Database { path, .. }
            | Self::Emptied { path }
            | Self::Irregular { path }
            | Self::State { path, .. } => *path = state_dir.shown_of(path),
            Self::NotBuilt(_) => {}
        }
        self
    }
}

impl Hint for OpenError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => Some("stop that process, or name another `state_dir`".to_owned()),
            Self::OtherBackend {
                wanted: Backend::Memory,
                ..
            } => Some("name another `state_dir` for a trial: what is here would be passed over".to_owned()),
            Self::OtherBackend { found, wanted, .. } => Some(format!(
                "set `[store] backend = \"{found}\"`; or move what is here with `nexum state export` under {found}, and \
                 `nexum state import` into a new `state_dir` under {wanted}"
            )),
            Self::NotBuilt(backend) => backend.feature_hint(),
            Self::Emptied { .. } | Self::Irregular { .. } | Self::Database { .. } => {
                Some("restore it from a backup of `nexum state backup`; or move it away, and modules begin again without state".to_owned())
            }
            Self::State {
                source: StoreError::Format { .. },
                ..
            } => Some(
                "move it with `nexum state export` of the version that wrote it, and `nexum state import` of this one"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Who has a state directory, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process's id.
    pub pid: Option<u32>,
    /// What it has the directory for, as `nexum run`.
    pub purpose: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        match &self.purpose {
            Some(purpose) => write!(f, " ({purpose})"),
            None => Ok(()),
        }
    }
}
