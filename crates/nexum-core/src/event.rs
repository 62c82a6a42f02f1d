//! What happened: blocks of a chain and their logs, and how an event is named.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use nexum_config::topic::{ChainId, ChainTopic, Finality, ScheduleId, Topic};

pub(crate) use crate::bindings::nexum::host::types::{Block, Tick};
pub use crate::bindings::nexum::host::types::{Event, Log};

/// A 32-byte block hash.
pub type BlockHash = [u8; 32];

/// A place in a chain; or in a schedule, which has only the number: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The block's number.
    pub number: u64,
    /// The block's hash, which tells two blocks of one number apart.
    pub hash: BlockHash,
}

impl Position {
    /// A time in a schedule, in milliseconds since the Unix epoch.
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

/// A block that extends a chain, with those of its logs that somebody asked for.
///
/// The event of the block is made once and shared by every module that gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance {
    /// Where the chain is after this block.
    pub position: Position,
    /// The hash of the block before; zero where only logs were read.
    pub parent_hash: BlockHash,
    /// In the order of their transactions and indexes; at least those that match a filter of those who follow the chain.
    pub logs: Vec<Log>,
    /// Which of the chain's filters that was: [`Wanted::revision`](crate::bus::source::Wanted::revision).
    pub(crate) revision: u64,
    event: Option<Event>,
}

impl Advance {
    /// A block as a source read it, without logs; `timestamp_ms` is in milliseconds since the Unix epoch.
    pub fn new(chain_id: ChainId, position: Position, parent_hash: BlockHash, timestamp_ms: u64) -> Arc<Self> {
        Self::with_logs(chain_id, position, parent_hash, timestamp_ms, Vec::new())
    }

    /// A block with its logs, in the order of their transactions and indexes.
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

    /// This block, whose logs were asked for with the filters of this revision. Without this call they count as all that anybody
    /// can want.
    #[must_use]
    pub fn as_of(mut self: Arc<Self>, revision: u64) -> Arc<Self> {
        if let Some(block) = Arc::get_mut(&mut self) {
            block.revision = revision;
        }
        self
    }

    /// A block of which only the logs were read, for those who want nothing else of it.
    pub fn of_logs(position: Position, logs: Vec<Log>) -> Arc<Self> {
        Arc::new(Self {
            position,
            parent_hash: [0; 32],
            logs,
            revision: u64::MAX,
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
    /// A time has come.
    Tick,
}

impl EventKind {
    /// It in one word.
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

/// Names an event in logs and records: `CHAIN:BLOCK:KIND`, `CHAIN@FINALITY:BLOCK:KIND` or `SCHEDULE:MILLISECONDS:tick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventId {
    /// What it is an event of.
    pub topic: Topic,
    /// The block that it happened in; for a tick its time.
    pub position: Position,
    /// What happened.
    pub kind: EventKind,
}

impl EventId {
    /// The block that it happened in, if it is about one.
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

/// The exported function of a module that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `init`, and the component's own start functions before it.
    Init,
    /// `on-event`, for this event.
    OnEvent(EventId),
    /// `evaluate`, for this request.
    Evaluate(RequestId),
}

/// A call of a query module: the first since the module was loaded is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Handler {
    /// The event in hand, if it is about one.
    pub fn event(&self) -> Option<EventId> {
        match self {
            Self::Init | Self::Evaluate(_) => None,
            Self::OnEvent(id) => Some(*id),
        }
    }

    /// The exported function's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::OnEvent(_) => "on-event",
            Self::Evaluate(_) => "evaluate",
        }
    }

    /// The request in hand, if it is one.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Init | Self::OnEvent(_) => None,
            Self::Evaluate(id) => Some(*id),
        }
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str(self.name()),
            Self::OnEvent(id) => write!(f, "{} {id}", self.name()),
            Self::Evaluate(id) => write!(f, "{} {id}", self.name()),
        }
    }
}
