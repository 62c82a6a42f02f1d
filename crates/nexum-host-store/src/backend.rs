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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexum_core::state;
use nexum_core::store::{MemoryStore, StateStore};
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

/// Opens a back-end's file, which may be missing.
type Open = fn(Place) -> Result<Arc<dyn StateStore>, OpenError>;

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
struct Place {
    /// Its file, or its directory of files.
    path: PathBuf,
    /// About how much memory it may use to read faster.
    cache_bytes: usize,
    /// To be kept for as long as the file is open.
    lock: DirectoryLock,
}

/// Opens the state in a directory, which is made if it is missing.
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
    let is_new = !exists(&path)?;
    if is_new {
        refuse_other(backend, directory)?;
    }
    let store = open(Place {
        path: path.clone(),
        cache_bytes,
        lock,
    })?;
    state::open(&*store).map_err(|source| OpenError::State { path, source })?;
    if is_new {
        sync(directory)?;
    }
    Ok(store)
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
