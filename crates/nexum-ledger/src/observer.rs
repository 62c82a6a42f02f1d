//! A second reader of the entries of a run, such as one that exports them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexum_core::ledger::{Entry, Ledger};
use nexum_core::service::{Service, ServiceContext};
use tokio_util::sync::CancellationToken;

/// How often a task takes the entries: a crash loses no more than what this time brought.
pub(crate) const TAKE_EVERY: Duration = Duration::from_millis(250);

/// Sees the entries of a run.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Sees each entry once, in order, with the time of its push in milliseconds since the Unix epoch. The task that
    /// takes the entries calls this four times a second, and waits for its return: it must neither wait for the network
    /// nor for another task.
    fn observe(&self, entries: &[(u64, Entry)]);
}

/// Takes the entries of a run for an observer, and stores nothing.
#[derive(Debug)]
pub struct Watch {
    ledger: Ledger,
    observer: Arc<dyn Observer>,
}

impl Watch {
    /// A watch of this ledger.
    pub fn new(ledger: Ledger, observer: Arc<dyn Observer>) -> Self {
        Self { ledger, observer }
    }
}

#[async_trait]
impl Service for Watch {
    async fn run(&self, _: ServiceContext, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TAKE_EVERY);
        while !stop.is_cancelled() {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => {}
            }
            self.observer.observe(&self.ledger.take());
        }
    }
}
