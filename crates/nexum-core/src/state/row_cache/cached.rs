//! The rows in the cache: single rows, and all rows of small modules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::{module_of, size};
use crate::state::{ModuleId, Usage};
use crate::store::{Batch, Range, Visit, is_empty};

/// The memory of a cached row beside its key and value, in bytes: the cache's own entry, or a node of a
/// tree, and the prefix of the key.
const ROW_BYTES: u64 = 100;

/// The average size of a row, with which the cache estimates its number of rows.
const ROW_BYTES_USUAL: usize = 256;

/// A row's value, or `None` for a row that does not exist.
pub(super) type Value = Option<Vec<u8>>;

/// The rows of a module, by their keys in the store.
pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The rows, and their last change.
///
/// A row is in at most one entry that answers a read: a module that is here as a whole is asked first,
/// and a write removes the single row.
#[derive(Debug)]
pub(super) struct CachedRows {
    cache: Cache<Key, Entry, ByBytes>,
    generations: Mutex<Generations>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Row(Vec<u8>),
    Module(ModuleId),
}

#[derive(Clone, Debug)]
enum Entry {
    Row(Value),
    Module(Whole),
}

/// All rows of a module. A write changes them in place, and enters them again with their new size.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    rows: Arc<RwLock<Rows>>,
    usage: Usage,
}

/// The number of each module's last write. A read that began before a write must not fill the cache
/// after it.
#[derive(Debug, Default)]
struct Generations {
    last: u64,
    /// The number of the last [`CachedRows::clear`].
    all: u64,
    modules: HashMap<ModuleId, u64>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Entry> for ByBytes {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        match (key, entry) {
            (Key::Row(key), Entry::Row(value)) => ROW_BYTES + (key.len() + value.as_ref().map_or(0, Vec::len)) as u64,
            (_, Entry::Module(whole)) => whole.weight(),
            (Key::Module(_), Entry::Row(_)) => ROW_BYTES,
        }
    }
}

impl Whole {
    fn weight(&self) -> u64 {
        ROW_BYTES + self.usage.bytes + self.usage.keys * ROW_BYTES
    }

    /// Passes the rows of a range to `visit`, in order, until it breaks off.
    pub(super) fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) {
        if is_empty(range) {
            return;
        }
        let rows = self.rows.read();
        for (key, value) in rows.range::<[u8], _>(range) {
            if visit(key, value).is_break() {
                return;
            }
        }
    }

    /// Changes a row.
    fn change(&mut self, key: &[u8], value: Option<&[u8]>) {
        let mut rows = self.rows.write();
        let old = match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
        let size = |value: &[u8]| size(key, value);
        self.usage = self.usage.after(old.as_deref().map(size), value.map(size));
    }
}

impl Generations {
    fn of(&self, module: ModuleId) -> u64 {
        self.modules.get(&module).copied().unwrap_or(self.all)
    }

    /// From now on, reads of the module that have begun do not fill the cache.
    fn advance(&mut self, module: ModuleId) {
        self.last += 1;
        self.modules.insert(module, self.last);
    }
}

impl CachedRows {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            cache: Cache::with_weighter(bytes / ROW_BYTES_USUAL, bytes as u64, ByBytes),
            generations: Mutex::default(),
        }
    }

    pub(super) fn generation(&self, module: ModuleId) -> u64 {
        self.generations.lock().of(module)
    }

    /// The value of a row. `None` if the cache does not know it.
    pub(super) fn get(&self, module: ModuleId, key: &[u8]) -> Option<Value> {
        if let Some(whole) = self.whole(module) {
            return Some(whole.rows.read().get(key).cloned());
        }
        match self.cache.get(&Key::Row(key.to_vec()))? {
            Entry::Row(value) => Some(value),
            Entry::Module(_) => None,
        }
    }

    /// All rows of a module, if they are here.
    pub(super) fn whole(&self, module: ModuleId) -> Option<Whole> {
        match self.cache.get(&Key::Module(module))? {
            Entry::Module(whole) => Some(whole),
            Entry::Row(_) => None,
        }
    }

    /// Adds the row that a read has found, unless the module was written since the read began.
    pub(super) fn fill(&self, module: ModuleId, generation: u64, key: &[u8], value: &Value) {
        let generations = self.generations.lock();
        if generations.of(module) == generation {
            self.cache.insert(Key::Row(key.to_vec()), Entry::Row(value.clone()));
        }
    }

    /// Adds all rows of a module, unless it was written since the read began.
    pub(super) fn fill_whole(&self, module: ModuleId, generation: u64, rows: Rows, usage: Usage) {
        let generations = self.generations.lock();
        if generations.of(module) == generation {
            let rows = Arc::new(RwLock::new(rows));
            self.enter(module, Whole { rows, usage });
        }
    }

    /// Adds the rows of a batch, or removes them if the write failed.
    pub(super) fn written(&self, batch: &Batch, is_written: bool) {
        let mut generations = self.generations.lock();
        for (key, value) in batch.changes() {
            let Some(module) = module_of(key) else { continue };
            generations.advance(module);
            let row = Key::Row(key.to_vec());
            if !is_written {
                self.cache.remove(&Key::Module(module));
                self.cache.remove(&row);
            } else if let Some(mut whole) = self.whole(module) {
                whole.change(key, value);
                self.cache.remove(&row);
                self.enter(module, whole);
            } else {
                self.cache.insert(row, Entry::Row(value.map(<[u8]>::to_vec)));
            }
        }
    }

    /// Removes the rows of these modules. Reads in progress do not add them again.
    pub(super) fn forget(&self, modules: &[ModuleId]) {
        let mut generations = self.generations.lock();
        modules.iter().for_each(|module| generations.advance(*module));
        let modules: HashSet<_> = modules.iter().copied().collect();
        self.cache.retain(|key, _| match key {
            Key::Row(key) => module_of(key).is_none_or(|module| !modules.contains(&module)),
            Key::Module(module) => !modules.contains(module),
        });
    }

    /// Removes all rows.
    pub(super) fn clear(&self) {
        let mut generations = self.generations.lock();
        generations.last += 1;
        generations.all = generations.last;
        generations.modules.clear();
        self.cache.clear();
    }

    /// Enters all rows of a module, or each of them if they have become too many for one entry.
    fn enter(&self, module: ModuleId, whole: Whole) {
        if whole.usage.is_small() && whole.weight() <= self.cache.shard_capacity() {
            self.cache.insert(Key::Module(module), Entry::Module(whole));
            return;
        }
        self.cache.remove(&Key::Module(module));
        for (key, value) in whole.rows.read().iter() {
            self.cache
                .insert(Key::Row(key.clone()), Entry::Row(Some(value.clone())));
        }
    }
}
