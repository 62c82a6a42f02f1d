//! The life of a node: it joins, serves, loses its membership, and joins again.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_core::state::{self, RowCache};
use nexum_core::store::{StateStore, blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::held::{Held, Refusal};
use super::node::Node;
use super::requests::Requests;
use super::service::{End, Service};
use crate::postgres::grant::{Ended, Incarnation};

/// The pause after a failed attempt to join.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The pause of a process that waits for the end of another one: it connects at each attempt.
const STANDBY_PAUSE: Duration = Duration::from_millis(500);

/// A process as a node of an installation.
#[derive(Debug)]
pub(super) struct Member {
    node: Node,
    store: Arc<RowCache>,
}

impl Member {
    pub(super) fn new(node: Node, store: Arc<RowCache>) -> Self {
        Self { node, store }
    }

    /// The requests of the supervisor.
    pub(super) fn requests(&self) -> &Requests {
        &self.node.requests
    }

    /// Is a member of the installation until `stop`, as far as the database allows it.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut last_pid = 0;
        loop {
            let Some((held, incarnation)) = stop.run_until_cancelled(self.join(last_pid)).await else {
                return;
            };
            let Node {
                config,
                lease,
                grant,
                requests,
                metrics,
            } = &self.node;
            let node = &config.node;
            tracing::info!(target: "nexum::cluster", %node, epoch = incarnation.epoch, "the node has joined the installation");
            metrics.joined(incarnation.epoch);
            requests.join(incarnation.epoch.unsigned_abs());
            let mut service = Service::new(&self.node, held, incarnation);
            let end = tokio::select! {
                ended = grant.ended(|| metrics.lease_age(lease.age(grant))) => Err(ended),
                end = service.run(stop) => Ok(end),
            };
            let end = end.unwrap_or_else(|ended| End::Lost(self.lost(ended, service.failure())));
            last_pid = service.last_pid();
            // Before the supervisor finds out, so that the store refuses the writes that it still makes.
            grant.end();
            metrics.ended(matches!(end, End::Left));
            let why = match end {
                End::Left => {
                    tracing::info!(target: "nexum::cluster", %node, "the node has left the installation");
                    return requests.end("the node has left the installation", false);
                }
                End::Lost(why) => why,
            };
            tracing::warn!(target: "nexum::cluster", %node, %why, "the node has lost its modules");
            requests.end(&why, true);
            if stop.run_until_cancelled(requests.vacated()).await.is_none() {
                return;
            }
            self.store.clear();
        }
    }

    fn lost(&self, ended: Ended, failure: Option<&str>) -> String {
        match ended {
            Ended::Fenced => "the installation has given the modules of this node to others".to_owned(),
            Ended::Expired => format!(
                "the database has not confirmed the lease of this node, which lasts {} ms: {}",
                self.node.config.lease_ttl.as_millis(),
                failure.unwrap_or("it does not answer")
            ),
        }
    }

    async fn join(&self, last_pid: i32) -> (Held, Incarnation) {
        let mut said = String::new();
        loop {
            let refusal = match self.try_join(last_pid).await {
                Ok(joined) => return joined,
                Err(refusal) => refusal,
            };
            let (text, pause) = match refusal {
                Refusal::Failed(error) => (format!("the node cannot join: {}", Causes(&error)), RETRY_PAUSE),
                Refusal::Waiting(text) => (text, STANDBY_PAUSE),
            };
            self.node.requests.explain_all(&text);
            if said != text {
                tracing::warn!(target: "nexum::cluster", node = %self.node.config.node, why = %text, "the node waits to join the installation");
                said = text;
            }
            sleep(pause).await;
        }
    }

    async fn try_join(&self, last_pid: i32) -> Result<(Held, Incarnation), Refusal> {
        let held = self.node.lease.hold(last_pid).await?;
        let offers = self.node.requests.offers();
        let incarnation = self.node.lease.join(&held, &self.node.grant, &offers).await?;
        self.node.requests.offered(&offers);
        // Also gives the state its format, if it is new.
        let store: Arc<dyn StateStore> = self.store.clone();
        if let Err(error) = blocking(&store, state::open).await {
            self.node.grant.end();
            return Err(self.node.lease.failed(error).into());
        }
        Ok((held, incarnation))
    }
}
