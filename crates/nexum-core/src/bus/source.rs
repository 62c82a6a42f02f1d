//! The port through which a chain's events come in.

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
use crate::BoxError;
use crate::event::{Advance, BlockHash, Position};
use crate::state::Headers;

/// Follows one chain.
///
/// The supervisor calls [`follow`](Self::follow), once. Runners call [`ready`](Self::ready) before a first `init`, and
/// [`replay`](Self::replay) when they have fallen behind the log, any number of them at a time.
#[async_trait]
pub trait EventSource: Send + Sync + Debug + 'static {
    /// The chain that it follows.
    fn chain_id(&self) -> ChainId;

    /// What an operator should read of where it comes from, such as an endpoint's scheme and host. Must hold no secret.
    fn describe(&self) -> String;

    /// How many blocks a reorganisation may take back. What is deeper than that below the head is settled.
    fn reorg_depth_max(&self) -> u64;

    /// Why the chain does not go on although the source follows it, such as endpoints that are far below the blocks that were
    /// followed before. None while it goes on, and for a source that does not know.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Returns when the chain can be read. A module that requires the chain awaits this before its first `init`, again and
    /// again until it succeeds. Must end within a bound of its own.
    ///
    /// # Errors
    ///
    /// When that takes too long; it says what was tried.
    async fn ready(&self) -> Result<(), SourceError>;

    /// Appends what the chain does to its logs until `stop`, in order: each [`Advance`] has the log's head as its parent, or
    /// a revert to its parent comes first, and it has every log that one of the filters of [`ChainLogs::wanted`] matches. Must get over any
    /// outage by itself, and fill the gap that it left.
    ///
    /// # Errors
    ///
    /// Only what waiting cannot mend, such as a reorganisation deeper than is believed.
    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> Result<(), SourceError>;

    /// Reads a part of the canonical chain, oldest first. May answer less than was asked, from the start of the range, but not
    /// nothing. All that it answers is of one chain.
    ///
    /// # Errors
    ///
    /// When the chain cannot be read now; the caller tries again later.
    async fn replay(&self, wanted: &Replay) -> Result<Replayed, SourceError>;
}

/// What a runner that is behind asks of a source.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The blocks to read. Not empty, and none of them is above the log's head.
    pub numbers: RangeInclusive<u64>,
    /// Whether every block is wanted, or only those with logs that match.
    pub blocks: bool,
    /// The logs that are wanted: those that one of these matches. None: no logs.
    pub filters: Arc<[LogFilter]>,
}

/// A part of a chain.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The hash of the block before the first that was asked for.
    pub parent_hash: BlockHash,
    /// The blocks that were wanted, with at least the logs that were.
    pub blocks: Vec<Arc<Advance>>,
    /// The last block that was read, wanted or not.
    pub through: Position,
}

/// The logs of one chain that somebody reads: one for each finality that a module asked for. Clones are of the same logs, which
/// may become more at any time.
#[derive(Clone, Debug)]
pub struct ChainLogs {
    chain_id: ChainId,
    logs: Arc<RwLock<Vec<Arc<EventLog>>>>,
    revision: Arc<AtomicU64>,
}

/// A topic that is followed: its log, and where that comes from.
#[derive(Clone, Debug)]
pub(crate) struct TopicHandle {
    pub(crate) log: Arc<EventLog>,
    /// The log of the chain's finalized blocks, if somebody follows them.
    pub(crate) finalized: Option<Arc<EventLog>>,
    pub(crate) source: Arc<dyn EventSource>,
}

/// The logs of contracts that are wanted of a chain.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Every filter of everyone who reads one of the chain's logs, each once.
    pub filters: Vec<LogFilter>,
    /// Goes with the blocks whose logs were asked for with these filters: [`Advance::as_of`].
    pub revision: u64,
}

impl ChainLogs {
    /// No logs: nobody follows the chain.
    pub fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            logs: Arc::default(),
            revision: Arc::default(),
        }
    }

    /// The log of the chain's head, whose blocks are remembered beyond the process.
    pub(crate) fn remembered(chain_id: ChainId, headers: Headers) -> Self {
        let chain = Self::new(chain_id);
        let log = EventLog::of_chain(ChainTopic::latest(chain_id), chain.revision.clone());
        chain.add(log.with_headers(headers));
        chain
    }

    /// The log of this finality, which is made if it is not there.
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

    /// The log of this finality, if somebody reads it.
    pub fn get(&self, finality: Finality) -> Option<Arc<EventLog>> {
        self.all().into_iter().find(|log| log.topic().finality == finality)
    }

    /// The chain.
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Every log, in no order.
    pub fn all(&self) -> Vec<Arc<EventLog>> {
        self.logs.read().clone()
    }

    /// Whether nobody follows the chain.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// What [`Wanted::revision`] is now: with the same one, the filters are the same.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// What is wanted now.
    pub fn wanted(&self) -> Wanted {
        // Read first: there may be more filters than it says, never less.
        let revision = self.revision();
        let mut filters: Vec<_> = self.all().iter().flat_map(|log| log.filters()).collect();
        filters.sort_unstable();
        filters.dedup();
        Wanted { filters, revision }
    }
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("chain {chain_id}: {reason}")]
#[non_exhaustive]
pub struct SourceError {
    /// The chain.
    pub chain_id: ChainId,
    /// What is wrong; never holds a URL beyond scheme and host.
    pub reason: String,
    /// What it came from.
    #[source]
    pub source: Option<BoxError>,
}

impl SourceError {
    /// An error that comes from no other.
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

    /// An error with what it came from.
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }
}
