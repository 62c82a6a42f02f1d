//! What a node saw.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Call, Node};

/// How long [`Node::until`] waits: far longer than anything on the loopback takes, so that only a test that has failed gets
/// there.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

impl Node {
    /// How many http requests have come in; a batch is one.
    pub fn http_requests(&self) -> u64 {
        self.shared.with(|state| state.http_requests)
    }

    /// How many ws connections have been made.
    pub fn ws_connections(&self) -> u64 {
        self.shared.with(|state| state.ws_connections)
    }

    /// How many bytes of [`Answer::Huge`](crate::Answer::Huge) have been handed to connections.
    pub fn huge_bytes_sent(&self) -> u64 {
        self.shared.with(|state| state.huge_bytes_sent)
    }

    /// Every call so far, in order of arrival; none after [`forget_calls`](Self::forget_calls).
    pub fn calls(&self) -> Vec<Call> {
        self.shared.with(|state| state.calls.clone()).unwrap_or_default()
    }

    /// Drops the calls so far and records no more, for benches that make very many. They are still counted.
    pub fn forget_calls(&self) {
        self.shared.with(|state| state.calls = None);
    }

    /// How many calls of `method` there were.
    pub fn count(&self, method: &str) -> usize {
        self.shared
            .with(|state| state.counts.get(method).copied().unwrap_or_default())
    }

    /// How many calls there were, by method.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let counts = self.shared.with(|state| state.counts.clone());
        counts.into_iter().collect()
    }

    /// How many subscriptions to `newHeads` are open.
    pub fn subscribers(&self) -> usize {
        self.shared.with(|state| state.subscribers)
    }

    /// Waits until `reached` holds; it is asked again whenever a connection, call or subscription has come or gone.
    ///
    /// # Panics
    ///
    /// When that takes longer than [`WAIT_MAX`].
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let wait = changes.wait_for(|_| reached(self));
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            panic!("the node did not get there; its calls: {:#?}", self.calls());
        }
    }
}
