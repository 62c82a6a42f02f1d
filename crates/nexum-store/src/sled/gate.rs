//! Access to the rows: one write at a time, and frozen views, which show the rows from before it.
//!
//! A write saves the old value of each row that it changes for the frozen views of that time. A view
//! reads the saved values first, and then the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_core::BoxError;
use nexum_core::store::{Batch, Range};
use parking_lot::{Condvar, Mutex};

/// The most bytes of old values that one frozen view may hold. A write then waits until the view is
/// dropped. Queries hold the changes of a few seconds, far below this bound. A backup of a large
/// store can reach it, and the bound keeps its memory below that of one module.
const SAVED_BYTES_MAX: usize = 32 << 20;

/// Allows one change of the rows at a time, and any number of frozen views. A caller that also locks
/// the database locks the database first.
#[derive(Debug, Default)]
pub(super) struct Gate {
    views: Mutex<Views>,
    thawed: Condvar,
}

/// The frozen views, by number.
#[derive(Debug, Default)]
struct Views {
    next: u64,
    saved: BTreeMap<u64, Saved>,
}

/// The old values of the rows that changed after a view was frozen. `None` for a row that did not
/// exist.
#[derive(Debug, Default)]
pub(super) struct Saved {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

/// A frozen view, until it is dropped.
#[derive(Debug)]
pub(super) struct Frozen {
    gate: Arc<Gate>,
    number: u64,
}

impl Gate {
    /// Waits until no frozen view holds too many old values. The caller must not hold a lock of the
    /// database, because the views need it before they end.
    pub(super) fn wait(&self) {
        let is_full = |saved: &Saved| saved.bytes >= SAVED_BYTES_MAX;
        let mut views = self.views.lock();
        self.thawed
            .wait_while(&mut views, |views| views.saved.values().any(is_full));
    }

    /// Changes rows with `apply`, which does not wait for a disk. `old` reads a row.
    pub(super) fn change(
        &self,
        batch: &Batch,
        old: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, BoxError>,
        apply: impl FnOnce() -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let mut views = self.views.lock();
        if !views.saved.is_empty() {
            for (key, _) in batch.changes() {
                let old = old(key)?;
                views.saved.values_mut().for_each(|saved| saved.save(key, &old));
            }
        }
        apply()
    }

    /// Freezes a view. Waits for a change in progress.
    pub(super) fn freeze(self: &Arc<Self>) -> Frozen {
        let mut views = self.views.lock();
        let number = views.next;
        views.next += 1;
        views.saved.insert(number, Saved::default());
        Frozen {
            gate: self.clone(),
            number,
        }
    }
}

impl Saved {
    /// Saves the value of a row before its first change.
    fn save(&mut self, key: &[u8], old: &Option<Vec<u8>>) {
        if !self.rows.contains_key(key) {
            self.bytes += key.len() + old.as_ref().map_or(0, Vec::len);
            self.rows.insert(key.to_vec(), old.clone());
        }
    }

    /// The old value of a row, if the row has changed.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.rows.get(key)
    }

    /// The changed rows between two bounds, which have to be in order.
    pub(super) fn range<'a>(&'a self, range: Range<'a>) -> impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> {
        self.rows.range::<[u8], _>(range)
    }
}

impl Frozen {
    /// Reads with the old values. No row changes meanwhile.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Saved) -> T) -> T {
        let views = self.gate.views.lock();
        match views.saved.get(&self.number) {
            Some(saved) => read(saved),
            // Only the drop of this value removes the entry.
            None => read(&Saved::default()),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.gate.views.lock().saved.remove(&self.number);
        self.gate.thawed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_write_waits_for_a_view_that_holds_too_much() {
        let gate = Arc::new(Gate::default());
        let (full, small) = (gate.freeze(), gate.freeze());
        let mut batch = Batch::default();
        batch.remove(b"a".to_vec());
        let large = vec![0; SAVED_BYTES_MAX];
        gate.change(&batch, |_| Ok(Some(large.clone())), || Ok(())).unwrap();
        drop(small);
        assert!(full.with(|saved| saved.bytes >= SAVED_BYTES_MAX));
        let is_dropped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                gate.wait();
                is_dropped.load(Ordering::SeqCst)
            });
            is_dropped.store(true, Ordering::SeqCst);
            drop(full);
            assert!(waiting.join().unwrap());
        });
        gate.wait();
    }
}
