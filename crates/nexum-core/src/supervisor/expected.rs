//! Modules that have not started yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the loads in progress. A run does not end for lack of modules during one.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    loads: Arc<AtomicUsize>,
    /// Notified when a module dies or a load ends.
    pub(super) left: Arc<Notify>,
}

/// One load in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct Expectation(Expected);

impl Expected {
    pub(super) fn expect(&self) -> Expectation {
        self.loads.fetch_add(1, Ordering::Relaxed);
        Expectation(self.clone())
    }

    pub(super) fn is_none(&self) -> bool {
        self.loads.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.0.loads.fetch_sub(1, Ordering::Relaxed);
        self.0.left.notify_one();
    }
}
