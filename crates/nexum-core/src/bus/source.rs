//! The port for sources of chain events.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use nexum_config::causes::Causes;
use nexum_config::log_filter::LogFilter;
use nexum_config::topic::{ChainId, ChainTopic, Finality};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::log::EventLog;
use super::report::{SourceReport, Trouble};
use crate::BoxError;
use crate::event::{Advance, BlockHash, Position};
use crate::state::HeaderStore;

/// Follows one chain.
///
/// The supervisor calls [`follow`](Self::follow) while a module uses the chain, once at a time. Runners call [`ready`](Self::ready) before
/// a first `init`, and [`replay`](Self::replay) when they have fallen behind the log, any number of
/// them concurrently.
#[async_trait]
pub trait EventSource: Send + Sync + Debug + 'static {
    /// The chain that the source follows.
    fn chain_id(&self) -> ChainId;

    /// A description of the origin for the operator, such as an endpoint's scheme and host. It must
    /// not contain a secret.
    fn describe(&self) -> String;

    /// The deepest reorganisation that the source accepts, in blocks. A block that is deeper below
    /// the head is final.
    fn reorg_depth_max(&self) -> u64;

    /// The reason why the chain does not advance or cannot be read, for example because all of its endpoints are down. `None`
    /// while it advances, and for a source that does not know. The reports, metrics and conditions of the chain and of its modules
    /// follow from this answer alone.
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// The state of the source, for the operator. The default implementation knows the origin and the
    /// [trouble](Self::trouble). It must not block.
    fn report(&self) -> SourceReport {
        let report = SourceReport::new(self.chain_id(), self.describe());
        SourceReport {
            trouble: self.trouble(),
            ..report
        }
    }

    /// Attempts once to read the chain, so that [`trouble`](Self::trouble) has the result from then on. A load of a module
    /// that requires the chain awaits this, for seconds at most, and may drop the future. The default implementation does
    /// nothing, for a source that needs no attempt.
    async fn attempt(&self) {}

    /// Waits until the chain is readable. A module that requires the chain awaits this before its first `init`, repeatedly,
    /// until it succeeds. The wait must have a bound.
    ///
    /// # Errors
    ///
    /// Fails after the bound, with a description of the attempts.
    async fn ready(&self) -> Result<(), SourceError>;

    /// Appends the chain's blocks to its logs until `stop`, in order. The parent of each
    /// [`Advance`] is the log's head, or a revert to its parent comes first. A block's number is
    /// above its parent's, and may skip numbers that have no block. Each block has every
    /// contract log that matches one of the filters of [`ChainLogs::subscribed`]. The source must
    /// survive any outage, and fill the gap afterwards.
    ///
    /// # Errors
    ///
    /// Fails only if a wait cannot help, for example after a reorganisation that is deeper than the
    /// source accepts.
    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> Result<(), SourceError>;

    /// Reads a part of the canonical chain, oldest first. The result may be shorter than the range,
    /// but has each block from the range's start to [`Replayed::through`]. It is empty only if no
    /// number of the range has a block. All of it is from one chain.
    ///
    /// # Errors
    ///
    /// Fails if the chain is not readable now. The caller retries later.
    async fn replay(&self, wanted: &Replay) -> Result<Replayed, SourceError>;
}

/// A request of a runner that has fallen behind.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The numbers of the blocks to read. The range is not empty, and none of its blocks is above the
    /// log's head. A number may have no block.
    pub numbers: RangeInclusive<u64>,
    /// Whether the result needs every block, or only blocks with matching logs.
    pub blocks: bool,
    /// The result needs the logs that match one of these filters. Empty for no logs.
    pub filters: Arc<[LogFilter]>,
}

/// A part of a chain.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The hash of the newest block below the requested range.
    pub parent_hash: BlockHash,
    /// The requested blocks, with at least the requested logs.
    pub blocks: Vec<Arc<Advance>>,
    /// The last block that the source read, even if it was not requested. If no number of the range
    /// has a block, the newest block below the range.
    pub through: Position,
}

/// The logs of one chain: one for each finality that a module subscribes to. Clones share the logs,
/// and any of them can add one.
#[derive(Clone, Debug)]
pub struct ChainLogs {
    chain_id: ChainId,
    logs: Arc<RwLock<Vec<Arc<EventLog>>>>,
    revision: Arc<AtomicU64>,
}

/// A followed topic: its log and its source.
#[derive(Clone, Debug)]
pub(crate) struct TopicHandle {
    pub(crate) log: Arc<EventLog>,
    /// The log of the chain's finalized blocks, if a module follows them.
    pub(crate) finalized: Option<Arc<EventLog>>,
    pub(crate) source: Arc<dyn EventSource>,
}

/// The contract logs that the modules subscribe to on a chain.
#[derive(Clone, Debug, Default)]
pub struct SubscribedLogs {
    /// All filters of all readers of the chain's logs, without duplicates.
    pub filters: Vec<LogFilter>,
    /// The revision of the filters, for the blocks that the source reads with them:
    /// [`Advance::as_of`].
    pub revision: u64,
}

impl ChainLogs {
    /// Creates an empty set of logs, for a chain that no module follows.
    pub fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            logs: Arc::default(),
            revision: Arc::default(),
        }
    }

    /// Creates the log of the chain's head, whose headers are stored.
    pub(crate) fn remembered(chain_id: ChainId, headers: HeaderStore) -> Self {
        let chain = Self::new(chain_id);
        let log = EventLog::of_chain(ChainTopic::latest(chain_id), chain.revision.clone());
        chain.add(log.with_headers(headers));
        chain
    }

    /// Returns the log of this finality, which is created if necessary.
    pub fn open(&self, finality: Finality) -> Arc<EventLog> {
        self.get(finality).unwrap_or_else(|| {
            let topic = ChainTopic {
                chain_id: self.chain_id,
                finality,
            };
            self.add(EventLog::of_chain(topic, self.revision.clone()))
        })
    }

    fn add(&self, log: EventLog) -> Arc<EventLog> {
        let log = Arc::new(log);
        let mut logs = self.logs.write();
        logs.push(log.clone());
        log
    }

    /// The log of this finality, if a module reads it.
    pub fn get(&self, finality: Finality) -> Option<Arc<EventLog>> {
        self.all().into_iter().find(|log| log.topic().finality == finality)
    }

    /// The chain id.
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// All logs, in no order.
    pub fn all(&self) -> Vec<Arc<EventLog>> {
        self.logs.read().clone()
    }

    /// Whether no module follows the chain.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// The current [`SubscribedLogs::revision`]. The filters are equal while the revision is.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// The filters of all current subscriptions.
    pub fn subscribed(&self) -> SubscribedLogs {
        // The revision is read first, so that `filters` may have more filters than it says, but
        // never fewer.
        let revision = self.revision();
        let mut filters: Vec<_> = self.all().iter().flat_map(|log| log.filters()).collect();
        filters.sort_unstable();
        filters.dedup();
        SubscribedLogs { filters, revision }
    }
}

/// An error that ends a source, or a request to it.
#[derive(Debug, thiserror::Error)]
#[error("chain {chain_id}: {reason}")]
#[non_exhaustive]
pub struct SourceError {
    /// The chain id.
    pub chain_id: ChainId,
    /// The fault. It contains no part of a URL except the scheme and host.
    pub reason: String,
    /// The cause.
    #[source]
    pub source: Option<BoxError>,
}

impl SourceError {
    /// Creates an error without a cause.
    pub fn new(chain_id: ChainId, reason: impl Into<String>) -> Self {
        Self {
            chain_id,
            reason: reason.into(),
            source: None,
        }
    }

    /// The reason with its causes, without the chain.
    pub(crate) fn reason_with_causes(&self) -> String {
        match self.source.as_deref() {
            Some(cause) => format!("{}: {}", self.reason, Causes(cause)),
            None => self.reason.clone(),
        }
    }

    /// Adds the cause of an error.
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }
}
