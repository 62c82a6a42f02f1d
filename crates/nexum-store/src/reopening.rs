//! A database that is opened anew after it has failed.
//!
//! Both libraries refuse everything after one I/O error. So what uses a database says whether that went well, and where it did
//! not, the next use closes the database and opens it: what was committed is there, and what was not is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nexum_core::BoxError;
use nexum_core::store::StoreError;

/// A database of the type `D`.
pub(crate) struct Reopening<D> {
    open: Box<Open<D>>,
    /// None if it could not be opened again.
    opened: RwLock<Option<Opened<D>>>,
}

pub(crate) type Open<D> = dyn Fn() -> Result<D, BoxError> + Send + Sync;

/// A database, and whether it has failed.
pub(crate) struct Opened<D> {
    pub(crate) database: D,
    pub(crate) health: Health,
}

/// Whether a database has failed; shared with what reads from it later.
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

    /// Uses the database; others may meanwhile.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Opened<D>) -> Result<T, BoxError>) -> Result<T, StoreError> {
        let opened = self.opened().map_err(StoreError::Backend)?;
        let opened = opened.as_ref().ok_or_else(closed)?;
        opened.health.watch(|| work(opened))
    }

    /// Uses the database with nobody else at it; what others have read from may still be there.
    pub(crate) fn with_mut<T>(&self, work: impl FnOnce(&mut D) -> Result<T, BoxError>) -> Result<T, StoreError> {
        let mut opened = self.reopened().map_err(StoreError::Backend)?;
        let Opened { database, health } = opened.as_mut().ok_or_else(closed)?;
        health.watch(|| work(database))
    }

    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Opened<D>>>, BoxError> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        if is_well(&opened) {
            return Ok(opened);
        }
        drop(opened);
        Ok(RwLockWriteGuard::downgrade(self.reopened()?))
    }

    fn reopened(&self) -> Result<RwLockWriteGuard<'_, Option<Opened<D>>>, BoxError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if !is_well(&opened) {
            // It has to be closed before it can be opened.
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
    /// Does some work with the database, and takes note if it fails or panics.
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
