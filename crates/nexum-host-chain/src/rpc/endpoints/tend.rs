//! Looks after the endpoints while a chain is followed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Endpoints;
use crate::rpc::endpoint::{Endpoint, Signal};

/// How often the heads of all endpoints are compared, if there are several: four times a minute is little beside what following
/// a chain takes, and an endpoint that falls behind is noticed within two blocks of Ethereum.
const HEADS_INTERVAL: Duration = Duration::from_secs(15);

impl Endpoints {
    /// Looks after the endpoints for as long as it is polled: probes those that rest when their rest is over, so that the
    /// primary is gone back to, and compares their heads. Never returns. For the source, beside following; while it runs,
    /// only a probe ends a rest.
    pub async fn tend(&self) {
        let _tended = Tended::begin(&self.signal);
        // A lone endpoint has nothing to be compared with.
        let compares = self.all.len() > 1;
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

    /// Asks all that do not rest for their heads, and compares them once all are known.
    async fn look_at_heads(&self) {
        let awake = |endpoint: &&Arc<Endpoint>| {
            endpoint.health().rest_over().is_none() && endpoint.health().paused_until().is_none()
        };
        let asked: Vec<_> = self.all.iter().filter(awake).collect();
        // A failure counts for the endpoint's health by itself.
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
                // It does not come back with an error that is no fault by itself either, as a refusal to tell its head.
                endpoint.health().not_back(&error);
            }
        }
    }
}

/// Says that somebody probes, until it is dropped.
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
