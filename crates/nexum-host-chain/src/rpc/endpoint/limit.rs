//! The rate limit of an endpoint.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The window in which providers count requests.
const WINDOW: Duration = Duration::from_secs(1);

/// Keeps the calls within any second under an endpoint's limit. Further calls wait in order of
/// arrival, for as long as necessary. Never refuses a call.
#[derive(Debug)]
pub(super) struct RateLimit {
    calls_max: usize,
    /// The times of the newest calls, at most `calls_max`. The next caller holds this lock while it
    /// waits. Tokio's mutex is fair, and a caller that stops waiting has changed nothing.
    sent: Mutex<VecDeque<Instant>>,
}

impl RateLimit {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            calls_max: usize::try_from(per_second.get()).unwrap_or(usize::MAX),
            sent: Mutex::default(),
        }
    }

    /// The most calls that can go out together.
    pub(super) fn calls_max(&self) -> usize {
        self.calls_max
    }

    /// The calls that can be sent now without a wait. 0 while a call waits.
    pub(super) fn available(&self) -> usize {
        // The next caller holds the lock while it waits.
        let Ok(sent) = self.sent.try_lock() else { return 0 };
        let now = Instant::now();
        let recent = sent.iter().rev().take_while(|time| **time + WINDOW > now).count();
        self.calls_max.saturating_sub(recent)
    }

    /// Waits until this many calls, at most [`Self::calls_max`], may be sent together. Returns
    /// whether it had to wait.
    pub(super) async fn admit(&self, calls: usize) -> bool {
        let mut waited = false;
        let mut sent = self.sent.lock().await;
        // The call that must be a second old before there is room for all of these.
        let in_the_way = (sent.len() + calls).checked_sub(self.calls_max + 1);
        if let Some(time) = in_the_way.and_then(|index| sent.get(index)) {
            let due = *time + WINDOW;
            if Instant::now() < due {
                waited = true;
                sleep_until(due).await;
            }
        }
        let now = Instant::now();
        for _ in 0..calls {
            if sent.len() >= self.calls_max {
                sent.pop_front();
            }
            sent.push_back(now);
        }
        waited
    }
}
