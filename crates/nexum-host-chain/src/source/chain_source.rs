//! The source of one chain, whose configuration can change.

use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::topic::ChainId;
use nexum_core::source::{ChainLogs, EventSource, Replay, Replayed, SourceError, SourceReport, Trouble};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::condition::{Condition, Followed};
use super::{AtEndpoint, Reader};
use crate::config::ChainConfig;
use crate::metrics::SourceMetrics;
use crate::modules::ModuleCounts;
use crate::rpc::endpoints::Endpoints;

/// Follows one chain, and replays its blocks. Its configuration can change while it follows.
#[derive(Debug)]
pub struct ChainSource {
    chain_id: ChainId,
    reorg_depth_max: u64,
    reader: RwLock<Arc<Reader>>,
    /// Notified when another reader takes over.
    replaced: Notify,
    modules: Arc<ModuleCounts>,
}

impl ChainSource {
    pub(crate) fn new(config: &ChainConfig, endpoints: Arc<Endpoints>, modules: Arc<ModuleCounts>) -> Self {
        let metrics = Arc::new(SourceMetrics::new(config.chain_id));
        let reader = Reader::new(config, endpoints, metrics, Arc::new(Condition::default()));
        reader.show();
        Self {
            chain_id: config.chain_id,
            reorg_depth_max: config.reorg_depth_max,
            reader: RwLock::new(Arc::new(reader)),
            replaced: Notify::new(),
            modules,
        }
    }

    /// Continues with another configuration, from the block that the log has reached. Replays in
    /// progress end with the configuration with which they began. Keeps `reorg_depth_max`, because
    /// modules keep their undo records to this depth.
    pub(crate) fn continue_with(&self, config: &ChainConfig, endpoints: Arc<Endpoints>) {
        let before = self.reader();
        let (metrics, condition) = (Arc::clone(&before.metrics), Arc::clone(&before.condition));
        let reader = Reader::new(config, endpoints, metrics, condition);
        before.endpoints.retire(&reader.endpoints);
        reader.condition.replaced(&reader.labels());
        *self.reader.write() = Arc::new(reader);
        self.replaced.notify_waiters();
    }

    fn reader(&self) -> Arc<Reader> {
        self.reader.read().clone()
    }

    fn error(&self, reason: &str, AtEndpoint { endpoint, error }: AtEndpoint) -> SourceError {
        let reason = format!("{reason} over {endpoint}");
        SourceError::new(self.chain_id, reason).with_source(Box::new(error) as nexum_core::BoxError)
    }
}

#[async_trait]
impl EventSource for ChainSource {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    fn reorg_depth_max(&self) -> u64 {
        self.reorg_depth_max
    }

    fn describe(&self) -> String {
        self.reader().labels().join(", ")
    }

    fn trouble(&self) -> Option<Trouble> {
        self.reader().trouble()
    }

    fn report(&self) -> SourceReport {
        let reader = self.reader();
        let condition = &reader.condition;
        let followed = condition.followed();
        let in_use = followed.as_ref().map(|followed| (&*followed.endpoint, followed.since));
        SourceReport {
            head: condition.head(),
            following: followed.as_ref().map(Followed::report),
            trouble: reader.trouble(),
            endpoints: reader.endpoints.report(in_use),
            requests_by_module: self.modules.report(),
            request_failovers: reader.endpoints.metrics().failovers(),
            follow_failovers: condition.failovers(),
            ..SourceReport::new(self.chain_id, self.describe())
        }
    }

    async fn attempt(&self) {
        let reader = self.reader();
        if !reader.endpoints.can_be_reached().await {
            reader.condition.unreachable();
        }
    }

    async fn ready(&self) -> Result<(), SourceError> {
        loop {
            let replaced = self.replaced.notified();
            tokio::pin!(replaced);
            // No replacement after this line is missed.
            replaced.as_mut().enable();
            let endpoints = self.reader().endpoints.clone();
            tokio::select! {
                biased;
                // The new endpoints may be reachable.
                () = replaced => {}
                ready = endpoints.ready() => return ready.map_err(|error| {
                    let reason = "cannot be reached";
                    SourceError::new(self.chain_id, reason).with_source(Box::new(error) as nexum_core::BoxError)
                }),
            }
        }
    }

    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> Result<(), SourceError> {
        loop {
            let replaced = self.replaced.notified();
            tokio::pin!(replaced);
            // No replacement after this line is missed.
            replaced.as_mut().enable();
            let reader = self.reader();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = replaced => {}
                error = reader.follow(logs) => return Err(self.error("cannot be followed any longer", error)),
            }
        }
    }

    async fn replay(&self, wanted: &Replay) -> Result<Replayed, SourceError> {
        let replayed = self.reader().read_again(wanted).await;
        replayed.map_err(|error| self.error("cannot be read", error))
    }
}
