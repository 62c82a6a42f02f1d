//! Observations of a node's traffic.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Call, Node};

/// The timeout of [`Node::until`]. Loopback operations are far faster, so only a failing test waits
/// this long.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

impl Node {
    /// The number of HTTP requests. A batch counts as one.
    pub fn http_requests(&self) -> u64 {
        self.shared.with(|state| state.http_requests)
    }

    /// The number of WebSocket connections so far.
    pub fn ws_connections(&self) -> u64 {
        self.shared.with(|state| state.ws_connections)
    }

    /// The bytes of [`Answer::Huge`](crate::Answer::Huge) that connections have taken.
    pub fn huge_bytes_sent(&self) -> u64 {
        self.shared.with(|state| state.huge_bytes_sent)
    }

    /// Every call so far, in order of arrival; empty after [`forget_calls`](Self::forget_calls).
    pub fn calls(&self) -> Vec<Call> {
        self.shared.with(|state| state.calls.clone()).unwrap_or_default()
    }

    /// Discards the recorded calls and stops recording, for benches with very many calls. The node
    /// still counts them.
    pub fn forget_calls(&self) {
        self.shared.with(|state| state.calls = None);
    }

    /// The number of calls of `method`.
    pub fn count(&self, method: &str) -> usize {
        self.shared
            .with(|state| state.counts.get(method).copied().unwrap_or_default())
    }

    /// The number of calls per method.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let counts = self.shared.with(|state| state.counts.clone());
        counts.into_iter().collect()
    }

    /// The number of open subscriptions to `newHeads`.
    pub fn subscribers(&self) -> usize {
        self.shared.with(|state| state.subscribers)
    }

    /// Waits until `reached` returns true. The node calls it after each change of a connection, a
    /// call or a subscription.
    ///
    /// # Panics
    ///
    /// After [`WAIT_MAX`].
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let wait = changes.wait_for(|_| reached(self));
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            panic!(
                "the node did not reach the expected state; its calls: {:#?}",
                self.calls()
            );
        }
    }
}
