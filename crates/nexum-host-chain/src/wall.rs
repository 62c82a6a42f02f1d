//! Times of the monotonic clock as times of day, for reports.

use nexum_core::clock::{Clock as _, SystemClock};
use tokio::time::Instant;

/// The time of day at this moment, past or future, in milliseconds since the Unix epoch. Two calls
/// for one moment may differ by a few milliseconds, and by more after the operator sets the clock.
pub(crate) fn ms(at: Instant) -> u64 {
    let (now, now_ms) = (Instant::now(), SystemClock::new().now_ms());
    let between = |from: Instant, to: Instant| millis(to.saturating_duration_since(from));
    now_ms.saturating_add(between(now, at)).saturating_sub(between(at, now))
}

/// Whole milliseconds.
pub(crate) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
