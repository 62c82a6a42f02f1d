//! A subscription to new heads.

use alloy_pubsub::RawSubscription;
use alloy_rpc_client::WeakClient;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// New heads as the endpoint announces them. It is unsubscribed from when this is dropped: alloy does not do that, and the
/// connection, which outlives whoever follows the chain, would carry one more subscription each time.
#[derive(Debug)]
pub struct Heads {
    subscription: RawSubscription,
    /// Weak, so that a connection that is given up is closed.
    client: WeakClient,
}

impl Heads {
    pub(super) fn new(subscription: RawSubscription, client: WeakClient) -> Self {
        Self { subscription, client }
    }

    /// The next head.
    ///
    /// # Errors
    ///
    /// When heads were announced faster than they were read, of which the oldest are lost, and when the connection has died.
    pub async fn recv(&mut self) -> Result<Box<RawValue>, RecvError> {
        self.subscription.recv().await
    }

    /// The next head, if it has been announced already.
    ///
    /// # Errors
    ///
    /// As [`Self::recv`], and when there is none.
    pub fn try_recv(&mut self) -> Result<Box<RawValue>, TryRecvError> {
        self.subscription.try_recv()
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        let client = self.client.upgrade();
        if let Some(frontend) = client.as_ref().and_then(|client| client.pubsub_frontend()) {
            // A connection that has died has no subscriptions.
            let _ = frontend.unsubscribe(*self.subscription.local_id());
        }
    }
}
