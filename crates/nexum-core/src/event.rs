//! What happened: blocks of a chain and their logs, and how an event is named.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::bindings::nexum::host::types::{Block, Event, Log};
pub use crate::topic::{ChainId, Finality, Topic};

/// A 32-byte block hash.
pub type BlockHash = [u8; 32];

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The block's number.
    pub number: u64,
    /// The block's hash, which tells two blocks of one number apart.
    pub hash: BlockHash,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x", self.number)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A block that extends a chain, with those of its logs that somebody asked for.
///
/// The event of the block is made once and shared by every module that gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance {
    /// Where the chain is after this block.
    pub position: Position,
    /// The hash of the block before; zero where only logs were read.
    pub parent_hash: BlockHash,
    /// In the order of their index; at least those that match a filter of those who follow the chain.
    pub logs: Vec<Log>,
    event: Option<Event>,
}

impl Advance {
    /// A block as a source read it, without logs; `timestamp_ms` is in milliseconds since the Unix epoch.
    pub fn new(chain_id: ChainId, position: Position, parent_hash: BlockHash, timestamp_ms: u64) -> Arc<Self> {
        Self::with_logs(chain_id, position, parent_hash, timestamp_ms, Vec::new())
    }

    /// A block with its logs, in the order of their index.
    pub fn with_logs(
        chain_id: ChainId,
        position: Position,
        parent_hash: BlockHash,
        timestamp_ms: u64,
        logs: Vec<Log>,
    ) -> Arc<Self> {
        let event = Event::Block(Block {
            chain_id,
            number: position.number,
            hash: position.hash.to_vec(),
            timestamp: timestamp_ms,
        });
        Arc::new(Self {
            position,
            parent_hash,
            logs,
            event: Some(event),
        })
    }

    /// A block of which only the logs were read, for those who want nothing else of it.
    pub fn of_logs(position: Position, logs: Vec<Log>) -> Arc<Self> {
        Arc::new(Self {
            position,
            parent_hash: [0; 32],
            logs,
            event: None,
        })
    }

    /// The `block` event that modules get; none where only logs were read.
    pub fn block_event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// About how many bytes it holds in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        let log = |log: &Log| {
            let topics: usize = log.topics.iter().map(|topic| size_of_val(topic) + topic.len()).sum();
            size_of_val(log) + log.address.len() + log.data.len() + log.transaction_hash.len() + topics
        };
        size_of::<Self>() + self.position.hash.len() + self.logs.iter().map(log).sum::<usize>()
    }
}

/// What an event is about, in the order in which the events of one block come. Stored with cursors, as [`Finality`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// Contracts logged something in the block.
    Logs,
    /// A block became part of the chain.
    Block,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logs => "logs",
            Self::Block => "block",
        })
    }
}

/// Names an event in logs and records, as `chain:block:kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventId {
    /// The chain that it happened on.
    pub chain_id: ChainId,
    /// The block that it happened in.
    pub position: Position,
    /// What happened.
    pub kind: EventKind,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.chain_id, self.position.number, self.kind)
    }
}

/// The exported function of a module that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `init`, and the component's own start functions before it.
    Init,
    /// `on-event`, for this event.
    OnEvent(EventId),
}

impl Handler {
    /// The event in hand, if it is about one.
    pub fn event(&self) -> Option<EventId> {
        match self {
            Self::Init => None,
            Self::OnEvent(id) => Some(*id),
        }
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("init"),
            Self::OnEvent(id) => write!(f, "on-event {id}"),
        }
    }
}
