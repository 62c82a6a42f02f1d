//! The source of events: writes a chain's blocks and logs into the core's event logs, and replays
//! blocks that a module has missed.

mod absent;
mod ask;
mod begin;
mod blooms;
mod chain_source;
mod condition;
mod filters;
mod finality;
mod follower;
mod gaps;
mod header;
mod heads;
mod logs;
mod per_endpoint;
mod ranges;
mod receipts;
mod reorg;
mod replay;
mod verify;
mod watch;
mod wire_log;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alloy_primitives::B256;
use nexum_config::topic::ChainId;
use nexum_core::source::{ChainLogs, Position, Trouble};
use tokio::time::Instant;

use self::absent::Absent;
use self::ask::Manners;
use self::blooms::Blooms;
use self::condition::Condition;
use self::follower::Follower;
use self::ranges::Ranges;
use crate::config::ChainConfig;
use crate::error::{RequestError, Retry};
use crate::metrics::SourceMetrics;
use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::Endpoints;

pub use self::chain_source::ChainSource;

/// The most blocks in one batch of requests. On most chains, a block with the hashes of its
/// transactions takes up to 40 kB, so the answer stays far below every size limit. The cost of a
/// round trip is small per block.
const BLOCKS_PER_BATCH: u64 = 32;

/// The most concurrent requests for the logs of single blocks while the source fills a gap: enough
/// to hide the round trip.
const LOG_REQUESTS_MAX: usize = 8;

/// Reads one chain with one configuration: over ws and ipc it follows `newHeads`, over http it polls
/// the latest block. A change of the configuration makes another reader, which continues with the
/// log of this one.
///
/// The reader believes no subscription to be complete. A head only says where the chain is. The
/// reader checks that each block is the child of the one before it, and reads the blocks in between
/// by number. A number between a block and its parent has no block. When the parent of a new block is
/// not in the log, the reader reverts to the newest block that both have in common. It requests logs
/// by the hash of their block, so that any endpoint may answer, and appends no block without them.
#[derive(Debug)]
struct Reader {
    chain_id: ChainId,
    config: ChainConfig,
    endpoints: Arc<Endpoints>,
    metrics: Arc<SourceMetrics>,
    condition: Arc<Condition>,
    ranges: Ranges,
    blooms: Blooms,
    absent: Absent,
    manners: Manners,
    /// Held during the request for a block whose earlier request was cut off together with others.
    alone: tokio::sync::Mutex<()>,
    /// Whether the log has reported receipts that do not match their header's root.
    unproven: AtomicBool,
}

impl Reader {
    fn new(
        config: &ChainConfig,
        endpoints: Arc<Endpoints>,
        metrics: Arc<SourceMetrics>,
        condition: Arc<Condition>,
    ) -> Self {
        Self {
            chain_id: config.chain_id,
            config: config.clone(),
            ranges: Ranges::new(&endpoints),
            blooms: Blooms::default(),
            absent: Absent::new(&endpoints),
            manners: Manners::new(&endpoints),
            alone: tokio::sync::Mutex::default(),
            unproven: AtomicBool::new(false),
            endpoints,
            metrics,
            condition,
        }
    }

    /// Follows the chain into these logs until a failure that no retry can repair. Without a log,
    /// only maintains the endpoints.
    async fn follow(&self, logs: &ChainLogs) -> AtEndpoint {
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

    /// The labels of the endpoints, in the order of the configuration.
    fn labels(&self) -> Vec<&str> {
        self.endpoints.all().iter().map(|endpoint| endpoint.label()).collect()
    }

    /// Looks at the chain: the reason why it does not advance. Sets the gauge of the chain too, so
    /// that the metric agrees with each answer. A gauge that is known stays known.
    fn trouble(&self) -> Option<Trouble> {
        let trouble = self.condition.trouble(&self.endpoints.down(), Instant::now());
        let works = |endpoint: &Arc<Endpoint>| endpoint.health().works_since().is_some();
        if trouble.is_some() {
            self.metrics.up.set(0.0);
        } else if self.condition.followed().is_some() || self.endpoints.all().iter().any(works) {
            self.metrics.up.set(1.0);
        }
        trouble
    }
}

/// The purpose of reading blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To follow the chain.
    Follow,
    /// To replay blocks that a module has missed.
    Replay,
}

/// Why a chain could not be read.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{method}: {error}")]
    Asked { method: &'static str, error: RequestError },
    #[error("eth_getLogs for blocks {from} to {to}: {error}")]
    Range { from: u64, to: u64, error: RequestError },
    #[error("the endpoint's block cannot be read")]
    BadHeader,
    #[error("the endpoint's logs cannot be read")]
    BadLogs,
    #[error("the endpoint does not have block {0}")]
    NoBlock(u64),
    #[error(
        "the endpoint's block {to} names block {from} as its parent: between the two, nexum believes at most {} numbers without a \
         block",
        header::SKIPPED_MAX
    )]
    BadParent { from: u64, to: u64 },
    #[error("the endpoint's subscription ended")]
    HeadsEnded,
    #[error("the endpoint has had no new head for {0} s")]
    Stalled(u64),
    #[error(
        "the endpoint's head is block {} {}, far below block {} {} that nexum followed before: the node is syncing, \
         or the chain was replaced; for a chain that was replaced, start again with another state_dir",
        theirs.number, B256::from(theirs.hash), ours.number, B256::from(ours.hash)
    )]
    Below { ours: Position, theirs: Position },
    #[error(
        "the endpoint's head is block {head}, and it has not given the blocks after block {} {} for {seconds} s",
        ours.number, B256::from(ours.hash)
    )]
    Withheld { ours: Position, head: u64, seconds: u64 },
    #[error("the endpoint is on another fork than the others")]
    Alone,
    #[error("the chain changed while it was read")]
    Unsettled,
    #[error(
        "the endpoint has {} for block {} where {} was followed, and none of the {depth} blocks before that is in both: the \
         reorganisation is deeper than reorg_depth_max, or the endpoint is of another network; raise reorg_depth_max, or start \
         again on the chain that is right",
        B256::from(theirs.hash), theirs.number, B256::from(ours.hash)
    )]
    TooDeep {
        ours: Position,
        theirs: Position,
        depth: u64,
    },
}

/// A failure at one endpoint.
#[derive(Debug)]
struct AtEndpoint {
    /// The endpoint's label.
    endpoint: String,
    error: FollowError,
}

impl FollowError {
    /// This failure, at this endpoint.
    fn at(self, endpoint: &Endpoint) -> AtEndpoint {
        AtEndpoint {
            endpoint: endpoint.label().to_owned(),
            error: self,
        }
    }

    /// Whether no retry can succeed.
    fn is_final(&self) -> bool {
        matches!(self, Self::TooDeep { .. })
    }

    /// Whether the endpoint works and its chain does not go on.
    fn is_stall(&self) -> bool {
        matches!(self, Self::Stalled(_) | Self::Below { .. } | Self::Withheld { .. })
    }

    /// Wraps the error of a request with this method.
    fn asked(method: &'static str) -> impl FnOnce(RequestError) -> Self {
        move |error| Self::Asked { method, error }
    }

    /// The error of the failed request, if a request failed.
    fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Request(error) | Self::Asked { error, .. } | Self::Range { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The method of the request that failed.
    fn method(&self) -> Option<&'static str> {
        match self {
            Self::Asked { method, .. } => Some(method),
            Self::Range { .. } => Some("eth_getLogs"),
            _ => None,
        }
    }

    /// Whether the endpoint has answered, be it that it does not know what it was asked about.
    fn is_answered(&self) -> bool {
        let answered = |error: &RequestError| matches!(error, RequestError::Answer { .. }) && !error.is_rate_limit();
        self.is_refusal() || self.request().is_some_and(answered)
    }

    /// Whether an endpoint refuses a request that every followed endpoint must answer: the host's
    /// own requests are well-formed.
    fn is_refusal(&self) -> bool {
        self.request().is_some_and(RequestError::is_refusal)
    }

    /// Whether the answer is larger than the endpoint's or nexum's limit.
    fn is_too_large(&self) -> bool {
        self.request().is_some_and(RequestError::is_too_large)
    }

    /// Whether another endpoint may answer.
    fn may_pass(&self) -> bool {
        match self {
            Self::TooDeep { .. } => false,
            error => error.request().is_none_or(|error| error.retry() != Retry::Never),
        }
    }
}
