//! A store that forgets when the process ends.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Commit, Cursors, ModuleId, Snapshot, StateStore, StoreError, Write};
use crate::event::{Position, Topic};
use crate::names::ModuleName;

/// How many events of a module can be taken back: over twenty minutes of blocks every ten seconds, and as deep as any
/// reorganisation that a source reports.
const UNDO_RECORDS_MAX: usize = 128;

/// Keeps everything in memory. For tests, trials, and modules that keep no state.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ids: HashMap<ModuleName, ModuleId>,
    modules: HashMap<ModuleId, Module>,
}

#[derive(Clone, Debug, Default)]
struct Module {
    /// Shared with snapshots: a commit copies the map only while one of them is alive.
    state: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    cursors: Cursors,
    undo: VecDeque<Undo>,
    /// Whether a record has been dropped for want of room.
    undo_cut: bool,
}

/// How to take one event back.
#[derive(Clone, Debug)]
struct Undo {
    topic: Topic,
    position: Position,
    before: Cursors,
    old: Vec<Write>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for MemoryStore {
    fn intern(&self, name: &ModuleName) -> Result<ModuleId, StoreError> {
        let mut inner = self.lock();
        let next = u32::try_from(inner.ids.len()).map_err(|error| StoreError::Backend(error.into()))?;
        Ok(*inner.ids.entry(name.clone()).or_insert(ModuleId(next)))
    }

    fn cursors(&self, module: ModuleId) -> Result<Cursors, StoreError> {
        Ok(self
            .lock()
            .modules
            .get(&module)
            .map(|module| module.cursors.clone())
            .unwrap_or_default())
    }

    fn snapshot(&self, module: ModuleId) -> Result<Box<dyn Snapshot>, StoreError> {
        let state = self
            .lock()
            .modules
            .get(&module)
            .map(|module| module.state.clone())
            .unwrap_or_default();
        Ok(Box::new(MemorySnapshot { state }))
    }

    fn commit(&self, commits: &[Commit]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        for commit in commits {
            inner.modules.entry(commit.module).or_default().apply(commit);
        }
        Ok(())
    }

    fn revert(&self, module: ModuleId, current: &Cursors, topic: Topic, to: Position) -> Result<Cursors, StoreError> {
        self.lock()
            .modules
            .entry(module)
            .or_default()
            .revert(current, topic, to)
    }
}

impl Module {
    fn apply(&mut self, commit: &Commit) {
        let state = Arc::make_mut(&mut self.state);
        let mut old = Vec::with_capacity(commit.writes.len());
        for (key, value) in &commit.writes {
            let before = match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
            old.push((key.clone(), before));
        }
        self.cursors = commit.after.clone();
        if let Some((topic, position)) = commit.event {
            if self.undo.len() == UNDO_RECORDS_MAX {
                self.undo.pop_front();
                self.undo_cut = true;
            }
            self.undo.push_back(Undo {
                topic,
                position,
                before: commit.before.clone(),
                old,
            });
        }
    }

    fn revert(&mut self, current: &Cursors, topic: Topic, to: Position) -> Result<Cursors, StoreError> {
        let removed = |undo: &Undo| undo.topic == topic && undo.position.number > to.number;
        let first = self.undo.iter().position(removed);
        // When even the oldest record is of a removed event, one that was dropped may have been too.
        if first == Some(0) && self.undo_cut {
            return Err(StoreError::TooDeep { topic, to });
        }
        let mut cursors = current.clone();
        if let Some(first) = first {
            let state = Arc::make_mut(&mut self.state);
            for undo in self.undo.drain(first..).rev() {
                cursors = undo.before;
                for (key, old) in undo.old {
                    match old {
                        Some(value) => state.insert(key, value),
                        None => state.remove(&key),
                    };
                }
            }
        }
        self.cursors = cursors.reverted(current, topic, to);
        Ok(self.cursors.clone())
    }
}

/// The map as it was.
#[derive(Debug)]
struct MemorySnapshot {
    state: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Snapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.get(key).cloned())
    }

    fn keys(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = self
            .state
            .range::<[u8], _>((from, Bound::Unbounded))
            .map(|(key, _)| key);
        Ok(keys
            .take_while(|key| key.starts_with(prefix))
            .take(limit)
            .cloned()
            .collect())
    }
}
