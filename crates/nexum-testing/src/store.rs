//! Reads modules' state in tests, and a store with scripted failures.

use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::state;
use nexum_core::store::{Batch, Location, Range, StateStore, StoreError, View, Visit};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// The committed value of a module's key.
///
/// # Panics
///
/// If the store cannot be read.
pub fn kept(store: &dyn StateStore, module: &str, key: &str) -> Option<Vec<u8>> {
    value(&*store.view().expect("a view"), module, key)
}

/// The entries that the fixture `journal` has written under this module name, one per event, in
/// order.
///
/// # Panics
///
/// If the store's content does not come from the fixture.
pub fn journal(store: &dyn StateStore, module: &str) -> Vec<String> {
    // A frozen view, because a rollback in between must not remove counted entries.
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

/// A store whose reads and writes a test can fail, and whose writes it can hold back. Clones share
/// one store.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn StateStore>,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    now: Mutex<Fault>,
    changed: Condvar,
    /// The location to report instead of the wrapped store's.
    location: Mutex<Option<Location>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    fail_writes: bool,
    fail_reads: bool,
    hold_writes: bool,
    /// Whether a failing write takes effect nevertheless.
    lie: bool,
    /// Whether another process owns the modules.
    is_fenced: bool,
    held: usize,
    written: usize,
    refused: usize,
}

impl FaultyStore {
    /// Wraps this store, without faults at first.
    pub fn new(inner: Arc<dyn StateStore>) -> Self {
        let faults = Arc::default();
        Self { inner, faults }
    }

    /// Sets whether writes fail, as on a full disk.
    pub fn fail_writes(&self, fail: bool) {
        self.change(|fault| (fault.fail_writes, fault.lie) = (fail, false));
    }

    /// Makes writes take effect and then fail, as on a disk that disappears before it can confirm
    /// them.
    pub fn fail_writes_after_the_fact(&self) {
        self.change(|fault| (fault.fail_writes, fault.lie) = (true, true));
    }

    /// Sets whether reads fail.
    pub fn fail_reads(&self, fail: bool) {
        self.change(|fault| fault.fail_reads = fail);
    }

    /// Sets whether another process may have taken the modules over.
    pub fn fence(&self, is_fenced: bool) {
        self.change(|fault| fault.is_fenced = is_fenced);
    }

    /// Sets whether writes wait.
    pub fn hold_writes(&self, hold: bool) {
        self.change(|fault| fault.hold_writes = hold);
    }

    /// The number of waiting writes.
    pub fn held(&self) -> usize {
        self.now().held
    }

    /// The number of completed writes.
    pub fn written(&self) -> usize {
        self.now().written
    }

    /// The number of failed writes.
    pub fn refused(&self) -> usize {
        self.now().refused
    }

    /// Sets the location of the data.
    pub fn set_location(&self, location: Location) {
        *self.scripted_location() = Some(location);
    }

    fn scripted_location(&self) -> MutexGuard<'_, Option<Location>> {
        self.faults.location.lock()
    }

    fn now(&self) -> Fault {
        *self.faults.now.lock()
    }

    fn change(&self, change: impl FnOnce(&mut Fault)) {
        change(&mut self.faults.now.lock());
        self.faults.changed.notify_all();
    }

    fn read<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.now().fail_reads {
            return Err(StoreError::backend("cannot read the disk"));
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
        let mut fault = self.faults.now.lock();
        fault.held += 1;
        while fault.hold_writes {
            self.faults.changed.wait(&mut fault);
        }
        fault.held -= 1;
        if fault.lie || !fault.fail_writes {
            self.inner.write(batch)?;
            fault.written += 1;
        }
        if fault.fail_writes {
            fault.refused += 1;
            return Err(StoreError::backend("no space left on the disk"));
        }
        Ok(())
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        match self.now().is_fenced {
            true => Err(StoreError::Fenced { epoch: 1 }),
            false => self.inner.check_lease(),
        }
    }

    fn location(&self) -> Option<Location> {
        self.scripted_location().clone().or_else(|| self.inner.location())
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
