//! The back-ends alone, with the durability and the memory for pages that nexum uses.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use nexum_core::store::StateStore;
use nexum_store::{Backend, StoreConfig};
use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition};
use sled::Db;

use crate::Result;

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new(KEYSPACE);

/// The name of fjall's keyspace, and of redb's table.
const KEYSPACE: &str = "rows";

/// The size of fjall's journals, its memory for new rows, and its threads, as nexum sets them.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
const MEMTABLE_BYTES_MAX: u64 = 16 << 20;
const WORKERS: usize = 2;

/// The size of the segments of sled's log, with which nexum creates its databases.
const SEGMENT_BYTES: usize = 4 << 20;

/// A key with its new value, or none to remove it.
pub(crate) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// A back-end without nexum.
pub(crate) enum Bare {
    Redb(Database),
    Sled(Db, File),
    Fjall(fjall::Database, Keyspace),
}

impl Bare {
    /// Opens the back-end's file in a directory, under the name that nexum uses.
    pub(crate) fn open(backend: Backend, directory: &Path) -> Result<Self> {
        let path = directory.join(backend.file_name().ok_or("a back-end without a file")?);
        let cache_bytes = StoreConfig::default().cache_bytes;
        if backend == Backend::Sled {
            let database = sled::Config::new()
                .path(&path)
                .segment_size(SEGMENT_BYTES)
                .cache_capacity(cache_bytes as u64)
                .open()?;
            return Ok(Self::Sled(database, File::open(path.join("db"))?));
        }
        if backend == Backend::Fjall {
            let database = fjall::Database::builder(&path)
                .cache_size(cache_bytes as u64)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .worker_threads(WORKERS)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
            let rows = database.keyspace(KEYSPACE, options)?;
            return Ok(Self::Fjall(database, rows));
        }
        let database = redb::Builder::new().set_cache_size(cache_bytes).create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.commit()?;
        Ok(Self::Redb(database))
    }

    /// Makes changes durable in one transaction.
    pub(crate) fn write<'a>(&self, changes: impl Iterator<Item = Change<'a>>) -> Result<()> {
        match self {
            Self::Redb(database) => {
                let mut transaction = database.begin_write()?;
                transaction.set_quick_repair(true);
                let mut table = transaction.open_table(ROWS)?;
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(table.insert(key, value)?),
                        None => drop(table.remove(key)?),
                    }
                }
                drop(table);
                transaction.commit()?;
            }
            Self::Sled(database, log) => {
                let mut batch = sled::Batch::default();
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.insert(key, value),
                        None => batch.remove(key),
                    }
                }
                database.apply_batch(batch)?;
                database.flush()?;
                log.sync_data()?;
            }
            Self::Fjall(database, rows) => {
                let mut batch = database.batch().durability(Some(PersistMode::SyncData));
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.insert(rows, key, value),
                        None => batch.remove(rows, key),
                    }
                }
                batch.commit()?;
            }
        }
        Ok(())
    }

    /// Reads the first row. Returns whether there is one.
    pub(crate) fn has_rows(&self) -> Result<bool> {
        Ok(match self {
            Self::Redb(database) => database.begin_read()?.open_table(ROWS)?.first()?.is_some(),
            Self::Sled(database, _) => database.first()?.is_some(),
            Self::Fjall(_, rows) => rows.first_key_value().is_some(),
        })
    }

    /// Reads a key `times` times in one transaction. Returns the number of bytes.
    pub(crate) fn read(&self, key: &[u8], times: u64) -> Result<usize> {
        let mut bytes = 0;
        match self {
            Self::Redb(database) => {
                let table = database.begin_read()?.open_table(ROWS)?;
                for _ in 0..times {
                    bytes += table.get(key)?.map_or(0, |value| value.value().to_vec().len());
                }
            }
            Self::Sled(database, _) => {
                for _ in 0..times {
                    bytes += database.get(key)?.map_or(0, |value| value.to_vec().len());
                }
            }
            Self::Fjall(_, rows) => {
                for _ in 0..times {
                    bytes += rows.get(key)?.map_or(0, |value| value.to_vec().len());
                }
            }
        }
        Ok(bytes)
    }
}

/// The back-end as nexum uses it.
pub(crate) fn with_nexum(backend: Backend, directory: &Path) -> Result<Arc<dyn StateStore>> {
    let mut config = StoreConfig::default();
    config.backend = backend;
    Ok(config.open(&directory.into(), "a bench")?)
}
