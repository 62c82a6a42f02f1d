//! Access to the database: one write, or readers that must not see a write.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Allows one write, or any number of frozen views.
#[derive(Debug, Default)]
pub(super) struct Gate {
    frozen: Mutex<usize>,
    thawed: Condvar,
}

/// Blocks writes until it is dropped.
#[derive(Debug)]
pub(super) struct Frozen(Arc<Gate>);

impl Gate {
    /// Waits until there is no frozen view. Holding the guard prevents new ones.
    pub(super) fn write(&self) -> MutexGuard<'_, usize> {
        let mut frozen = self.lock();
        self.thawed.wait_while(&mut frozen, |frozen| *frozen > 0);
        frozen
    }

    /// Waits for the current write, and blocks later ones.
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
