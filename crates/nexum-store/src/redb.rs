//! The store on [redb](https://www.redb.org): one file with one table.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::redb::{
    Builder, CompactionError, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable as _,
    StorageBackend, TableDefinition, TableError,
};
use nexum_config::masked_path::MaskedPath;
use nexum_core::BoxError;
use nexum_core::store::{Batch, Location, Range, StateStore, StoreError, View, Visit};

use crate::location::location;
use crate::lock::DirectoryLock;
use crate::reopening::{Health, Reopening};

/// The table of all rows.
pub(crate) const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// The attempts of [`compact`](StateStore::compact) to get exclusive access to the database, and
/// the wait between two attempts. Together they take longer than most events, whose views prevent
/// the access.
const COMPACT_TRIES: u32 = 50;
const COMPACT_WAIT: Duration = Duration::from_millis(100);

/// A store in a redb database.
pub struct RedbStore {
    database: Reopening<Database>,
    /// The database's file. `None` for a database on another medium.
    path: Option<MaskedPath>,
    _lock: Option<DirectoryLock>,
}

/// Opens the database in a state directory.
pub(crate) fn open(
    path: MaskedPath,
    cache_bytes: usize,
    lock: Option<DirectoryLock>,
) -> Result<Arc<dyn StateStore>, BoxError> {
    Ok(Arc::new(RedbStore::of_file(path, cache_bytes, lock)?))
}

impl RedbStore {
    /// Opens a database file. Creates a missing file. `cache_bytes` bounds the memory for pages.
    ///
    /// # Errors
    ///
    /// If the file is not a database, is in use, or cannot be read.
    pub fn open(path: impl Into<PathBuf>, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::of_file(path.into().into(), cache_bytes, None).map_err(StoreError::Backend)
    }

    /// Opens a database on the storage that `medium` returns, in place of a file. The store calls
    /// `medium` again when it reopens the database after a failure. `medium` must then return
    /// storage with all data that was synced.
    ///
    /// # Errors
    ///
    /// If the storage is neither empty nor a database, or cannot be read.
    pub fn on<M, F>(medium: F, cache_bytes: usize) -> Result<Self, StoreError>
    where
        M: StorageBackend,
        F: Fn() -> M + Send + Sync + 'static,
    {
        let create = move |builder: &Builder| builder.create_with_backend(medium());
        Self::new(create, None, cache_bytes, None).map_err(StoreError::Backend)
    }

    fn of_file(path: MaskedPath, cache_bytes: usize, lock: Option<DirectoryLock>) -> Result<Self, BoxError> {
        let file = path.to_path_buf();
        let create = move |builder: &Builder| builder.create(&file);
        Self::new(create, Some(path), cache_bytes, lock)
    }

    fn new<F>(
        create: F,
        path: Option<MaskedPath>,
        cache_bytes: usize,
        lock: Option<DirectoryLock>,
    ) -> Result<Self, BoxError>
    where
        F: Fn(&Builder) -> Result<Database, DatabaseError> + Send + Sync + 'static,
    {
        let open = move || prepare(create(&settings(cache_bytes))?);
        Ok(Self {
            database: Reopening::new(Box::new(open))?,
            path,
            _lock: lock,
        })
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        let view = self.database.with(|opened| {
            Ok(RedbView {
                table: opened.database.begin_read()?.open_table(ROWS)?,
                health: opened.health.clone(),
            })
        });
        Ok(Box::new(view?))
    }
}

fn settings(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes).set_repair_callback(|session| {
        tracing::info!(
            target: "nexum::store",
            percent = (session.progress() * 100.0).round(),
            "the state store was not closed in order, and is being checked"
        );
    });
    builder
}

/// Creates the table of a new database.
fn prepare(database: Database) -> Result<Database, BoxError> {
    match database.begin_read()?.open_table(ROWS) {
        Ok(_) => {}
        Err(TableError::TableDoesNotExist(_)) => {
            let transaction = database.begin_write()?;
            transaction.open_table(ROWS)?;
            transaction.commit()?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(database)
}

impl StateStore for RedbStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.read()
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.read()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let is_met = self.database.with(|opened| {
            let mut transaction = opened.database.begin_write()?;
            // With it, a crash does not require a check of the whole file, which takes seconds per
            // GiB, or minutes from a slow disk. It also decides which of two commits is the last
            // without a checksum of bytes that modules choose.
            transaction.set_quick_repair(true);
            let mut table = transaction.open_table(ROWS)?;
            let is_met = batch.is_met(|key| Ok::<_, BoxError>(table.get(key)?.map(|value| value.value().to_vec())))?;
            if !is_met {
                return Ok(false);
            }
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => drop(table.insert(key, value)?),
                    None => drop(table.remove(key)?),
                }
            }
            drop(table);
            transaction.commit()?;
            Ok(true)
        });
        is_met?.then_some(()).ok_or(StoreError::Conflict)
    }

    /// Needs exclusive access to the database: nothing reads or writes meanwhile. Fails if views
    /// stay open for more than a few seconds.
    fn compact(&self) -> Result<(), StoreError> {
        for _ in 0..COMPACT_TRIES {
            let is_done = self.database.with_mut(|database| match database.compact() {
                Ok(_) => Ok(true),
                Err(CompactionError::TransactionInProgress) => Ok(false),
                Err(error) => Err(error.into()),
            });
            if is_done? {
                return Ok(());
            }
            wait();
        }
        Err(StoreError::backend(CompactionError::TransactionInProgress))
    }

    fn location(&self) -> Option<Location> {
        self.path.as_ref().map(location)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store's methods block, and the core calls them where blocking is allowed"
)]
fn wait() {
    std::thread::sleep(COMPACT_WAIT);
}

/// A view of the state that was committed when the view was made.
struct RedbView {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    health: Health,
}

impl View for RedbView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.health.watch(|| {
            let value = self.table.get(key)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.health.watch(|| {
            for row in self.table.range::<&[u8]>(range)? {
                let (key, value) = row?;
                if visit(key.value(), value.value()).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for RedbView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbView").finish_non_exhaustive()
    }
}
