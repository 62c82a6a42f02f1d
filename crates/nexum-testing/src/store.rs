//! What modules keep, as tests read it, and a store that fails when a test says so.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use nexum_config::names::ModuleName;
use nexum_core::state;
use nexum_core::store::{Batch, Range, StateStore, StoreError, View, Visit};

/// The value of a module's key, as it is committed.
///
/// # Panics
/// When the store cannot be read.
pub fn kept(store: &dyn StateStore, module: &str, key: &str) -> Option<Vec<u8>> {
    value(&*store.view().expect("a view"), module, key)
}

/// What the fixture `journal` has written under this name: an entry for each event, in order.
///
/// # Panics
/// When the store does not hold what the fixture writes.
pub fn journal(store: &dyn StateStore, module: &str) -> Vec<String> {
    // Frozen, so that a revert meanwhile does not take away what is counted.
    let view = store.frozen().expect("a view");
    let count = value(&*view, module, "entries").unwrap_or_default();
    let count = count.try_into().map_or(0, u64::from_le_bytes);
    let entry = |index: u64| {
        let entry = value(&*view, module, &format!("{index:010}"));
        String::from_utf8(entry.expect("an entry for each number")).expect("text")
    };
    (0..count).map(entry).collect()
}

fn value(view: &dyn View, module: &str, key: &str) -> Option<Vec<u8>> {
    let name: ModuleName = module.parse().expect("a module's name");
    state::admin::get(view, &name, key.as_bytes()).expect("a readable state")
}

/// A store whose writes can be held up and made to fail, and whose reads too. Clones are the same store.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn StateStore>,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    now: Mutex<Fault>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    fail_writes: bool,
    fail_reads: bool,
    hold_writes: bool,
    /// Whether a write that fails is made all the same.
    lie: bool,
    held: usize,
    written: usize,
}

impl FaultyStore {
    /// This store, so far without faults.
    pub fn new(inner: Arc<dyn StateStore>) -> Self {
        let faults = Arc::default();
        Self { inner, faults }
    }

    /// Whether writes fail as on a full disk.
    pub fn fail_writes(&self, fail: bool) {
        self.change(|fault| fault.fail_writes = fail);
    }

    /// Makes writes fail that have happened, as where the disk is lost before it can say so.
    pub fn fail_writes_after_the_fact(&self) {
        self.change(|fault| (fault.fail_writes, fault.lie) = (true, true));
    }

    /// Whether reads fail.
    pub fn fail_reads(&self, fail: bool) {
        self.change(|fault| fault.fail_reads = fail);
    }

    /// Whether writes wait.
    pub fn hold_writes(&self, hold: bool) {
        self.change(|fault| fault.hold_writes = hold);
    }

    /// How many writes wait.
    pub fn held(&self) -> usize {
        self.now().held
    }

    /// How many writes were made.
    pub fn written(&self) -> usize {
        self.now().written
    }

    fn now(&self) -> Fault {
        *self.faults.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Fault)) {
        change(&mut self.faults.now.lock().unwrap_or_else(PoisonError::into_inner));
        self.faults.changed.notify_all();
    }

    fn read<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.now().fail_reads {
            return Err(StoreError::backend("the disk cannot be read"));
        }
        read()
    }
}

impl StateStore for FaultyStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        let view = self.read(|| self.inner.view())?;
        let store = self.clone();
        Ok(Box::new(FaultyView { view, store }))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.read(|| self.inner.frozen())
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut fault = self.faults.now.lock().unwrap_or_else(PoisonError::into_inner);
        fault.held += 1;
        while fault.hold_writes {
            fault = self.faults.changed.wait(fault).unwrap_or_else(PoisonError::into_inner);
        }
        fault.held -= 1;
        if fault.lie || !fault.fail_writes {
            self.inner.write(batch)?;
            fault.written += 1;
        }
        if fault.fail_writes {
            return Err(StoreError::backend("no room is left on the disk"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyView {
    view: Box<dyn View>,
    store: FaultyStore,
}

impl View for FaultyView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|| self.view.get(key))
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.read(|| self.view.scan(range, visit))
    }
}
