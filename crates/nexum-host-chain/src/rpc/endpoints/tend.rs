//! Maintains the endpoints while a chain is followed.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Endpoints;
use crate::rpc::endpoint::{Endpoint, Signal};

/// The interval of comparisons of all endpoints' heads, if there are several. Four comparisons a
/// minute cost little compared with following a chain, and nexum notices a lagging endpoint within
/// two blocks of Ethereum.
const HEADS_INTERVAL: Duration = Duration::from_secs(15);

impl Endpoints {
    /// Maintains the endpoints while it is polled: probes rested endpoints after their rests, so
    /// that nexum returns to the primary, and compares heads. Never returns. The source runs this
    /// beside following. While it runs, only a probe ends a rest.
    pub async fn tend(&self) {
        match self.tend_beside(true).await {}
    }

    /// As [`Self::tend`]. `is_followed` says whether the source also follows the chain.
    pub(crate) async fn tend_beside(&self, is_followed: bool) -> Infallible {
        let _tended = Tended::begin(&self.signal);
        // With one endpoint, there is nothing to compare, and following shows whether it works.
        let compares = self.all.len() > 1 || !is_followed;
        let mut heads_due = Instant::now();
        loop {
            let changed = self.signal.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            if compares && heads_due <= now {
                self.look_at_heads().await;
                heads_due = Instant::now() + HEADS_INTERVAL;
            }
            self.probe_rested().await;
            let rest_over = self
                .all
                .iter()
                .filter_map(|endpoint| endpoint.health().rest_over())
                .min();
            let due = [rest_over, compares.then_some(heads_due)].into_iter().flatten().min();
            tokio::select! {
                () = sleep_until(due) => {}
                () = changed => {}
            }
        }
    }

    /// Requests the heads of all endpoints that do not rest, then compares them.
    async fn look_at_heads(&self) {
        let awake = |endpoint: &&Arc<Endpoint>| {
            endpoint.health().rest_over().is_none() && endpoint.health().paused_until().is_none()
        };
        let asked: Vec<_> = self.all.iter().filter(awake).collect();
        // `look_at_head` itself counts a failure for the endpoint's health.
        join_all(asked.iter().map(|endpoint| endpoint.look_at_head())).await;
        for endpoint in asked {
            self.compare(endpoint).await;
        }
    }

    async fn probe_rested(&self) {
        let now = Instant::now();
        let over = |endpoint: &&Arc<Endpoint>| endpoint.health().rest_over().is_some_and(|over| over <= now);
        join_all(self.all.iter().filter(over).map(|endpoint| self.probe(endpoint))).await;
    }

    async fn probe(&self, endpoint: &Endpoint) {
        match endpoint.probe().await {
            Ok(()) => {
                self.compare(endpoint).await;
                endpoint.health().recovered();
                tracing::info!(
                    chain = self.chain_id,
                    endpoint = endpoint.label(),
                    "the endpoint is back"
                );
            }
            Err(error) => {
                tracing::debug!(chain = self.chain_id, endpoint = endpoint.label(), %error, "the endpoint is not back");
                // Any error extends the rest, even one that is not the endpoint's fault, such as a
                // refusal to return its head.
                endpoint.health().not_back(&error);
            }
        }
    }
}

/// Marks the endpoints as probed, until it is dropped.
struct Tended<'a>(&'a Signal);

impl<'a> Tended<'a> {
    fn begin(signal: &'a Signal) -> Self {
        signal.is_tended.store(true, Ordering::Relaxed);
        Self(signal)
    }
}

impl Drop for Tended<'_> {
    fn drop(&mut self) {
        self.0.is_tended.store(false, Ordering::Relaxed);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
