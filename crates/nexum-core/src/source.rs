//! The port through which a chain's events come in.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::BoxError;
use crate::event::{Advance, ChainId};
use crate::log::EventLog;

/// Follows one chain.
///
/// The supervisor calls [`follow`](Self::follow) once; runners call [`replay`](Self::replay) when they have fallen behind
/// the log, any number of them at a time.
#[async_trait]
pub trait EventSource: Send + Sync + Debug + 'static {
    /// The chain that it follows.
    fn chain_id(&self) -> ChainId;

    /// What an operator should read of where it comes from, such as an endpoint's scheme and host. Must hold no secret.
    fn describe(&self) -> String;

    /// Appends what the chain does to `log` until `stop`, in order: each [`Advance`] has the log's head as its parent, or
    /// a revert to its parent comes first. Must get over any outage by itself, and fill the gap that it left.
    ///
    /// # Errors
    ///
    /// Only what waiting cannot mend, such as an endpoint of another chain.
    async fn follow(&self, log: &EventLog, stop: &CancellationToken) -> Result<(), SourceError>;

    /// Reads the canonical blocks with these numbers, oldest first. May answer fewer than asked, from the start of the
    /// range, but not none.
    ///
    /// # Errors
    ///
    /// When the chain cannot be read now; the caller tries again later.
    async fn replay(&self, numbers: RangeInclusive<u64>) -> Result<Vec<Arc<Advance>>, SourceError>;
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
}
