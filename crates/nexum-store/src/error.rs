//! The errors of opening a state.

mod postgres;

use std::fmt;
use std::io;
use std::path::PathBuf;

use nexum_config::hint::Hint;
use nexum_config::masked_path::MaskedPath;
use nexum_core::BoxError;
use nexum_core::store::StoreError;

use crate::backend::Backend;

pub use postgres::PostgresError;

/// Why a state cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be created, or its files cannot be read.
    #[error("the state directory {} cannot be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process has the state open.
    #[error("the state in {} is in use by {holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process with the lock.
        holder: Holder,
    },
    /// The directory contains the file of another back-end.
    #[error("the state in {} belongs to the back-end {found}, not to the requested {wanted}", path.display())]
    OtherBackend {
        /// The directory.
        path: PathBuf,
        /// The back-end of the file.
        found: Backend,
        /// The requested back-end.
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
        /// The back-end's error.
        source: BoxError,
    },
    /// The file exists, but is empty.
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
    /// The file opens, but this version of nexum cannot read its rows.
    #[error("the state in {} cannot be used", path.display())]
    State {
        /// The file, or the directory of files.
        path: PathBuf,
        /// The fault of the rows.
        source: StoreError,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

impl OpenError {
    /// Whether a later attempt can succeed without a change by the operator.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Postgres(error) => error.is_temporary(),
            Self::State {
                source: StoreError::Backend(source),
                ..
            } => source
                .downcast_ref::<PostgresError>()
                .is_some_and(PostgresError::is_temporary),
            _ => false,
        }
    }

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
            Self::NotBuilt(_) | Self::Postgres(_) => {}
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
            } => Some("name another `state_dir` for a trial: the back-end memory would ignore the state in this one".to_owned()),
            Self::OtherBackend { found, wanted, .. } => Some(format!(
                "set `[store] backend = \"{found}\"`; or move what is here with `nexum state export` under {found}, and \
                 `nexum state import` into a new `state_dir` under {wanted}"
            )),
            Self::NotBuilt(backend) => backend.feature_hint(),
            Self::Postgres(error) => error.hint(),
            Self::Emptied { .. } | Self::Irregular { .. } | Self::Database { .. } => {
                Some("restore a backup with `nexum state restore --replace`; or move the file away, and modules begin again without state".to_owned())
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

/// The process that holds a state directory, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process's id.
    pub pid: Option<u32>,
    /// The holder's purpose, such as `nexum run`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn while_reading(source: PostgresError) -> OpenError {
        OpenError::State {
            path: PathBuf::from("postgres on db"),
            source: StoreError::backend(source),
        }
    }

    #[test]
    fn a_database_that_stops_while_the_state_is_opened_is_waited_for() {
        let database = || "postgres on db".to_owned();
        let lost = PostgresError::Connect {
            database: database(),
            source: "connection closed".into(),
        };
        assert!(while_reading(lost).is_temporary());
        let refused = PostgresError::Request {
            database: database(),
            source: "permission denied".into(),
        };
        assert!(!while_reading(refused).is_temporary());
    }
}
