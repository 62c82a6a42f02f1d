//! Who may have the database: a write, or readers who must not see one.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Lets one write be, or any number of frozen views.
#[derive(Debug, Default)]
pub(super) struct Gate {
    frozen: Mutex<usize>,
    thawed: Condvar,
}

/// Keeps writes waiting.
#[derive(Debug)]
pub(super) struct Frozen(Arc<Gate>);

impl Gate {
    /// Waits until there is no frozen view; there is none for as long as this is held.
    pub(super) fn write(&self) -> MutexGuard<'_, usize> {
        let mut frozen = self.lock();
        self.thawed.wait_while(&mut frozen, |frozen| *frozen > 0);
        frozen
    }

    /// Waits for the write that is being made, and keeps later ones waiting.
    pub(super) fn freeze(self: &Arc<Self>) -> Frozen {
        *self.lock() += 1;
        Frozen(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.frozen.lock()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.thawed.notify_all();
    }
}
