//! The state directory, which contains the file of a back-end.
//!
//! A state directory has one back-end, one open process, and one format of rows; [`open`] enforces all three.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use nexum_config::masked_path::MaskedPath;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::{BoxError, state};

use crate::backend::Backend;
use crate::error::OpenError;
use crate::lock::DirectoryLock;

/// Opens a back-end's file at a path, with a cache of this many bytes. Creates a missing file.
/// Holds the lock for as long as the store is open.
type Open = fn(MaskedPath, usize, Option<DirectoryLock>) -> Result<Arc<dyn StateStore>, BoxError>;

#[cfg(feature = "redb")]
const REDB: Option<Open> = Some(crate::redb::open);
#[cfg(not(feature = "redb"))]
const REDB: Option<Open> = None;

#[cfg(feature = "sled")]
const SLED: Option<Open> = Some(crate::sled::open);
#[cfg(not(feature = "sled"))]
const SLED: Option<Open> = None;

#[cfg(feature = "fjall")]
const FJALL: Option<Open> = Some(crate::fjall::open);
#[cfg(not(feature = "fjall"))]
const FJALL: Option<Open> = None;

fn opener(backend: Backend) -> Option<Open> {
    match backend {
        Backend::Redb => REDB,
        Backend::Sled => SLED,
        Backend::Fjall => FJALL,
        Backend::Postgres | Backend::Memory => None,
    }
}

/// Opens the state in a directory. Creates a missing directory. Writes a new file under a temporary
/// name first, because no back-end can open an unfinished file.
pub(crate) fn open(
    backend: Backend,
    cache_bytes: usize,
    directory: &MaskedPath,
    purpose: &str,
) -> Result<Arc<dyn StateStore>, OpenError> {
    let Some(file_name) = backend.file_name() else {
        refuse_other(backend, directory)?;
        return Ok(Arc::new(MemoryStore::new()));
    };
    let open = opener(backend).ok_or(OpenError::NotBuilt(backend))?;
    let lock = take(directory, purpose)?;
    let path = directory.join(file_name);
    refuse_irregular(&path)?;
    refuse_emptied(&path)?;
    if !exists(&path)? {
        refuse_other(backend, directory)?;
        let unfinished = unfinished(directory, file_name)?;
        drop(opened(open, &unfinished, cache_bytes, None)?);
        let renamed = std::fs::rename(&*unfinished, &*path);
        renamed.map_err(|source| OpenError::Directory {
            path: directory.to_path_buf(),
            source,
        })?;
        sync(directory)?;
    }
    opened(open, &path, cache_bytes, Some(lock))
}

/// Takes a directory for this process. Creates a missing one.
pub(crate) fn take(directory: &Path, purpose: &str) -> Result<DirectoryLock, OpenError> {
    make(directory)?;
    hide(directory)?;
    DirectoryLock::take(directory, purpose)
}

/// The temporary name of a new file, which no file has.
pub(crate) fn unfinished(directory: &MaskedPath, file_name: &str) -> Result<MaskedPath, OpenError> {
    let path = directory.join(&format!("{file_name}.new"));
    discard(&path)?;
    Ok(path)
}

/// Opens a file that exists, and checks that this version of nexum can read its rows.
#[cfg(feature = "redb")]
pub(crate) fn open_existing(
    backend: Backend,
    path: &MaskedPath,
    cache_bytes: usize,
) -> Result<Arc<dyn StateStore>, OpenError> {
    let open = opener(backend).ok_or(OpenError::NotBuilt(backend))?;
    refuse_irregular(path)?;
    refuse_emptied(path)?;
    opened(open, path, cache_bytes, None)
}

/// Opens a file, and checks that this version of nexum can read its rows.
fn opened(
    open: Open,
    path: &MaskedPath,
    cache_bytes: usize,
    lock: Option<DirectoryLock>,
) -> Result<Arc<dyn StateStore>, OpenError> {
    // The back-ends panic on some damaged files.
    let attempt = AssertUnwindSafe(|| open(path.clone(), cache_bytes, lock));
    let opened = std::panic::catch_unwind(attempt).unwrap_or_else(|_| Err("the file is damaged".into()));
    let store = opened.map_err(|source| OpenError::Database {
        path: path.to_path_buf(),
        source,
    })?;
    state::open(&*store).map_err(|source| OpenError::State {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(store)
}

/// Removes the unfinished file of a process that ended early.
fn discard(path: &Path) -> Result<(), OpenError> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(OpenError::Directory {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Syncs a directory, so that a new file survives a power failure.
pub(crate) fn sync(directory: &Path) -> Result<(), OpenError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    })
}

/// Creates a directory with access for its owner only: modules' state may be secret.
fn make(directory: &Path) -> Result<(), OpenError> {
    let mut builder = DirBuilder::new();
    private(builder.recursive(true));
    builder.create(directory).map_err(|source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    })
}

#[cfg(unix)]
fn private(builder: &mut DirBuilder) {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700);
}

#[cfg(not(unix))]
fn private(_builder: &mut DirBuilder) {}

/// Removes the rights of other users from a directory and from its files. Modules' state may be
/// secret, and another program may have created the directory.
#[cfg(unix)]
fn hide(directory: &Path) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    };
    hide_entry(directory).map_err(unusable)?;
    for entry in std::fs::read_dir(directory).map_err(unusable)? {
        let entry = entry.map_err(unusable)?;
        if !entry.file_type().map_err(unusable)?.is_symlink() {
            hide_entry(&entry.path()).map_err(unusable)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn hide_entry(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = std::fs::metadata(path)?.permissions();
    let others = permissions.mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    permissions.set_mode(permissions.mode() & !0o077);
    std::fs::set_permissions(path, permissions)
}

#[cfg(not(unix))]
fn hide(_directory: &Path) -> Result<(), OpenError> {
    Ok(())
}

/// Refuses a FIFO or a device in place of a file of the back-end: opening or reading it can block forever.
fn refuse_irregular(path: &Path) -> Result<(), OpenError> {
    let is_irregular = |path: &Path| match std::fs::metadata(path) {
        Ok(found) => !found.is_file() && !found.is_dir(),
        Err(_) => false,
    };
    let inside = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut all = std::iter::once(path.to_owned()).chain(inside.map(|entry| entry.path()));
    match all.find(|path| is_irregular(path)) {
        Some(path) => Err(OpenError::Irregular { path }),
        None => Ok(()),
    }
}

/// Refuses an empty file: a back-end would replace the lost state with an empty one.
fn refuse_emptied(path: &Path) -> Result<(), OpenError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == 0 => Err(OpenError::Emptied { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// Refuses a directory with the file of another back-end.
pub(crate) fn refuse_other(wanted: Backend, directory: &Path) -> Result<(), OpenError> {
    for found in Backend::IN_A_DIRECTORY {
        if found != wanted
            && let Some(name) = found.file_name()
            && exists(&directory.join(name))?
        {
            return Err(OpenError::OtherBackend {
                path: directory.to_owned(),
                found,
                wanted,
            });
        }
    }
    Ok(())
}

/// Whether a directory contains state of any back-end.
pub(crate) fn has_state(directory: &Path) -> Result<bool, OpenError> {
    for backend in Backend::IN_A_DIRECTORY {
        if let Some(name) = backend.file_name()
            && exists(&directory.join(name))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(|source| OpenError::Directory {
        path: path.to_owned(),
        source,
    })
}
