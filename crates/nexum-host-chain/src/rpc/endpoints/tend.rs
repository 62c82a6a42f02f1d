//! Maintains the endpoints while a chain is followed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::Endpoints;
use crate::rpc::endpoint::{Endpoint, Signal};

/// The interval of comparisons of all endpoints' heads, if there are several. Four comparisons a
/// minute cost little compared with following a chain, and nexum notices a lagging endpoint within
/// two blocks of Ethereum.
const HEADS_INTERVAL: Duration = Duration::from_secs(15);

/// The longest rest of an endpoint while the chain has no endpoint that works: nexum uses an endpoint
/// that is back within seconds. A probe is up to four requests, which no provider counts as abuse.
const REST_MAX_IN_OUTAGE: Duration = Duration::from_secs(3);

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
        tokio::select! {
            never = self.compare_heads(compares) => never,
            never = self.probe_rested() => never,
        }
    }

    async fn compare_heads(&self, compares: bool) -> Infallible {
        if !compares {
            return std::future::pending().await;
        }
        loop {
            self.look_at_heads().await;
            tokio::time::sleep(HEADS_INTERVAL).await;
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

    /// Probes each endpoint after its rest. An endpoint that hangs delays no probe of another one.
    async fn probe_rested(&self) -> Infallible {
        let mut probes = FuturesUnordered::new();
        // Indexes of the endpoints.
        let mut probed = BTreeSet::new();
        loop {
            let changed = self.signal.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.by_preference().is_empty() {
                let all = self.all.iter();
                all.for_each(|endpoint| endpoint.health().rest_at_most(REST_MAX_IN_OUTAGE));
            }
            let now = Instant::now();
            let mut due = None;
            for endpoint in &self.all {
                if probed.contains(&endpoint.index()) {
                    continue;
                }
                match endpoint.health().rest_over() {
                    Some(over) if over <= now => {
                        probed.insert(endpoint.index());
                        probes.push(async move {
                            self.probe(endpoint).await;
                            endpoint.index()
                        });
                    }
                    over => due = due.into_iter().chain(over).min(),
                }
            }
            tokio::select! {
                () = sleep_until(due) => {}
                () = changed => {}
                Some(index) = probes.next() => {
                    probed.remove(&index);
                }
            }
        }
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
