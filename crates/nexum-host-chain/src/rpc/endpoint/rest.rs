//! The time in which nexum does not use something that has failed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nexum_config::backoff::wait;

/// The rest after the first failure: a retried request finds another endpoint meanwhile, and a
/// short outage is over.
const REST_MIN: Duration = Duration::from_secs(1);

/// The longest rest: nexum notices within this time that the primary works again.
pub(super) const REST_MAX: Duration = Duration::from_secs(60);

/// The failures in a row, and the end of the rest. Times are milliseconds of the caller's clock,
/// which starts at 1. Locks nothing.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The failures in a row.
    failures: AtomicU32,
    /// The end of the rest. 0 without a rest.
    until: AtomicU64,
    /// The time at which the last rest ended, or would end.
    ended: AtomicU64,
    /// The beginning of the rests in a row. 0 without a rest.
    since: AtomicU64,
}

impl Rest {
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The planned end of the rest, until [`Self::end`] is called.
    pub(super) fn over(&self) -> Option<u64> {
        Some(self.until.load(Ordering::Relaxed)).filter(|until| *until > 0)
    }

    pub(super) fn is_on(&self, now: u64) -> bool {
        self.over().is_some_and(|over| now < over)
    }

    /// Counts a failure, and starts a rest of at least `least` that doubles with each failure in a
    /// row. Returns the number of failures. None during a rest: requests that were in flight
    /// together count once.
    pub(super) fn failed(&self, now: u64, least: Duration) -> Option<u32> {
        if self.is_on(now) {
            return None;
        }
        let failures = self.failures().saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        self.begin(now, wait(REST_MIN, REST_MAX, failures).max(least));
        Some(failures)
    }

    /// Starts a rest of this length.
    pub(super) fn begin(&self, now: u64, time: Duration) {
        let until = now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1));
        self.until.store(until, Ordering::Relaxed);
        self.ended.store(until, Ordering::Relaxed);
        // Longer rests of an outage keep its beginning.
        let _ = self
            .since
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Ends the rest at this time, if it would end later.
    pub(super) fn end_by(&self, until: u64) {
        // 0 is no rest.
        self.until.fetch_min(until, Ordering::Relaxed);
        self.ended.fetch_min(until, Ordering::Relaxed);
    }

    /// The beginning of the rests in a row, until [`Self::end`] is called.
    pub(super) fn since(&self) -> Option<u64> {
        Some(self.since.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    /// Ends the rest, but keeps the count of failures. Returns whether there was a rest.
    pub(super) fn end(&self) -> bool {
        self.since.store(0, Ordering::Relaxed);
        self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// Ends the rest, and resets the count of failures. Returns whether there were any.
    pub(super) fn forget(&self) -> bool {
        self.end();
        self.failures.swap(0, Ordering::Relaxed) != 0
    }

    /// Whether there were failures, and the last rest ended at least `time` ago.
    pub(super) fn has_been_well_for(&self, now: u64, time: Duration) -> bool {
        let ended = self.ended.load(Ordering::Relaxed);
        let well = now.saturating_sub(ended);
        self.failures() > 0 && self.over().is_none() && u128::from(well) >= time.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_ends_by_a_time_and_never_becomes_longer() {
        let rest = Rest::default();
        rest.end_by(7_000);
        assert_eq!(rest.over(), None);
        rest.begin(1_000, REST_MAX);
        rest.end_by(4_000);
        assert_eq!((rest.over(), rest.since()), (Some(4_000), Some(1_000)));
        rest.end_by(5_000);
        assert_eq!(rest.over(), Some(4_000));
        // The failures still count towards the next rest.
        rest.failed(4_000, Duration::ZERO);
        assert_eq!((rest.failures(), rest.since()), (1, Some(1_000)));
        rest.end();
        rest.end_by(9_000);
        assert_eq!(rest.over(), None);
    }
}
