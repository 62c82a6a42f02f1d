//! A copy of the whole content of a store.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use ::redb::{Builder, DatabaseError, Error};
use nexum_config::hint::Hint;
use nexum_core::store::{StoreError, View};

use crate::redb::ROWS;

/// The memory for pages during a backup, in bytes: a backup writes each page once and reads none.
const CACHE_BYTES: usize = 16 << 20;

/// The number of rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 1_024;

/// Why a backup failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file has the name.
    #[error("{} exists", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("the backup cannot be written")]
    File(#[source] io::Error),
    /// The copy cannot be written.
    #[error("the backup cannot be written")]
    Copy(#[source] Box<Error>),
    /// The store cannot be read.
    #[error("the state cannot be read")]
    Store(#[from] StoreError),
}

impl Hint for BackupError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(_) => Some("name another file: `nexum state backup FILE`".to_owned()),
            Self::File(_) => Some("name a file that the user of nexum can write: `nexum state backup FILE`".to_owned()),
            Self::Copy(_) | Self::Store(_) => None,
        }
    }
}

/// Copies every row of a view into a new redb file at `path`, from any back-end. The view must be
/// [frozen](nexum_core::store::StateStore::frozen). Afterwards the file is complete and synced, or
/// absent. [`restore`](crate::restore()) makes it the state of a directory. Calls `progress` with the
/// number of copied rows, from time to time and at the end.
///
/// # Errors
///
/// [`BackupError`] if `path` exists or cannot be written, or the view cannot be read.
pub fn backup(view: &dyn View, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), BackupError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let exists = path.try_exists().map_err(BackupError::File)?;
    if exists {
        return Err(BackupError::Exists(path.to_owned()));
    }
    let file = tempfile::Builder::new().prefix(".backup-").tempfile_in(directory);
    let file = file.map_err(BackupError::File)?;
    copy(view, file.path(), progress)?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => BackupError::File(error.error),
    })?;
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(BackupError::File)
}

fn copy(view: &dyn View, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), BackupError> {
    let database = Builder::new().set_cache_size(CACHE_BYTES).create(path);
    let database = database.map_err(|error: DatabaseError| failed(error))?;
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_quick_repair(true);
    let mut rows = 0;
    {
        let mut table = transaction.open_table(ROWS).map_err(failed)?;
        let mut result = Ok(());
        view.scan((Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
            if let Err(error) = table.insert(key, value) {
                result = Err(failed(error));
                return ControlFlow::Break(());
            }
            rows += 1;
            if rows % ROWS_PER_REPORT == 0 {
                progress(rows);
            }
            ControlFlow::Continue(())
        })?;
        result?;
    }
    transaction.commit().map_err(failed)?;
    progress(rows);
    Ok(())
}

fn failed(error: impl Into<Error>) -> BackupError {
    BackupError::Copy(Box::new(error.into()))
}
