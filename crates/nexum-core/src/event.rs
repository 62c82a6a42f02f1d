//! What happened: blocks of a chain, and how an event is named.

use std::fmt;
use std::sync::Arc;

pub use crate::bindings::nexum::host::types::{Block, Event};

/// An EIP-155 chain id.
pub type ChainId = u64;

/// A 32-byte block hash.
pub type BlockHash = [u8; 32];

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The block's number.
    pub number: u64,
    /// The block's hash, which tells two blocks of one number apart.
    pub hash: BlockHash,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x", self.number)?;
        self.hash[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// A block that extends a chain.
///
/// Its event is made once and shared by every module that gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance {
    /// Where the chain is after this block.
    pub position: Position,
    /// The hash of the block before.
    pub parent_hash: BlockHash,
    event: Event,
}

impl Advance {
    /// A block as a source read it; `timestamp_ms` is in milliseconds since the Unix epoch.
    pub fn new(chain_id: ChainId, position: Position, parent_hash: BlockHash, timestamp_ms: u64) -> Arc<Self> {
        let event = Event::Block(Block {
            chain_id,
            number: position.number,
            hash: position.hash.to_vec(),
            timestamp: timestamp_ms,
        });
        Arc::new(Self {
            position,
            parent_hash,
            event,
        })
    }

    /// The `block` event that modules get.
    pub fn block_event(&self) -> &Event {
        &self.event
    }
}

/// What an event is about; with the chain and the block it names an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A block became part of the chain.
    Block,
}

/// Names an event in logs and records, as `chain:block:kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let kind = match self.kind {
            EventKind::Block => "block",
        };
        write!(f, "{}:{}:{kind}", self.chain_id, self.position.number)
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
