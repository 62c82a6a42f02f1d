//! The source of events: writes a chain's blocks and logs into the core's event logs, and replays
//! blocks that a module has missed.

mod absent;
mod ask;
mod begin;
mod blooms;
mod condition;
mod filters;
mod finality;
mod follow_error;
mod follower;
mod gaps;
mod header;
mod heads;
mod logs;
mod per_endpoint;
mod ranges;
mod reader;
mod receipts;
mod reorg;
mod replay;
mod verify;
mod watch;
mod wire_log;

use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::topic::ChainId;
use nexum_core::Reason;
use nexum_core::source::{ChainLogs, EventSource, Replay, Replayed, SourceError, SourceReport};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::condition::Condition;
use self::follow_error::FollowError;
use self::follower::Follower;
use self::reader::Reader;
use crate::config::ChainConfig;
use crate::metrics::SourceMetrics;
use crate::modules::ModuleCounts;
use crate::rpc::endpoints::Endpoints;
use crate::wall;

/// The most blocks in one batch of requests. On most chains, a block with the hashes of its
/// transactions takes up to 40 kB, so the answer stays far below every size limit. The cost of a
/// round trip is small per block.
const BLOCKS_PER_BATCH: u64 = 32;

/// The most concurrent requests for the logs of single blocks while the source fills a gap: enough
/// to hide the round trip.
const LOG_REQUESTS_MAX: usize = 8;

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

/// The purpose of reading blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To follow the chain.
    Follow,
    /// To replay blocks that a module has missed.
    Replay,
}

impl ChainSource {
    pub(crate) fn new(config: &ChainConfig, endpoints: Arc<Endpoints>, modules: Arc<ModuleCounts>) -> Self {
        let metrics = Arc::new(SourceMetrics::new(config.chain_id));
        let reader = Reader::new(config, endpoints, metrics, Arc::new(Condition::default()));
        Self {
            chain_id: config.chain_id,
            reorg_depth_max: config.reorg_depth_max,
            reader: RwLock::new(Arc::new(reader)),
            replaced: Notify::new(),
            modules,
        }
    }

    fn reader(&self) -> Arc<Reader> {
        self.reader.read().clone()
    }

    fn error(&self, reason: &str, source: FollowError) -> SourceError {
        SourceError::new(self.chain_id, reason).with_source(Box::new(source) as nexum_core::BoxError)
    }
}

impl Reader {
    /// Follows the chain into these logs until a failure that no retry can repair. Without a log,
    /// only maintains the endpoints.
    async fn follow(&self, logs: &ChainLogs) -> FollowError {
        let is_followed = !logs.is_empty();
        let follow = async {
            if !is_followed {
                return std::future::pending().await;
            }
            Follower::new(self, logs).follow().await
        };
        // Dropping a future here leaves no log half changed: each call that changes a log is
        // atomic.
        let error = tokio::select! {
            error = follow => error,
            never = self.endpoints.tend_beside(is_followed) => match never {},
            never = self.watch(is_followed) => match never {},
        };
        self.condition.lost(&error);
        error
    }

    /// The reason why the chain does not advance, with the time of its beginning.
    fn trouble(&self) -> Option<Reason> {
        let (text, since) = self.condition.trouble(&self.endpoints.down(), Instant::now())?;
        Some(Reason {
            text: text.into(),
            since_ms: wall::ms(since),
        })
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
        let reader = self.reader();
        let labels: Vec<&str> = reader.endpoints.all().iter().map(|endpoint| endpoint.label()).collect();
        labels.join(", ")
    }

    fn trouble(&self) -> Option<Reason> {
        self.reader().trouble()
    }

    fn report(&self) -> SourceReport {
        let reader = self.reader();
        let condition = &reader.condition;
        let followed = condition.followed();
        let in_use = followed.as_ref().map(|followed| (&*followed.endpoint, followed.since));
        SourceReport {
            head: condition.head(),
            following: followed.as_ref().map(condition::Followed::report),
            trouble: reader.trouble(),
            endpoints: reader.endpoints.report(in_use),
            requests_by_module: self.modules.report(),
            request_failovers: reader.endpoints.metrics().failovers(),
            follow_failovers: condition.failovers(),
            ..SourceReport::new(self.chain_id, self.describe())
        }
    }

    async fn ready(&self) -> Result<(), SourceError> {
        let endpoints = self.reader().endpoints.clone();
        endpoints.ready().await.map_err(|error| {
            let reason = "cannot be reached";
            SourceError::new(self.chain_id, reason).with_source(Box::new(error) as nexum_core::BoxError)
        })
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
