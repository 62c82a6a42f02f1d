//! How long to wait before the next attempt.

use std::time::Duration;

use nexum_config::backoff::wait;

/// The wait after a first failure: a node that restarts is back within a few of these.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait: short beside a block's time, so that an endpoint that comes back is noticed within a block, and long
/// enough that a thousand hosts do not keep a provider down that is getting up.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

/// Waits that double from one failure to the next up to a bound, each shortened by chance by up to half, so that the
/// clients of an endpoint that comes back do not come all at once.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        wait(WAIT_MIN, WAIT_MAX, self.failures)
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
