//! The entries of the ledger.

use std::borrow::Cow;
use std::sync::Arc;

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};

use crate::capability::{HostCallKind, Revision};
use crate::event::{EventId, Position};
use crate::state::Inputs;

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// An attempt at an event has ended.
    Attempt(Box<AttemptEntry>),
    /// A reorganisation has reverted events of a module.
    Reverted(Reverted),
    /// A module has a new stage.
    Stage(StageEntry),
    /// A module has a dead letter less, because the operator dropped it.
    Dropped(Act),
    /// Entries are missing here.
    Lost(Lost),
    /// The inputs of the attempt whose entry follows.
    Inputs(Box<Inputs>),
}

/// An attempt at an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEntry {
    /// The module. A store of entries keeps it once for many of them.
    #[serde(skip)]
    pub module: Arc<ModuleVersion>,
    /// The event.
    pub event: EventId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// How nexum got to know the event. `None` for a tick and for a replayed block.
    pub seen: Option<Seen>,
    /// The waits before the attempt.
    pub waits: Waits,
    /// Bit N is set if the module's subscription N matched, of the first 64 ones.
    pub matched: u64,
    /// The start of the handler call, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// The duration of the handler call, in microseconds.
    pub took_us: u64,
    /// The result.
    pub outcome: Outcome,
    /// The use of each limit that was used.
    pub used: Vec<Use>,
    /// Where the time of the handler call went.
    pub time: TimeByKind,
    /// Whether `calls` and `records` were kept.
    pub is_detailed: bool,
    /// The host calls, oldest first. Equal ones that follow each other are one entry.
    pub calls: Vec<HostCallEntry>,
    /// The number of host calls that are not in `calls`.
    pub calls_left_out: u32,
    /// The last log records of the handler call.
    pub records: Vec<String>,
    /// The first changed keys.
    pub writes: Vec<Write>,
    /// The number of changed keys that are not in `writes`.
    pub writes_left_out: u32,
    /// The requests that changed something outside nexum.
    pub effects: Vec<SentEffect>,
    /// The commit of the changes. `None` if there was nothing to commit, or if a later event's commit
    /// has them.
    pub commit: Option<Commit>,
}

/// A module as it handled an event: what an operator needs to find the code again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModuleVersion {
    /// The module's name.
    pub name: String,
    /// The author's version, if the manifest has one.
    pub version: Option<String>,
    /// The component's SHA-256.
    pub digest: [u8; 32],
    /// The manifest's SHA-256. `None` without a manifest.
    pub manifest: Option<[u8; 32]>,
    /// The [revision](crate::capability::ModuleMeta::revision) of its configuration. `None` in an entry of an older nexum.
    pub revision: Option<Revision>,
    /// The time at which the module was loaded with its files and its configuration, in milliseconds
    /// since the Unix epoch.
    pub since_ms: u64,
    /// The subscriptions, in the order of the manifest.
    pub subscriptions: Vec<String>,
    /// The limits, by their names.
    pub limits: Vec<(String, u64)>,
}

/// How nexum got to know a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The arrival, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The endpoint: scheme, host and port. `None` if the source does not say.
    pub endpoint: Option<String>,
    /// Whether the endpoint pushed the block. Otherwise nexum polled.
    pub pushed: bool,
}

/// The waits before an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The time for which the module worked at earlier events after the arrival, in microseconds.
    pub busy_us: u64,
    /// The last one of these events.
    pub behind: Option<EventId>,
    /// The wait because of `events_per_second`, in microseconds.
    pub rate_us: u64,
    /// The start of a new instance with its `init`, in microseconds.
    pub start_us: u64,
}

/// The result of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The handler returned ok, and its changes are committed.
    #[default]
    Handled,
    /// The handler failed. nexum retries the event after this pause.
    Retried {
        /// The reason of the failure.
        error: String,
        /// The limit that the attempt exceeded.
        exceeded: Option<Exceeded>,
        /// The pause before the next attempt, in milliseconds.
        pause_ms: u64,
    },
    /// The handler failed at its last attempt. The event is a dead letter.
    DeadLetter {
        /// The reason of the failure.
        error: String,
        /// The limit that the attempt exceeded.
        exceeded: Option<Exceeded>,
    },
    /// The handler failed, and the module died.
    Died {
        /// The reason of the failure.
        error: String,
        /// The limit that the attempt exceeded.
        exceeded: Option<Exceeded>,
    },
    /// The state store failed. nexum handles the event again when the store works.
    StoreFailed {
        /// The reason of the failure.
        error: String,
    },
}

/// A limit that an attempt exceeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// The limit's name.
    pub limit: Cow<'static, str>,
    /// The largest allowed use.
    pub bound: u64,
    /// The use.
    pub used: u64,
}

/// The use of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The limit's name.
    pub limit: Cow<'static, str>,
    /// The use.
    pub used: u64,
}

/// The time of a handler call by its use, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeByKind {
    /// The guest computed.
    pub guest_us: u64,
    /// Requests to chains.
    pub chain_us: u64,
    /// Requests to the order book.
    pub order_book_us: u64,
    /// HTTP requests.
    pub http_us: u64,
    /// The module's keys and values.
    pub store_us: u64,
    /// Other host calls.
    pub other_us: u64,
}

/// A host call, or several equal ones that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCallEntry {
    /// The kind.
    pub kind: HostCallKind,
    /// The method, from a fixed list of the capability.
    pub method: Cow<'static, str>,
    /// The endpoint that the call waited for.
    pub endpoint: Option<String>,
    /// The start of the first call, in microseconds after the start of the attempt.
    pub start_us: u64,
    /// The duration of all calls together, in microseconds.
    pub took_us: u64,
    /// The bytes of all answers.
    pub bytes: u64,
    /// The kind of the error that the guest got. `None` for an answer.
    pub error: Option<Cow<'static, str>>,
    /// The number of calls.
    pub count: u32,
}

/// A changed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The first bytes of the key, with replacements for what is not UTF-8.
    pub key: String,
    /// The size of the new value in bytes. `None` for a removed key.
    pub bytes: Option<u64>,
}

/// A request that changed something outside nexum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentEffect {
    /// The kind, in one word.
    pub kind: String,
    /// The receiver, without secrets.
    pub target: String,
    /// The outcome, in one word.
    pub state: String,
}

/// A commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The time after which the changes are durable, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The wait of the module for all commits of the event, in microseconds.
    pub took_us: u64,
    /// The number of commits of all modules in the last transaction.
    pub group: u32,
}

/// Events that a reorganisation reverted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    /// The module's name.
    pub module: String,
    /// The topic of the events.
    pub topic: Topic,
    /// The newest position whose events remain. `None` if none remain.
    pub to: Option<Position>,
}

/// A new stage of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEntry {
    /// The module's name.
    pub module: String,
    /// The stage, in words.
    pub stage: String,
    /// The reason.
    pub reason: String,
}

/// An operator's decision about an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The module's name.
    pub module: String,
    /// The event.
    pub event: EventId,
}

/// Missing entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The number of the missing entries.
    pub entries: u64,
    /// The time of the first one, in milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// The time of the last one.
    pub to_ms: u64,
}

impl Lost {
    /// This many entries, all of one time.
    pub fn at(at_ms: u64, entries: u64) -> Self {
        Self {
            entries,
            from_ms: at_ms,
            to_ms: at_ms,
        }
    }

    /// All entries of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_add(other.entries),
            from_ms: self.from_ms.min(other.from_ms),
            to_ms: self.to_ms.max(other.to_ms),
        }
    }
}

impl Entry {
    /// The name of the entry's module. `None` for missing entries.
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Attempt(attempt) => Some(&attempt.module.name),
            Self::Inputs(inputs) => Some(&inputs.module),
            Self::Reverted(Reverted { module, .. })
            | Self::Stage(StageEntry { module, .. })
            | Self::Dropped(Act { module, .. }) => Some(module),
            Self::Lost(_) => None,
        }
    }

    /// The approximate size in memory, in bytes. It does not look at each text of a list.
    pub fn size_bytes(&self) -> usize {
        let own = match self {
            Self::Attempt(attempt) => attempt.size_bytes(),
            Self::Inputs(inputs) => inputs.size_bytes(),
            Self::Stage(entry) => entry.module.len() + entry.stage.len() + entry.reason.len(),
            Self::Reverted(_) | Self::Dropped(_) | Self::Lost(_) => 64,
        };
        size_of::<(u64, Self)>() + own
    }
}

impl AttemptEntry {
    fn size_bytes(&self) -> usize {
        /// An endpoint's label or a key.
        const TEXT: usize = 48;
        let records: usize = self.records.iter().map(String::len).sum();
        size_of::<Self>()
            + size_of_val(&*self.used)
            + self.calls.len() * (size_of::<HostCallEntry>() + TEXT)
            + self.writes.len() * (size_of::<Write>() + TEXT)
            + self.effects.len() * (size_of::<SentEffect>() + 2 * TEXT)
            + records
    }
}

impl TimeByKind {
    /// Each kind with its time, and its name in words.
    pub fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("guest", self.guest_us),
            (HostCallKind::Chain.name(), self.chain_us),
            (HostCallKind::OrderBook.name(), self.order_book_us),
            (HostCallKind::Http.name(), self.http_us),
            (HostCallKind::Store.name(), self.store_us),
            (HostCallKind::Other.name(), self.other_us),
        ]
    }

    /// Adds time of a host call.
    pub(crate) fn add(&mut self, kind: HostCallKind, us: u64) {
        let time = match kind {
            HostCallKind::Chain => &mut self.chain_us,
            HostCallKind::OrderBook => &mut self.order_book_us,
            HostCallKind::Http => &mut self.http_us,
            HostCallKind::Store => &mut self.store_us,
            HostCallKind::Other => &mut self.other_us,
        };
        *time = time.saturating_add(us);
    }
}

impl Outcome {
    /// The reason of a failure. `None` for a handled event.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Handled => None,
            Self::Retried { error, .. }
            | Self::DeadLetter { error, .. }
            | Self::Died { error, .. }
            | Self::StoreFailed { error } => Some(error),
        }
    }

    /// The exceeded limit, if that is the reason of a failure.
    pub fn exceeded(&self) -> Option<&Exceeded> {
        match self {
            Self::Retried { exceeded, .. } | Self::DeadLetter { exceeded, .. } | Self::Died { exceeded, .. } => {
                exceeded.as_ref()
            }
            Self::Handled | Self::StoreFailed { .. } => None,
        }
    }
}
