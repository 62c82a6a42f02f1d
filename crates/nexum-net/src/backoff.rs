//! The wait before the next attempt.

use std::time::Duration;

use nexum_config::backoff::wait;

/// The wait after the first failure: a node that restarts is back after a few such waits.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait: shorter than a block's time, so that a client notices within one block that an
/// endpoint is back. It is also long enough that a thousand hosts do not overload a provider that
/// is starting.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

/// Waits that double with each failure, up to a bound. Each is shortened by a random part of up to
/// half, so that the clients of an endpoint do not all return at once.
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

    /// Starts again at the shortest wait. Call it after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
