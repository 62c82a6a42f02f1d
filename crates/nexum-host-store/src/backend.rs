//! Where the rows are: the back-ends of the core's [`StateStore`], and the directory that they keep their files in.
//!
//! A state directory has one back-end, one open process, and one format of rows; [`StoreConfig::open`](crate::StoreConfig::open)
//! sees to all three.

mod lock;
#[cfg(feature = "redb")]
mod redb;
#[cfg(any(feature = "redb", feature = "sled"))]
mod reopening;
#[cfg(feature = "sled")]
mod sled;

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::{BoxError, state};
use serde::Deserialize;

use crate::error::OpenError;
use lock::DirectoryLock;

#[cfg(feature = "redb")]
pub(crate) use self::redb::ROWS;
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "sled")]
pub use self::sled::SledStore;

/// A back-end of the state store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// One file, with every commit synced.
    #[default]
    Redb,
    /// A directory of files; commits in large batches are cheaper, and promise less when the power fails.
    Sled,
    /// Nothing: the state is gone with the process.
    Memory,
}

/// Opens a back-end's file, which is made if it is missing, and keeps the lock for as long as that is open.
type Open = fn(Place, Option<DirectoryLock>) -> Result<Arc<dyn StateStore>, BoxError>;

#[cfg(feature = "redb")]
const REDB: Option<Open> = Some(self::redb::open);
#[cfg(not(feature = "redb"))]
const REDB: Option<Open> = None;

#[cfg(feature = "sled")]
const SLED: Option<Open> = Some(self::sled::open);
#[cfg(not(feature = "sled"))]
const SLED: Option<Open> = None;

impl Backend {
    /// Those that keep a file.
    const DURABLE: [Self; 2] = [Self::Redb, Self::Sled];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }

    /// Whether it is compiled in.
    pub fn is_built(self) -> bool {
        self == Self::Memory || self.opener().is_some()
    }

    /// What its file is called in a state directory.
    pub fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Redb => Some("state.redb"),
            Self::Sled => Some("state.sled"),
            Self::Memory => None,
        }
    }

    /// How to get a build that has it.
    pub(crate) fn feature_hint(self) -> Option<String> {
        let feature = match self {
            Self::Redb => "store",
            Self::Sled => "store-sled",
            Self::Memory => return None,
        };
        Some(format!("build nexum with `--features {feature}`"))
    }

    fn opener(self) -> Option<Open> {
        match self {
            Self::Redb => REDB,
            Self::Sled => SLED,
            Self::Memory => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a back-end is given to open.
#[cfg_attr(
    not(any(feature = "redb", feature = "sled")),
    expect(dead_code, reason = "a build without a back-end opens none")
)]
struct Place {
    /// Its file, or its directory of files.
    path: PathBuf,
    /// About how much memory it may use to read faster.
    cache_bytes: usize,
}

/// Opens the state in a directory, which is made if it is missing. A new file is made under another name, because neither back-end
/// can open what was left when that was cut off.
pub(crate) fn open(
    backend: Backend,
    cache_bytes: usize,
    directory: &Path,
    purpose: &str,
) -> Result<Arc<dyn StateStore>, OpenError> {
    let Some(file_name) = backend.file_name() else {
        refuse_other(backend, directory)?;
        return Ok(Arc::new(MemoryStore::new()));
    };
    let open = backend.opener().ok_or(OpenError::NotBuilt(backend))?;
    make(directory)?;
    let lock = DirectoryLock::take(directory, purpose)?;
    let path = directory.join(file_name);
    let place = |path: &Path| Place {
        path: path.to_owned(),
        cache_bytes,
    };
    if !exists(&path)? {
        refuse_other(backend, directory)?;
        let unfinished = directory.join(format!("{file_name}.new"));
        discard(&unfinished)?;
        drop(opened(open, place(&unfinished), None)?);
        let renamed = std::fs::rename(&unfinished, &path);
        renamed.map_err(|source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        })?;
        sync(directory)?;
    }
    opened(open, place(&path), Some(lock))
}

/// Opens a file, and looks whether its rows are what this program reads.
fn opened(open: Open, place: Place, lock: Option<DirectoryLock>) -> Result<Arc<dyn StateStore>, OpenError> {
    let path = place.path.clone();
    let store = open(place, lock).map_err(|source| OpenError::Database {
        path: path.clone(),
        source,
    })?;
    state::open(&*store).map_err(|source| OpenError::State { path, source })?;
    Ok(store)
}

/// Removes what was begun by a process that did not come to the end of it.
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

/// Sees to it that a new file is still there when the power has failed.
fn sync(directory: &Path) -> Result<(), OpenError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    })
}

/// Makes a directory, for its owner alone: what modules keep is nobody else's.
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

/// Refuses a directory in which another back-end has its file.
fn refuse_other(wanted: Backend, directory: &Path) -> Result<(), OpenError> {
    for found in Backend::DURABLE {
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

fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(|source| OpenError::Directory {
        path: path.to_owned(),
        source,
    })
}
