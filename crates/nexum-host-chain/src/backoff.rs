//! How long to wait before the next attempt.

use std::time::Duration;

/// The wait after a first failure: a node that restarts is back within a few of these.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait: short beside a block's time, so that an endpoint that comes back is noticed within a block, and long
/// enough that a thousand hosts do not keep a provider down that is getting up.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Waits that double from one failure to the next up to a bound, each shortened by chance by up to half, so that the
/// clients of an endpoint that comes back do not come all at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = WAIT_MIN
            .saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Begins anew after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
