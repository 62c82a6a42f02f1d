//! The store on [redb](https://www.redb.org): one file, and one table in it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::redb::{
    Builder, CompactionError, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, StorageBackend,
    TableDefinition, TableError,
};
use nexum_core::BoxError;
use nexum_core::store::{Batch, Location, Range, StateStore, StoreError, View, Visit};

use crate::location::location;
use crate::lock::DirectoryLock;
use crate::reopening::{Health, Reopening};

/// The one table.
pub(crate) const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// How often [`compact`](StateStore::compact) asks for the database to itself, and how long it waits in between: together
/// longer than most events take, whose views are in its way.
const COMPACT_TRIES: u32 = 50;
const COMPACT_WAIT: Duration = Duration::from_millis(100);

/// Keeps state in a redb database.
pub struct RedbStore {
    database: Reopening<Database>,
    /// The database's file. `None` for a database on another medium.
    path: Option<PathBuf>,
    _lock: Option<DirectoryLock>,
}

/// Opens the file of a state directory.
pub(crate) fn open(
    path: PathBuf,
    cache_bytes: usize,
    lock: Option<DirectoryLock>,
) -> Result<Arc<dyn StateStore>, BoxError> {
    Ok(Arc::new(RedbStore::of_file(path, cache_bytes, lock)?))
}

impl RedbStore {
    /// Opens a file, which is made if it is missing. `cache_bytes` bounds the memory for pages.
    ///
    /// # Errors
    ///
    /// When it is no database, or in use, or cannot be read.
    pub fn open(path: impl Into<PathBuf>, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::of_file(path.into(), cache_bytes, None).map_err(StoreError::Backend)
    }

    /// Opens what `medium` stores in place of a file. It is asked again when the database has to be opened anew, and then
    /// has to show what was stored before.
    ///
    /// # Errors
    ///
    /// When there is something else than a database, or it cannot be read.
    pub fn on<M, F>(medium: F, cache_bytes: usize) -> Result<Self, StoreError>
    where
        M: StorageBackend,
        F: Fn() -> M + Send + Sync + 'static,
    {
        let create = move |builder: &Builder| builder.create_with_backend(medium());
        Self::new(create, None, cache_bytes, None).map_err(StoreError::Backend)
    }

    fn of_file(path: PathBuf, cache_bytes: usize, lock: Option<DirectoryLock>) -> Result<Self, BoxError> {
        let file = path.clone();
        let create = move |builder: &Builder| builder.create(&file);
        Self::new(create, Some(path), cache_bytes, lock)
    }

    fn new<F>(
        create: F,
        path: Option<PathBuf>,
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

/// Makes the table, if the database is new.
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
        self.database.with(|opened| {
            let mut transaction = opened.database.begin_write()?;
            // After a crash the file need not be read through: a GiB takes seconds, from a slow disk minutes. And which of two
            // commits is the last one does not hang on a checksum of bytes that modules choose.
            transaction.set_quick_repair(true);
            let mut table = transaction.open_table(ROWS)?;
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => drop(table.insert(key, value)?),
                    None => drop(table.remove(key)?),
                }
            }
            drop(table);
            Ok(transaction.commit()?)
        })
    }

    /// Needs the database to itself: nothing is read or written meanwhile, and where views are held for longer than a few
    /// seconds it gives up.
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
        self.path.as_deref().map(location)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store's methods block, and are called where that is allowed"
)]
fn wait() {
    std::thread::sleep(COMPACT_WAIT);
}

/// What was committed when it was made.
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
