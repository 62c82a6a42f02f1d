//! Waits between retries.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The wait after `failures` consecutive failures: `min` after the first one, twice as long after
/// each further one, and `max` at most. The result is a random time between half of that and all of
/// it, so that clients that fail together do not retry together.
pub fn wait(min: Duration, max: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1);
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let whole = min.saturating_mul(factor).min(max);
    let whole_us = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    let half_us = whole_us / 2;
    // The system seeds a map's hasher, which is random enough here.
    let chance = RandomState::new().hash_one(failures);
    Duration::from_micros(half_us + chance % (half_us + 1))
}
