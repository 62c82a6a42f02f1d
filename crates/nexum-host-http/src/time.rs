//! Time limits of the parts of a fetch.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::{FetchError, Phase};

/// A part of a fetch, with its start and its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    phase: Phase,
    began: Instant,
    until: Instant,
}

impl Time {
    /// Starts now, and ends after `timeout`.
    pub(crate) fn new(phase: Phase, timeout: Duration) -> Self {
        let began = Instant::now();
        Self {
            phase,
            began,
            until: began + timeout,
        }
    }

    /// Ends at `deadline`, if that is earlier.
    pub(crate) fn before(mut self, deadline: Instant) -> Self {
        self.until = self.until.min(deadline);
        self
    }

    /// The limit that ends first.
    pub(crate) fn least(self, other: Self) -> Self {
        if other.until < self.until { other } else { self }
    }

    /// Waits for `waited_for`, up to the limit.
    pub(crate) async fn bound<T>(self, waited_for: impl Future<Output = T>) -> Result<T, FetchError> {
        let done = timeout_at(self.until, waited_for).await;
        done.map_err(|_| {
            let timeout = self.until.saturating_duration_since(self.began);
            FetchError::Timeout {
                phase: self.phase,
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            }
        })
    }
}
