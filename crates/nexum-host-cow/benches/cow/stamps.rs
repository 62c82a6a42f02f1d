//! When modules were done.

use std::time::Instant;

use nexum_core::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A clock that takes the time when a guest looks at it.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    clock: SystemClock,
    looked_at: Mutex<Option<Instant>>,
    wake: Notify,
}

impl Stamps {
    /// When the guest looked next.
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
