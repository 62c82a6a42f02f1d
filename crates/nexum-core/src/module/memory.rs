//! The limit on the memory of all loaded modules together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::LoadError;

/// The sum of the memory limits of all modules, and the upper limit for that sum.
#[derive(Debug)]
pub(super) struct Memory {
    bound: u64,
    reserved: Arc<AtomicU64>,
}

/// Reserves a module's part of the sum until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    bytes: u64,
    reserved: Arc<AtomicU64>,
}

impl Memory {
    pub(super) fn new(bound: Option<u64>) -> Self {
        Self {
            bound: bound.unwrap_or(u64::MAX),
            reserved: Arc::default(),
        }
    }

    /// Another upper limit for the sum, which both values share.
    pub(super) fn with_bound(&self, bound: Option<u64>) -> Self {
        Self {
            reserved: self.reserved.clone(),
            ..Self::new(bound)
        }
    }

    /// Reserves without a look at the upper limit, for a caller who has checked the final sum.
    pub(super) fn force(&self, bytes: u64) -> Reservation {
        self.reserved.fetch_add(bytes, Ordering::SeqCst);
        Reservation {
            bytes,
            reserved: self.reserved.clone(),
        }
    }

    pub(super) fn reserve(&self, bytes: u64) -> Result<Reservation, LoadError> {
        let add = |reserved: u64| reserved.checked_add(bytes).filter(|reserved| *reserved <= self.bound);
        match self.reserved.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add) {
            Ok(_) => Ok(Reservation {
                bytes,
                reserved: self.reserved.clone(),
            }),
            Err(reserved) => Err(LoadError::TotalMemory {
                needed: bytes,
                wanted: reserved.saturating_add(bytes),
                bound: self.bound,
            }),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}
