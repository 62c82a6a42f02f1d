//! How many requests an endpoint gets within a second.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// What providers count requests in.
const WINDOW: Duration = Duration::from_secs(1);

/// Keeps what goes out within any second under an endpoint's limit. Who would exceed it waits, in the order of arrival, for as
/// long as it takes; nothing is refused.
#[derive(Debug)]
pub(super) struct RateLimit {
    calls_max: usize,
    /// When the newest calls went out, at most `calls_max` of them. Held locked by whoever is next, while it waits: tokio's
    /// mutex is fair, and one who gives up has taken nothing.
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

    /// Waits until so many calls, at most [`Self::calls_max`], may go out together. Returns whether it had to.
    pub(super) async fn admit(&self, calls: usize) -> bool {
        let mut waited = false;
        let mut sent = self.sent.lock().await;
        // The call that has to be a second old before there is room for all of these.
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
