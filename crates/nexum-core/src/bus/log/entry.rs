//! The entries of a log, and its readers.

use std::sync::Arc;

use tokio::time::Instant;

use crate::bus::router::{Routes, SubscriberId};
use crate::event::{Advance, Position};

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// The chain grew by a block.
    Advance(Arc<Routed>),
    /// The blocks after this position are no longer part of the chain.
    Revert(Position),
}

/// A block, and the subscribers of its logs.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed {
    /// The block.
    pub block: Arc<Advance>,
    /// The time of the append.
    pub at: Instant,
    /// The endpoint that reported the block. `None` if the source does not say.
    pub origin: Option<Arc<Origin>>,
    pub(super) routes: Routes,
    /// The revision of the filters. `routes` or the block lack the logs of later subscribers.
    pub(super) revision: u64,
}

impl Routed {
    /// The positions of a subscriber's logs in the block's list, in order. `None` if the source
    /// read the block before it knew the subscriber's filters.
    pub fn logs_of(&self, subscriber: Subscriber) -> Option<&[u32]> {
        if self.revision < subscriber.since {
            return None;
        }
        let found = self.routes.binary_search_by_key(&subscriber.id, |(id, _)| *id);
        Some(found.map_or(&[], |index| &self.routes[index].1))
    }
}

/// A reader of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub(super) id: SubscriberId,
    /// The first revision of the chain's filters that includes the subscriber's.
    pub(super) since: u64,
}

/// The way in which a block came to nexum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The endpoint: scheme, host and port, without secrets.
    pub endpoint: String,
    /// Whether the endpoint pushes new heads. Otherwise nexum polls.
    pub pushed: bool,
}

impl LogEntry {
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Advance(routed) => size_of::<Self>() + routed.block.size_bytes(),
            Self::Revert(_) => size_of::<Self>(),
        }
    }
}
