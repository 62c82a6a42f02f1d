//! The times at which modules finish a block.

use std::time::Instant;

use nexum_core::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A clock that records the time when a guest reads it.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    clock: SystemClock,
    looked_at: Mutex<Option<Instant>>,
    wake: Notify,
}

impl Stamps {
    /// The time of the guest's next read.
    pub(crate) async fn next(&self) -> Instant {
        loop {
            let looked_at = self.looked_at.lock().take();
            match looked_at {
                Some(at) => return at,
                None => self.wake.notified().await,
            }
        }
    }
}

impl Clock for Stamps {
    fn now_ms(&self) -> u64 {
        *self.looked_at.lock() = Some(Instant::now());
        self.wake.notify_one();
        self.clock.now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }
}
