//! A subscription to new heads.

use alloy_pubsub::RawSubscription;
use alloy_rpc_client::WeakClient;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// New heads, as the endpoint announces them. Dropping this unsubscribes. alloy does not
/// unsubscribe, and a connection outlives the source's use of it, so it would carry one more
/// subscription each time.
#[derive(Debug)]
pub struct Heads {
    subscription: RawSubscription,
    /// Weak, so that an abandoned connection is closed.
    client: WeakClient,
    /// Whether alloy may still have its own receiver for heads before the first reader. Nothing
    /// reads it, and it would hold as many heads in memory as the channel has room for.
    has_spare: bool,
    /// Whether a head has arrived.
    has_heard: bool,
}

impl Heads {
    pub(super) fn new(subscription: RawSubscription, client: WeakClient) -> Self {
        Self {
            subscription,
            client,
            has_spare: true,
            has_heard: false,
        }
    }

    /// Waits for the next head.
    ///
    /// # Errors
    ///
    /// If heads arrived faster than they were read, so that the oldest are lost, or if the
    /// connection is lost.
    pub async fn recv(&mut self) -> Result<Box<RawValue>, RecvError> {
        if self.has_heard && self.has_spare {
            self.drop_spare().await;
            self.has_spare = false;
        }
        let head = self.subscription.recv().await;
        self.has_heard = true;
        head
    }

    /// The next head, if one has been announced.
    ///
    /// # Errors
    ///
    /// As [`Self::recv`], and if there is none.
    pub fn try_recv(&mut self) -> Result<Box<RawValue>, TryRecvError> {
        self.subscription.try_recv()
    }

    /// Drops alloy's own receiver: the first caller that requests a subscription receives it.
    async fn drop_spare(&self) {
        let client = self.client.upgrade();
        if let Some(frontend) = client.as_ref().and_then(|client| client.pubsub_frontend()) {
            // A lost connection has no receivers.
            let _ = frontend.get_subscription(*self.subscription.local_id()).await;
        }
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        let client = self.client.upgrade();
        if let Some(frontend) = client.as_ref().and_then(|client| client.pubsub_frontend()) {
            // A lost connection has no subscriptions.
            let _ = frontend.unsubscribe(*self.subscription.local_id());
        }
    }
}

#[cfg(test)]
mod tests {
    use nexum_testing::{Node, TEST_CHAIN_ID};

    use crate::{ChainConfig, EndpointUrl, Endpoints};

    #[tokio::test]
    async fn nobody_keeps_heads_that_were_read() {
        let node = Node::start().await;
        let config = ChainConfig::new(TEST_CHAIN_ID, EndpointUrl::parse(&node.ws_url()).unwrap());
        let endpoint = Endpoints::new(&config).preferred();
        let mut heads = endpoint.heads().await.unwrap().unwrap();
        for _ in 0..3 {
            node.mine(1);
            heads.recv().await.unwrap();
        }
        let client = heads.client.upgrade().unwrap();
        let another = client.pubsub_frontend().unwrap();
        let another = another.get_subscription(*heads.subscription.local_id()).await.unwrap();
        assert_eq!(another.len(), 0);
    }
}
