//! A backup that becomes the state of a directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nexum_config::hint::Hint;
use nexum_config::masked_path::MaskedPath;
use nexum_config::regular_file::{self, FileError};
use nexum_core::BoxError;
use nexum_core::state::admin::{self, Fault, Summary};
use nexum_core::state::{OperatorRows, operator_rows, replace_operator_rows};
use nexum_core::store::StoreError;

use crate::backend::{Backend, REDB_FILE};
use crate::directory;
use crate::error::OpenError;

/// The name of the former state after a restore that replaced it, in the state directory.
pub const REPLACED: &str = "state.redb.replaced";

/// The cache of the database while nexum checks a backup, in bytes. The check reads each row once.
const CACHE_BYTES: usize = 16 << 20;

/// A state directory after a restore.
#[derive(Debug)]
#[non_exhaustive]
pub struct Restored {
    /// The modules of the state.
    pub modules: Vec<Summary>,
    /// The origin of the operator's rows.
    pub commands: Commands,
}

/// The origin of the operator's rows after a restore. The rows of the former state are newer than the
/// backup, so a restore keeps them: it starts no module that the operator has stopped since the backup.
#[derive(Debug)]
pub enum Commands {
    /// The former state.
    Former,
    /// The backup, because there was no former state.
    Backup,
    /// The backup, because the former state cannot be read.
    Lost(OpenError),
}

/// Why a backup was not restored. The state directory has its former state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The backup cannot be read.
    #[error("the backup {} {source}", path.display())]
    File {
        /// The backup.
        path: PathBuf,
        /// The reason.
        source: FileError,
    },
    /// The file is no database, or is damaged.
    #[error("{} is no backup of a state", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: BoxError,
    },
    /// This version of nexum cannot read the rows of the backup.
    #[error("the backup {} cannot be used", path.display())]
    Rows {
        /// The backup.
        path: PathBuf,
        /// The fault of the rows.
        source: StoreError,
    },
    /// The rows of the backup contradict each other.
    #[error("the backup {} has faults: {}", path.display(), list(faults))]
    Faulty {
        /// The backup.
        path: PathBuf,
        /// The faults, up to [`FAULTS_MAX`](admin::FAULTS_MAX).
        faults: Vec<Fault>,
    },
    /// The directory contains state.
    #[error("{} contains state", path.display())]
    Exists {
        /// The state directory.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// A file in the state directory cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Hint for RestoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some(format!(
                "`nexum state restore --replace` replaces the state, and keeps the former one as {REPLACED}"
            )),
            Self::NoBackup { .. } => Some("name a file of `nexum state backup`".to_owned()),
            Self::Rows {
                source: StoreError::Format { .. },
                ..
            } => Some(
                "restore it with the version of nexum that made it; then move the state with `nexum state export` of that \
                 version, and `nexum state import` of this one"
                    .to_owned(),
            ),
            Self::Rows { .. } | Self::Faulty { .. } => Some("restore an older backup".to_owned()),
            Self::Directory(error) => error.hint(),
            _ => None,
        }
    }
}

/// Copies the file of a [backup](crate::backup()) into a state directory of the back-end redb, checks
/// every row of the copy, and makes it the directory's state. Creates a missing directory. With
/// `replace`, the directory may contain state of redb, which is kept as [`REPLACED`], and whose
/// operator's rows [stay](Commands). Calls `progress` with the number of checked rows. `purpose` is for
/// other processes that try to open the state.
///
/// # Errors
///
/// [`RestoreError`], and the directory has its former state.
pub fn restore(
    backup: &Path,
    state_dir: &MaskedPath,
    replace: bool,
    purpose: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, RestoreError> {
    let mut source = regular_file::open(backup).map_err(|source| RestoreError::File {
        path: backup.to_owned(),
        source,
    })?;
    let masked = |error: OpenError| error.masked(state_dir);
    let _lock = directory::take(state_dir, purpose).map_err(masked)?;
    let exists = directory::has_state(state_dir).map_err(masked)?;
    if exists && !replace {
        return Err(RestoreError::Exists {
            path: state_dir.shown().to_owned(),
        });
    }
    directory::refuse_other(Backend::Redb, state_dir).map_err(masked)?;
    let state = state_dir.join(REDB_FILE);
    // Opening a database can repair it, so this waits until the backup is checked.
    let former = || exists.then(|| commands_of(&state).map_err(masked));
    let copied = directory::unfinished(state_dir, REDB_FILE).map_err(masked)?;
    let restored = copy(&mut source, &copied)
        .map_err(write_error(&copied))
        .and_then(|()| check(backup, &copied, former, progress))
        .and_then(|restored| {
            if exists {
                keep(&state, &state_dir.join(REPLACED)).map_err(write_error(&state_dir.join(REPLACED)))?;
            }
            fs::rename(&*copied, &*state).map_err(write_error(&state))?;
            Ok(restored)
        });
    // A copy that did not become the state has no use.
    let restored = restored.inspect_err(|_| drop(fs::remove_file(&*copied)))?;
    directory::sync(state_dir).map_err(masked)?;
    Ok(restored)
}

/// The operator's rows of the state at this path.
fn commands_of(state: &MaskedPath) -> Result<OperatorRows, OpenError> {
    let store = directory::open_existing(Backend::Redb, state, CACHE_BYTES)?;
    let rows = store.view().and_then(|view| operator_rows(&*view));
    rows.map_err(|source| OpenError::State {
        path: state.to_path_buf(),
        source,
    })
}

/// Copies and syncs the file.
fn copy(source: &mut File, to: &Path) -> io::Result<()> {
    let mut copy = File::create_new(to)?;
    io::copy(source, &mut copy)?;
    copy.sync_all()
}

/// Opens the copy as nexum does, checks every row, and gives it the operator's rows of the former state.
fn check(
    backup: &Path,
    copied: &MaskedPath,
    former: impl FnOnce() -> Option<Result<OperatorRows, OpenError>>,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, RestoreError> {
    let path = backup.to_owned();
    let store = match directory::open_existing(Backend::Redb, copied, CACHE_BYTES) {
        Ok(store) => store,
        Err(OpenError::State { source, .. }) => return Err(RestoreError::Rows { path, source }),
        Err(OpenError::Database { source, .. }) => return Err(RestoreError::NoBackup { path, source }),
        Err(error) => {
            let source = error.to_string().into();
            return Err(RestoreError::NoBackup { path, source });
        }
    };
    let rows = |source| RestoreError::Rows {
        path: backup.to_owned(),
        source,
    };
    let view = store.frozen().map_err(rows)?;
    let faults = admin::verify(&*view, progress).map_err(rows)?;
    if !faults.is_empty() {
        return Err(RestoreError::Faulty { path, faults });
    }
    drop(view);
    let commands = match former() {
        Some(Ok(former)) => {
            replace_operator_rows(&*store, &former).map_err(rows)?;
            Commands::Former
        }
        Some(Err(error)) => Commands::Lost(error),
        None => Commands::Backup,
    };
    let view = store.view().map_err(rows)?;
    let modules = admin::list(&*view).map_err(rows)?;
    Ok(Restored { modules, commands })
}

/// Gives the present state a second name, which stays when the first one is replaced. A crash in
/// between leaves the present state in place.
fn keep(present: &Path, kept: &Path) -> io::Result<()> {
    match fs::remove_file(kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::hard_link(present, kept),
    }
}

fn list(faults: &[Fault]) -> String {
    let faults: Vec<_> = faults.iter().map(Fault::to_string).collect();
    faults.join("; ")
}

fn write_error(path: &MaskedPath) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.shown().to_owned();
    |source| RestoreError::Write { path, source }
}
