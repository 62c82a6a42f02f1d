//! A cache of the modules' keys over a store on another machine.

mod cached;

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use futures_util::future::{BoxFuture, Either, ready};

use super::{ModuleId, Usage, rows};
use crate::store::{Answer, Batch, Location, Range, StateStore, StoreError, View, Visit, VisitAsync};

use cached::{CachedRows, Rows};

/// A store with a cache of the modules' keys, including keys without a value. Later reads of a key need
/// no access to the store. Nor do lists of the keys of a module after [`prefetch`](StateStore::prefetch).
///
/// A module's keys change only through this store, as long as this process owns the module. When the
/// process loses the module, [`forget`] has to remove its rows from the cache.
///
/// A frozen view does not use the cache: its rows are those of an earlier time.
#[derive(Debug)]
pub struct RowCache {
    inner: Arc<dyn StateStore>,
    cached: Arc<CachedRows>,
}

impl RowCache {
    /// Adds a cache of about this many bytes to a store.
    pub fn new(inner: Arc<dyn StateStore>, bytes: usize) -> Self {
        let cached = Arc::new(CachedRows::new(bytes));
        Self { inner, cached }
    }

    /// Empties the cache. Reads in progress do not fill it.
    pub fn clear(&self) {
        self.cached.clear();
    }
}

impl StateStore for RowCache {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(CachedView {
            view: self.inner.view()?,
            cached: self.cached.clone(),
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
        self.cached.written(batch, written.is_ok());
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

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    fn location(&self) -> Option<Location> {
        self.inner.location()
    }

    /// Reads all keys of a small module. Ends at the limit if the module is not small. Other prefixes have
    /// no rows in the cache.
    fn prefetch(&self, prefix: &[u8]) -> Result<(), StoreError> {
        let Some(module) = module_of(prefix).filter(|module| rows::states(*module) == prefix) else {
            return Ok(());
        };
        let generation = self.cached.generation(module);
        let (mut found, mut usage) = (Rows::new(), Usage::default());
        rows::scan(&*self.inner.view()?, prefix, &mut |key, value| {
            usage = usage.after(None, Some(size(key, value)));
            found.insert(key.to_vec(), value.to_vec());
            match usage.is_small() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        if usage.is_small() {
            self.cached.fill_whole(module, generation, found, usage);
        }
        Ok(())
    }

    fn forget(&self, prefixes: &[Vec<u8>]) {
        let modules: Vec<_> = prefixes.iter().filter_map(|prefix| module_of(prefix)).collect();
        self.cached.forget(&modules);
    }
}

/// Removes the keys of modules from the memory of this process, because other processes may change them
/// from now on.
pub fn forget(store: &dyn StateStore, modules: &[ModuleId]) {
    let prefixes: Vec<_> = modules.iter().map(|module| rows::states(*module)).collect();
    store.forget(&prefixes);
}

/// The size of a key and its value in a module's [`Usage`].
fn size(row: &[u8], value: &[u8]) -> u64 {
    (rows::guest_key(row).len() + value.len()) as u64
}

/// The module of a cached row. `None` for a row of another kind.
fn module_of(key: &[u8]) -> Option<ModuleId> {
    match rows::kind_of(key) {
        rows::Kind::State => rows::id_of(key).ok(),
        _ => None,
    }
}

/// The module to which all keys of a range belong. `None` for a range with other keys.
fn module_of_range((from, to): Range<'_>) -> Option<ModuleId> {
    let (Bound::Included(from) | Bound::Excluded(from)) = from else {
        return None;
    };
    let module = module_of(from)?;
    let has_only_it = match to {
        Bound::Included(to) => module_of(to) == Some(module),
        Bound::Excluded(to) => rows::end_of(&rows::states(module)).is_some_and(|end| to <= &end[..]),
        Bound::Unbounded => false,
    };
    has_only_it.then_some(module)
}

#[derive(Debug)]
struct CachedView {
    view: Box<dyn View>,
    cached: Arc<CachedRows>,
}

impl View for CachedView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(module) = module_of(key) else {
            return self.view.get(key);
        };
        if let Some(value) = self.cached.get(module, key) {
            return Ok(value);
        }
        let generation = self.cached.generation(module);
        let value = self.view.get(key)?;
        self.cached.fill(module, generation, key, &value);
        Ok(value)
    }

    fn get_async<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Vec<u8>>> {
        let Some(module) = module_of(key) else {
            return self.view.get_async(key);
        };
        if let Some(value) = self.cached.get(module, key) {
            return Either::Left(ready(Ok(value)));
        }
        let generation = self.cached.generation(module);
        let read: BoxFuture<'a, _> = Box::pin(async move {
            let value = self.view.get_async(key).await?;
            self.cached.fill(module, generation, key, &value);
            Ok(value)
        });
        Either::Right(read)
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        match module_of_range(range).and_then(|module| self.cached.whole(module)) {
            Some(whole) => {
                whole.scan(range, visit);
                Ok(())
            }
            None => self.view.scan(range, visit),
        }
    }

    fn scan_async<'a>(&'a self, range: Range<'a>, visit: &'a mut VisitAsync<'_>) -> Answer<'a, ()> {
        match module_of_range(range).and_then(|module| self.cached.whole(module)) {
            Some(whole) => {
                whole.scan(range, visit);
                Either::Left(ready(Ok(())))
            }
            None => self.view.scan_async(range, visit),
        }
    }
}

#[cfg(test)]
mod tests;
