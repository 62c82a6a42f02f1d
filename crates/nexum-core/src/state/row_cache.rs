//! A cache of the modules' keys over a store on another machine.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, Either, ready};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::ModuleId;
use super::rows::{self, Kind};
use crate::store::{Answer, Batch, Location, Range, StateStore, StoreError, View, Visit, VisitAsync};

/// The memory of a cached row beside its key and value, in bytes: the cache's own entry.
const ROW_BYTES: usize = 96;

/// The average size of a row, with which the cache estimates its number of rows.
const ROW_BYTES_USUAL: usize = 256;

/// A store with a cache of the modules' keys, including keys without a value. Later reads of a key need
/// no access to the store.
///
/// A module's keys change only through this store, as long as this process owns the module. When the
/// process loses the module, [`clear`](Self::clear) has to empty the cache.
///
/// A frozen view does not use the cache: its rows are those of an earlier time.
#[derive(Debug)]
pub struct RowCache {
    inner: Arc<dyn StateStore>,
    rows: Arc<CachedRows>,
}

impl RowCache {
    /// Adds a cache of about this many bytes to a store.
    pub fn new(inner: Arc<dyn StateStore>, bytes: usize) -> Self {
        let rows = Arc::new(CachedRows::new(bytes));
        Self { inner, rows }
    }

    /// Empties the cache. Reads in progress do not fill it.
    pub fn clear(&self) {
        let mut generations = self.rows.generations.lock();
        generations.all = generations.next();
        generations.modules.clear();
        self.rows.cache.clear();
    }
}

impl StateStore for RowCache {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(CachedView {
            view: self.inner.view()?,
            rows: self.rows.clone(),
        }))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.inner.frozen()
    }

    fn frozen_async(&self) -> Answer<'_, Box<dyn View>> {
        self.inner.frozen_async()
    }

    /// After a failed write, the cache has none of the batch's rows: only the store knows their values.
    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let written = self.inner.write(batch);
        self.rows.written(batch, written.is_ok());
        written
    }

    fn compact(&self) -> Result<(), StoreError> {
        self.inner.compact()
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        self.inner.check_lease()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    /// Reads in progress do not fill the cache.
    fn forget(&self, matches: &dyn Fn(&[u8]) -> bool) {
        let mut generations = self.rows.generations.lock();
        generations.all = generations.next();
        generations.modules.clear();
        self.rows.cache.retain(|key, _| !matches(key));
        drop(generations);
        self.inner.forget(matches);
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    fn location(&self) -> Option<Location> {
        self.inner.location()
    }
}

/// A row's value, or `None` for a row that does not exist.
type Value = Option<Vec<u8>>;

#[derive(Debug)]
struct CachedRows {
    cache: Cache<Vec<u8>, Value, ByBytes>,
    generations: Mutex<Generations>,
}

/// The number of each module's last write. A read that began before a write must not fill the cache
/// after it.
#[derive(Debug, Default)]
struct Generations {
    last: u64,
    /// The number of the last [`RowCache::clear`].
    all: u64,
    modules: HashMap<ModuleId, u64>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Vec<u8>, Value> for ByBytes {
    fn weight(&self, key: &Vec<u8>, value: &Value) -> u64 {
        (key.len() + value.as_ref().map_or(0, Vec::len) + ROW_BYTES) as u64
    }
}

impl Generations {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn of(&self, module: ModuleId) -> u64 {
        self.modules.get(&module).copied().unwrap_or(self.all)
    }
}

impl CachedRows {
    fn new(bytes: usize) -> Self {
        Self {
            cache: Cache::with_weighter(bytes / ROW_BYTES_USUAL, bytes as u64, ByBytes),
            generations: Mutex::default(),
        }
    }

    fn generation(&self, module: ModuleId) -> u64 {
        self.generations.lock().of(module)
    }

    /// Adds the row that a read has found, unless the module was written since the read began.
    fn fill(&self, key: &[u8], module: ModuleId, generation: u64, value: &Value) {
        let generations = self.generations.lock();
        if generations.of(module) == generation {
            self.cache.insert(key.to_vec(), value.clone());
        }
    }

    /// Adds the rows of a batch, or removes them if the write failed.
    fn written(&self, batch: &Batch, is_written: bool) {
        let mut generations = self.generations.lock();
        for (key, value) in batch.changes() {
            let Some(module) = module_of(key) else { continue };
            let generation = generations.next();
            generations.modules.insert(module, generation);
            match is_written {
                true => self.cache.insert(key.to_vec(), value.map(<[u8]>::to_vec)),
                false => drop(self.cache.remove(key)),
            }
        }
    }
}

/// The module of a cached row. `None` for a row of another kind.
fn module_of(key: &[u8]) -> Option<ModuleId> {
    match rows::kind_of(key) {
        Kind::State => rows::id_of(key).ok(),
        _ => None,
    }
}

#[derive(Debug)]
struct CachedView {
    view: Box<dyn View>,
    rows: Arc<CachedRows>,
}

impl View for CachedView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(module) = module_of(key) else {
            return self.view.get(key);
        };
        if let Some(value) = self.rows.cache.get(key) {
            return Ok(value);
        }
        let generation = self.rows.generation(module);
        let value = self.view.get(key)?;
        self.rows.fill(key, module, generation, &value);
        Ok(value)
    }

    fn get_async<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Vec<u8>>> {
        let Some(module) = module_of(key) else {
            return self.view.get_async(key);
        };
        if let Some(value) = self.rows.cache.get(key) {
            return Either::Left(ready(Ok(value)));
        }
        let generation = self.rows.generation(module);
        let read: BoxFuture<'a, _> = Box::pin(async move {
            let value = self.view.get_async(key).await?;
            self.rows.fill(key, module, generation, &value);
            Ok(value)
        });
        Either::Right(read)
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view.scan(range, visit)
    }

    fn scan_async<'a>(&'a self, range: Range<'a>, visit: &'a mut VisitAsync<'_>) -> Answer<'a, ()> {
        self.view.scan_async(range, visit)
    }
}

#[cfg(test)]
mod tests;
