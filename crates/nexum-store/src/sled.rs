//! The store on [sled](https://docs.rs/sled/0.34.7): a directory of files, and one tree in it.
//!
//! sled has no snapshots: a view reads what is there, and a frozen one keeps writes waiting. After a write has failed nothing can
//! be read either until the disk has room, because sled writes when it opens.
//!
//! sled's own flush waits until the pages of its log are written, and does not sync the file: when the power fails, the file's
//! new length may be lost, and with it what was in the new part. So the log is synced here as well.

mod gate;
mod rows;

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexum_core::BoxError;
use nexum_core::store::{Batch, Location, Range, StateStore, StoreError, View, Visit};

use self::gate::{Frozen, Gate};
use self::rows::{Rows, SEGMENT_BYTES};
use crate::location::location;
use crate::lock::DirectoryLock;
use crate::reopening::Reopening;

/// sled's log, in its directory.
const LOG: &str = "db";

/// How often a database that is still locked is tried again, and how long after: longer than one of sled's writes takes.
const UNLOCK_TRIES: u32 = 50;
const UNLOCK_WAIT: Duration = Duration::from_millis(10);

/// Keeps state in a sled database.
pub struct SledStore {
    database: Arc<Reopening<Database>>,
    gate: Arc<Gate>,
    /// The database's directory.
    path: PathBuf,
    _lock: Option<DirectoryLock>,
}

struct Database {
    rows: Rows,
    log: File,
}

/// Opens the files of a state directory.
pub(crate) fn open(
    path: PathBuf,
    cache_bytes: usize,
    lock: Option<DirectoryLock>,
) -> Result<Arc<dyn StateStore>, BoxError> {
    Ok(Arc::new(SledStore::new(path, cache_bytes, lock)?))
}

impl SledStore {
    /// Opens a directory of files, which is made if it is missing. `cache_bytes` bounds the memory for pages.
    ///
    /// # Errors
    ///
    /// When it is no database, or in use, or cannot be read.
    pub fn open(path: impl Into<PathBuf>, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::new(path.into(), cache_bytes, None).map_err(StoreError::Backend)
    }

    fn new(path: PathBuf, cache_bytes: usize, lock: Option<DirectoryLock>) -> Result<Self, BoxError> {
        let directory = path.clone();
        let open = move || Database::open(&directory, cache_bytes);
        Ok(Self {
            database: Arc::new(Reopening::new(Box::new(open))?),
            gate: Arc::default(),
            path,
            _lock: lock,
        })
    }

    fn read(&self, frozen: Option<Frozen>) -> Box<dyn View> {
        Box::new(SledView {
            database: self.database.clone(),
            _frozen: frozen,
        })
    }
}

impl StateStore for SledStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(self.read(None))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(self.read(Some(self.gate.freeze())))
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let _alone = self.gate.write();
        self.database.with(|opened| {
            opened.database.rows.apply(batch)?;
            opened.database.rows.flush()?;
            Ok(opened.database.log.sync_data()?)
        })
    }

    fn location(&self) -> Option<Location> {
        Some(location(&self.path))
    }
}

impl Database {
    fn open(path: &Path, cache_bytes: usize) -> Result<Self, BoxError> {
        remove_unfinished(path)?;
        let config = ::sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(cache_bytes as u64);
        Ok(Self {
            rows: Rows::new(open_unlocked(&config)?)?,
            log: File::open(path.join(LOG))?,
        })
    }
}

/// What the name of a snapshot ends with that sled was still writing when its process ended, or the disk was full.
const UNFINISHED: &str = "generating";

/// Removes unfinished snapshots: sled takes them for finished ones, finds them damaged, and refuses the database. It needs
/// none, because it makes them from its log.
fn remove_unfinished(directory: &Path) -> Result<(), BoxError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Opens a database as soon as sled's own threads have let go of it, which may be a moment after it was closed.
fn open_unlocked(config: &::sled::Config) -> Result<::sled::Db, ::sled::Error> {
    for _ in 0..UNLOCK_TRIES {
        match config.open() {
            // The one error of this kind that sled makes: the lock is taken.
            Err(::sled::Error::Io(error)) if error.kind() == ErrorKind::Other => wait(),
            opened => return opened,
        }
    }
    config.open()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store's methods block, and are called where that is allowed"
)]
fn wait() {
    std::thread::sleep(UNLOCK_WAIT);
}

/// What is there when it is read.
struct SledView {
    database: Arc<Reopening<Database>>,
    _frozen: Option<Frozen>,
}

impl View for SledView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.with(|opened| opened.database.rows.get(key))
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        // What is visited may take its time, and use the store: nothing is locked meanwhile.
        let (rows, health) = self
            .database
            .with(|opened| Ok((opened.database.rows.clone(), opened.health.clone())))?;
        health.watch(|| rows.scan(range, visit))
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for SledView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledView").finish_non_exhaustive()
    }
}
