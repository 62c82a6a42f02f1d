//! Reopens a database after a failure.
//!
//! After one I/O error, each library refuses every further operation. So each use of a database
//! records whether it failed. After a failure, the next use closes and reopens the database:
//! committed data is there, uncommitted data is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexum_core::BoxError;
use nexum_core::store::StoreError;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A database of the type `D`.
pub(crate) struct Reopening<D> {
    open: Box<Open<D>>,
    /// None if the database could not be reopened.
    opened: RwLock<Option<Opened<D>>>,
}

pub(crate) type Open<D> = dyn Fn() -> Result<D, BoxError> + Send + Sync;

/// A database, and whether it has failed.
pub(crate) struct Opened<D> {
    pub(crate) database: D,
    pub(crate) health: Health,
}

/// Whether a database has failed. Shared with the views that read from it later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    failed: Arc<AtomicBool>,
}

impl<D> Reopening<D> {
    pub(crate) fn new(open: Box<Open<D>>) -> Result<Self, BoxError> {
        let opened = Opened::new(&*open)?;
        Ok(Self {
            open,
            opened: RwLock::new(Some(opened)),
        })
    }

    /// Uses the database. Other uses may run concurrently.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Opened<D>) -> Result<T, BoxError>) -> Result<T, StoreError> {
        let opened = self.opened().map_err(StoreError::Backend)?;
        let opened = opened.as_ref().ok_or_else(closed)?;
        opened.health.watch(|| work(opened))
    }

    /// Uses the database exclusively. Views of earlier uses may still be open.
    pub(crate) fn with_mut<T>(&self, work: impl FnOnce(&mut D) -> Result<T, BoxError>) -> Result<T, StoreError> {
        let mut opened = self.reopened().map_err(StoreError::Backend)?;
        let Opened { database, health } = opened.as_mut().ok_or_else(closed)?;
        health.watch(|| work(database))
    }

    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Opened<D>>>, BoxError> {
        let opened = self.opened.read();
        if is_well(&opened) {
            return Ok(opened);
        }
        drop(opened);
        Ok(RwLockWriteGuard::downgrade(self.reopened()?))
    }

    fn reopened(&self) -> Result<RwLockWriteGuard<'_, Option<Opened<D>>>, BoxError> {
        let mut opened = self.opened.write();
        if !is_well(&opened) {
            // The database must be closed before it can be opened.
            *opened = None;
            *opened = Some(Opened::new(&*self.open)?);
            tracing::debug!(target: "nexum::store", "the state store had failed, and nexum opened it again");
        }
        Ok(opened)
    }
}

impl<D> Opened<D> {
    fn new(open: &Open<D>) -> Result<Self, BoxError> {
        Ok(Self {
            database: open()?,
            health: Health::default(),
        })
    }
}

fn is_well<D>(opened: &Option<Opened<D>>) -> bool {
    let failed = |opened: &Opened<D>| opened.health.failed.load(Ordering::Acquire);
    opened.as_ref().is_some_and(|opened| !failed(opened))
}

fn closed() -> StoreError {
    StoreError::backend("the database is closed")
}

impl Health {
    /// Performs work on the database, and records a failure or a panic.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> Result<T, BoxError>) -> Result<T, StoreError> {
        struct Fails<'a>(&'a Health);
        impl Drop for Fails<'_> {
            fn drop(&mut self) {
                self.0.failed.store(true, Ordering::Release);
            }
        }
        let fails = Fails(self);
        let done = work().map_err(StoreError::Backend)?;
        std::mem::forget(fails);
        Ok(done)
    }
}
