//! The transactions of the host, with the times at which they were durable.

use std::sync::Arc;
use std::time::Instant;

use nexum_core::store::{Batch, Location, StateStore, StoreError, View};
use parking_lot::{Mutex, MutexGuard};

/// A store that keeps a copy of every transaction. Clones share one store.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    inner: Arc<dyn StateStore>,
    written: Arc<Mutex<Vec<Written>>>,
}

/// A completed transaction.
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

    /// The transactions since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Written> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Written>> {
        self.written.lock()
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
