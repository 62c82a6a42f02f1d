//! A store in memory, whose content ends with the process.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Batch, Range, StateStore, StoreError, View, Visit, is_empty};

/// The number of rows that a scan copies at a time, so that a visit does not delay writes.
const ROWS_AT_ONCE: usize = 64;

/// A store in memory, for tests, trials, and modules without state.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// A write copies the rows if a frozen view has them.
    rows: Arc<RwLock<Arc<Rows>>>,
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl StateStore for MemoryStore {
    fn is_durable(&self) -> bool {
        false
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        let rows = self.rows.clone();
        Ok(Box::new(MemoryView { rows }))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        let rows = Arc::new(RwLock::new(self.rows.read().clone()));
        Ok(Box::new(MemoryView { rows }))
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut rows = self.rows.write();
        if !batch.is_met(|key| Ok::<_, StoreError>(rows.get(key).cloned()))? {
            return Err(StoreError::Conflict);
        }
        let rows = Arc::make_mut(&mut rows);
        for (key, value) in batch.changes() {
            match value {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryView {
    rows: Arc<RwLock<Arc<Rows>>>,
}

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.rows.read();
        Ok(rows.get(key).cloned())
    }

    fn scan(&self, (from, to): Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut from = from.map(<[u8]>::to_vec);
        loop {
            let bounds = (from.as_ref().map(Vec::as_slice), to);
            if is_empty(bounds) {
                return Ok(());
            }
            let some: Vec<_> = {
                let rows = self.rows.read();
                let some = rows.range::<[u8], _>(bounds).take(ROWS_AT_ONCE);
                some.map(|(key, value)| (key.clone(), value.clone())).collect()
            };
            for (key, value) in &some {
                if let ControlFlow::Break(()) = visit(key, value) {
                    return Ok(());
                }
            }
            match some.into_iter().next_back() {
                Some((last, _)) => from = Bound::Excluded(last),
                None => return Ok(()),
            }
        }
    }
}
