//! Reports of a store that fails.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use parking_lot::Mutex;

use super::{Location, StateStore, blocking};
use crate::clock::Clock;
use crate::outage::Outage;

/// Reports the outages of one kind of access to the store, for all who access it.
#[derive(Debug)]
pub(crate) struct StoreOutage {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    /// The access: "written" or "read".
    access: &'static str,
    outage: Mutex<Outage>,
}

impl StoreOutage {
    pub(crate) fn of_writes(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self::of("written", store, clock)
    }

    pub(crate) fn of_reads(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self::of("read", store, clock)
    }

    fn of(access: &'static str, store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            access,
            outage: Mutex::default(),
        }
    }

    /// Records a failed access, and reports it if a report is due.
    pub(crate) async fn failed(&self, error: &(dyn Error + Send + Sync + 'static)) {
        let Some(extent) = self.outage.lock().failed(self.now()) else {
            return;
        };
        let (path, free_bytes) = self.location().await;
        tracing::error!(
            target: "nexum::store",
            error = %Causes(error),
            path,
            free_bytes,
            seconds = extent.seconds,
            attempts = extent.attempts,
            hint = "free disk space, or repair the disk or the database",
            "the state store cannot be {}: modules wait with their committed state, and nexum retries",
            self.access
        );
    }

    /// Records a successful access, and reports the end of an outage.
    pub(crate) async fn ended(&self) {
        let Some(extent) = self.outage.lock().ended(self.now()) else {
            return;
        };
        let (path, free_bytes) = self.location().await;
        tracing::info!(
            target: "nexum::store",
            path,
            free_bytes,
            seconds = extent.seconds,
            attempts = extent.attempts,
            "the state store can be {} again, and the modules continue",
            self.access
        );
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic_ns())
    }

    /// The path of the store's data, and the free bytes there.
    async fn location(&self) -> (Option<String>, Option<u64>) {
        let location = blocking(&self.store, |store| Ok(store.location())).await;
        // A panic in the back-end leaves the location unknown. The failure is reported all the same.
        match location.unwrap_or_default() {
            Some(Location { path, free_bytes }) => (Some(path.display().to_string()), free_bytes),
            None => (None, None),
        }
    }
}
