//! A clock for tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nexum_core::clock::Clock;
use tokio::sync::Notify;

/// A clock that stands still until a test moves it. Share it in an `Arc`.
#[derive(Debug)]
pub struct FakeClock {
    now_ms: AtomicU64,
    monotonic_ns: AtomicU64,
    moved: Notify,
}

impl FakeClock {
    /// A clock at `now_ms` milliseconds since the Unix epoch, with a monotonic time of 0.
    pub fn at(now_ms: u64) -> Self {
        Self {
            now_ms: AtomicU64::new(now_ms),
            monotonic_ns: AtomicU64::new(0),
            moved: Notify::new(),
        }
    }

    /// Sets only the wall clock, as an operator or a time server does.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Sets only the monotonic time, in nanoseconds. The test must not move it back.
    pub fn set_monotonic_ns(&self, monotonic_ns: u64) {
        self.monotonic_ns.store(monotonic_ns, Ordering::SeqCst);
    }

    /// Advances both clocks by `elapsed`.
    pub fn advance(&self, elapsed: Duration) {
        let ms = u64::try_from(elapsed.as_millis()).expect("a duration of less than 584 million years");
        let ns = u64::try_from(elapsed.as_nanos()).expect("a duration of less than 584 years");
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ns.fetch_add(ns, Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::SeqCst)
    }

    async fn sleep_until(&self, ms: u64) {
        let begun = self.now_ms();
        loop {
            // Created before the comparison, so that no later move is missed.
            let moved = self.moved.notified();
            let now = self.now_ms();
            if now >= ms || now < begun {
                return;
            }
            moved.await;
        }
    }
}
