//! One configuration of a chain, and what nexum knows about its endpoints.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nexum_config::topic::ChainId;

use super::absent::Absent;
use super::ask::Manners;
use super::blooms::Blooms;
use super::condition::Condition;
use super::ranges::Ranges;
use crate::config::ChainConfig;
use crate::metrics::SourceMetrics;
use crate::rpc::endpoints::Endpoints;

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
pub(super) struct Reader {
    pub(super) chain_id: ChainId,
    pub(super) config: ChainConfig,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) condition: Arc<Condition>,
    pub(super) ranges: Ranges,
    pub(super) blooms: Blooms,
    pub(super) absent: Absent,
    pub(super) manners: Manners,
    /// Held during the request for a block whose earlier request was cut off together with others.
    pub(super) alone: tokio::sync::Mutex<()>,
    /// Whether the log has reported receipts that do not match their header's root.
    pub(super) unproven: AtomicBool,
}

impl Reader {
    pub(super) fn new(
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
}
