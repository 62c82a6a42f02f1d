//! Events: the blocks of a chain, their logs and the times of schedules, and the events' ids.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use nexum_config::topic::{ChainId, ChainTopic, Finality, ScheduleId, Topic};

pub(crate) use crate::bindings::nexum::host::types::{Block, Tick};
pub use crate::bindings::nexum::host::types::{Event, Log};

/// A 32-byte block hash.
pub type BlockHash = [u8; 32];

/// A position in a chain or in a schedule. A schedule's position has no hash, and its number is the
/// time in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The block's number.
    pub number: u64,
    /// The block's hash, which tells two blocks with one number apart.
    pub hash: BlockHash,
}

impl Position {
    /// Creates the position of a time in a schedule, in milliseconds since the Unix epoch.
    pub fn at_ms(ms: u64) -> Self {
        Self {
            number: ms,
            hash: BlockHash::default(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x", self.number)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A block that extends a chain, with the contract logs that modules subscribe to.
///
/// The block's event is created once, and all modules share it.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance {
    /// The position of the block.
    pub position: Position,
    /// The parent's hash. Zero if the source read only logs.
    pub parent_hash: BlockHash,
    /// The logs, in the order of their transactions and indexes: at least those that match a filter
    /// of the chain's readers.
    pub logs: Vec<Log>,
    /// The revision of the chain's filters:
    /// [`SubscribedLogs::revision`](crate::bus::source::SubscribedLogs::revision).
    pub(crate) revision: u64,
    event: Option<Event>,
}

impl Advance {
    /// Creates a block without logs. `timestamp_ms` is in milliseconds since the Unix epoch.
    pub fn new(chain_id: ChainId, position: Position, parent_hash: BlockHash, timestamp_ms: u64) -> Arc<Self> {
        Self::with_logs(chain_id, position, parent_hash, timestamp_ms, Vec::new())
    }

    /// Creates a block with its logs, in the order of their transactions and indexes.
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
            revision: u64::MAX,
            event: Some(event),
        })
    }

    /// Sets the revision of the filters that selected the logs. Without this call, the logs count
    /// as complete for every filter.
    #[must_use]
    pub fn as_of(mut self: Arc<Self>, revision: u64) -> Arc<Self> {
        if let Some(block) = Arc::get_mut(&mut self) {
            block.revision = revision;
        }
        self
    }

    /// Creates a block of which the source read only logs, for modules that subscribe to nothing
    /// else of it.
    pub fn of_logs(position: Position, logs: Vec<Log>) -> Arc<Self> {
        Arc::new(Self {
            position,
            parent_hash: [0; 32],
            logs,
            revision: u64::MAX,
            event: None,
        })
    }

    /// The `block` event for modules. `None` if the source read only logs.
    pub fn block_event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// The block's timestamp, in milliseconds since the Unix epoch. `None` if the source read only
    /// logs.
    pub fn timestamp_ms(&self) -> Option<u64> {
        match &self.event {
            Some(Event::Block(block)) => Some(block.timestamp),
            _ => None,
        }
    }

    /// The approximate size in memory, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.position.hash.len() + self.logs.iter().map(log_bytes).sum::<usize>()
    }
}

/// The approximate size of a log in memory, in bytes.
pub(crate) fn log_bytes(log: &Log) -> usize {
    let topics: usize = log.topics.iter().map(|topic| size_of_val(topic) + topic.len()).sum();
    size_of_val(log) + log.address.len() + log.data.len() + log.transaction_hash.len() + topics
}

/// The kind of an event. The variants are in the order of the events of one block. The kind is
/// stored with cursors, as [`Finality`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// Contract logs of the block.
    Logs,
    /// A block became part of the chain.
    Block,
    /// A time of a schedule has come.
    Tick,
}

impl EventKind {
    /// The kind's name, in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Block => "block",
            Self::Tick => "tick",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The id of an event in logs and records: `CHAIN:BLOCK:KIND`, `CHAIN@FINALITY:BLOCK:KIND` or
/// `SCHEDULE:MILLISECONDS:tick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventId {
    /// The event's topic.
    pub topic: Topic,
    /// The event's block, or the time of a tick.
    pub position: Position,
    /// The event's kind.
    pub kind: EventKind,
}

impl EventId {
    /// The event's block. `None` for a tick.
    pub fn block(&self) -> Option<Position> {
        self.topic.chain_id().map(|_| self.position)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.topic {
            Topic::Chain(ChainTopic { chain_id, finality }) => match finality {
                Finality::Latest => write!(f, "{chain_id}"),
                Finality::Confirmations(count) => write!(f, "{chain_id}@{count}"),
                finality => write!(f, "{chain_id}@{finality}"),
            },
            Topic::Schedule(ScheduleId(id)) => write!(f, "{id:016x}"),
        }?;
        write!(f, ":{}:{}", self.position.number, self.kind)
    }
}

/// The exported function that runs in a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `init`, and before it the component's start functions.
    Init,
    /// `on-event`, for this event.
    OnEvent(EventId),
    /// `evaluate`, for this request.
    Evaluate(RequestId),
    /// `invoke`, for this request.
    Invoke(RequestId),
    /// `list-functions`, before the module starts.
    ListFunctions,
}

/// The number of a call to a module's `evaluate` or `invoke`. The first call after the module's load
/// is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Handler {
    /// The current event. `None` for other functions.
    pub fn event(&self) -> Option<EventId> {
        match self {
            Self::OnEvent(id) => Some(*id),
            Self::Init | Self::Evaluate(_) | Self::Invoke(_) | Self::ListFunctions => None,
        }
    }

    /// The exported function's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::OnEvent(_) => "on-event",
            Self::Evaluate(_) => "evaluate",
            Self::Invoke(_) => "invoke",
            Self::ListFunctions => "list-functions",
        }
    }

    /// The current request. `None` for other functions.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Evaluate(id) | Self::Invoke(id) => Some(*id),
            Self::Init | Self::OnEvent(_) | Self::ListFunctions => None,
        }
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init | Self::ListFunctions => f.write_str(self.name()),
            Self::OnEvent(id) => write!(f, "{} {id}", self.name()),
            Self::Evaluate(id) | Self::Invoke(id) => write!(f, "{} {id}", self.name()),
        }
    }
}
