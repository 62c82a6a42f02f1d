//! The store on [fjall](https://docs.rs/fjall/3.1.13): a directory with a journal and sorted tables.
//!
//! A commit appends its batch to the journal and syncs it once. fjall's own threads move the rows into
//! tables later. After a failed write or sync, fjall refuses every further write until the database is
//! opened again. Before that, [`repair`] makes the journals whole.

pub(crate) mod journal;
mod repair;

use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use ::fjall::{Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _, Snapshot};
use nexum_config::masked_path::MaskedPath;
use nexum_core::BoxError;
use nexum_core::store::{Batch, Location, Range, StateStore, StoreError, View, Visit, is_empty};
use parking_lot::Mutex;

use crate::location::location;
use crate::lock::DirectoryLock;
use crate::reopening::{Health, Reopening};

/// The keyspace of all rows.
const ROWS: &str = "rows";

/// The first byte of each key: fjall takes no empty key.
const ROW: u8 = b'r';

/// The most bytes of all journals: opening reads them. The least that fjall takes, and the size that it
/// gives a new journal.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// The most bytes of new rows in memory before fjall writes them into a table. A quarter of a journal, so
/// that an older journal is no longer needed by the time the next one is full.
const MEMTABLE_BYTES_MAX: u64 = 16 << 20;

/// The threads that write tables and merge them: one can merge while the other writes new rows.
const WORKERS: usize = 2;

/// A store in a fjall database.
pub struct FjallStore {
    database: Reopening<Database>,
    /// Held during a write.
    writes: Mutex<()>,
    /// The database's directory.
    path: MaskedPath,
    _lock: Option<DirectoryLock>,
}

/// An open database. A [`Keyspace`] holds fjall's lock of the directory, so that views only have a weak
/// reference: an old view must not prevent reopening.
struct Database(Arc<Handles>);

struct Handles {
    rows: Keyspace,
    // Dropped after the keyspace: dropping the database ends its threads.
    database: ::fjall::Database,
}

/// Opens the database in a state directory.
pub(crate) fn open(
    path: MaskedPath,
    cache_bytes: usize,
    lock: Option<DirectoryLock>,
) -> Result<Arc<dyn StateStore>, BoxError> {
    Ok(Arc::new(FjallStore::new(path, cache_bytes, lock)?))
}

impl FjallStore {
    /// Opens a directory of database files. Creates a missing directory. `cache_bytes` bounds the memory
    /// for blocks of tables.
    ///
    /// # Errors
    ///
    /// If the directory is not a database, is in use, or cannot be read.
    pub fn open(path: impl Into<PathBuf>, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::new(path.into().into(), cache_bytes, None).map_err(StoreError::Backend)
    }

    fn new(path: MaskedPath, cache_bytes: usize, lock: Option<DirectoryLock>) -> Result<Self, BoxError> {
        let directory = path.clone();
        let open = move || Database::open(&directory, cache_bytes);
        Ok(Self {
            database: Reopening::new(Box::new(open))?,
            writes: Mutex::default(),
            path,
            _lock: lock,
        })
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        let view = self.database.with(|opened| {
            let handles = &opened.database.0;
            Ok(FjallView {
                snapshot: handles.database.snapshot(),
                handles: Arc::downgrade(handles),
                health: opened.health.clone(),
            })
        });
        Ok(Box::new(view?))
    }
}

impl Database {
    fn open(path: &Path, cache_bytes: usize) -> Result<Self, BoxError> {
        repair::repair(path)?;
        let database = ::fjall::Database::builder(path)
            .cache_size(cache_bytes as u64)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKERS)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
        let rows = database.keyspace(ROWS, options)?;
        Ok(Self(Arc::new(Handles { rows, database })))
    }
}

impl StateStore for FjallStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.read()
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.read()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let _writes = self.writes.lock();
        let is_met = self.database.with(|opened| {
            let Handles { rows, database } = &*opened.database.0;
            let is_met = batch.is_met(|key| Ok::<_, BoxError>(rows.get(row(key))?.map(|value| value.to_vec())))?;
            if !is_met {
                return Ok(false);
            }
            let mut changes = database.batch().durability(Some(PersistMode::SyncData));
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => changes.insert(rows, row(key), value),
                    None => changes.remove(rows, row(key)),
                }
            }
            changes.commit()?;
            Ok(true)
        });
        is_met?.then_some(()).ok_or(StoreError::Conflict)
    }

    fn location(&self) -> Option<Location> {
        Some(location(&self.path))
    }
}

/// The key of a row in fjall.
fn row(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(ROW);
    row.extend_from_slice(key);
    row
}

/// A view of the state that was committed when the view was made.
struct FjallView {
    snapshot: Snapshot,
    handles: Weak<Handles>,
    health: Health,
}

impl FjallView {
    /// Reads from the database, unless it was closed after a failure.
    fn read<T>(&self, work: impl FnOnce(&Keyspace) -> Result<T, BoxError>) -> Result<T, StoreError> {
        self.health.watch(|| {
            let handles = self
                .handles
                .upgrade()
                .ok_or("the database was closed after a failure")?;
            work(&handles.rows)
        })
    }
}

impl View for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|rows| Ok(self.snapshot.get(rows, row(key))?.map(|value| value.to_vec())))
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if is_empty(range) {
            return Ok(());
        }
        let from = match range.0 {
            Bound::Unbounded => Bound::Included(vec![ROW]),
            bound => bound.map(row),
        };
        self.read(|rows| {
            for found in self.snapshot.range(rows, (from, range.1.map(row))) {
                let (key, value) = found.into_inner()?;
                if visit(&key[1..], &value).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for FjallView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallView").finish_non_exhaustive()
    }
}
