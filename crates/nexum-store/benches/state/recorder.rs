//! What the host wrote, and when it was durable.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nexum_core::store::{Batch, Location, StateStore, StoreError, View};

/// A store that keeps a copy of every transaction. Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    inner: Arc<dyn StateStore>,
    written: Arc<Mutex<Vec<Written>>>,
}

/// A transaction that was made.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) batch: Batch,
    pub(crate) at: Instant,
}

impl Recorder {
    pub(crate) fn new(inner: Arc<dyn StateStore>) -> Self {
        let written = Arc::default();
        Self { inner, written }
    }

    /// What was written since this was last called, in order.
    pub(crate) fn take(&self) -> Vec<Written> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Recorder {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.inner.view()
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        self.inner.frozen()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.write(batch)?;
        let (batch, at) = (batch.clone(), Instant::now());
        self.lock().push(Written { batch, at });
        Ok(())
    }

    fn location(&self) -> Option<Location> {
        self.inner.location()
    }
}
