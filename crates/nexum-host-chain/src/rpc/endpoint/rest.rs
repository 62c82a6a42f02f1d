//! How long something that has failed is left alone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nexum_config::backoff::wait;

/// The rest after a first failure: a request that is retried finds another endpoint meanwhile, and a hiccup is over.
const REST_MIN: Duration = Duration::from_secs(1);

/// The longest rest: a primary that works again is found after at most this time.
pub(super) const REST_MAX: Duration = Duration::from_secs(60);

/// How often in a row something has failed, and until when it rests. Times are in milliseconds of the caller's clock, whose
/// first one is 1. Locks nothing.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// In a row.
    failures: AtomicU32,
    /// 0 if it does not rest.
    until: AtomicU64,
    /// When the last rest ended or was to end.
    ended: AtomicU64,
}

impl Rest {
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// When the rest is over, until [`Self::end`] is called.
    pub(super) fn over(&self) -> Option<u64> {
        Some(self.until.load(Ordering::Relaxed)).filter(|until| *until > 0)
    }

    pub(super) fn is_on(&self, now: u64) -> bool {
        self.over().is_some_and(|over| now < over)
    }

    /// Counts a failure and begins a rest, of at least `least`, that doubles with each failure in a row. Returns how many there
    /// were, or nothing during a rest: requests that were in flight together count once.
    pub(super) fn failed(&self, now: u64, least: Duration) -> Option<u32> {
        if self.is_on(now) {
            return None;
        }
        let failures = self.failures().saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        self.begin(now, wait(REST_MIN, REST_MAX, failures).max(least));
        Some(failures)
    }

    /// Begins a rest of this length.
    pub(super) fn begin(&self, now: u64, time: Duration) {
        let until = now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1));
        self.until.store(until, Ordering::Relaxed);
        self.ended.store(until, Ordering::Relaxed);
    }

    /// Ends the rest and keeps the count of failures. Returns whether there was a rest.
    pub(super) fn end(&self) -> bool {
        self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// Ends the rest and forgets the failures. Returns whether there were any.
    pub(super) fn forget(&self) -> bool {
        self.end();
        self.failures.swap(0, Ordering::Relaxed) != 0
    }

    /// Whether there were failures, and the last rest ended so long ago.
    pub(super) fn has_been_well_for(&self, now: u64, time: Duration) -> bool {
        let ended = self.ended.load(Ordering::Relaxed);
        let well = now.saturating_sub(ended);
        self.failures() > 0 && self.over().is_none() && u128::from(well) >= time.as_millis()
    }
}
