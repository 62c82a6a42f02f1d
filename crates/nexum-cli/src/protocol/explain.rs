//! The messages about what happened to events: `nexum explain`. Times that end in `_ms` are milliseconds
//! since the Unix epoch, and durations that end in `_us` are microseconds. A value that nexum does not know
//! is null, never 0.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The recent events of a module, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct History {
    /// The time of the oldest entry of the ledger.
    pub(crate) begins_ms: Option<u64>,
    pub(crate) handlings: Vec<Handling>,
}

/// The work of a module on an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Handling {
    /// The number of the newest entry. A request with `before` continues with older ones.
    pub(crate) number: u64,
    pub(crate) module: String,
    /// The event id.
    pub(crate) event: String,
    /// The chain id. Null for a tick.
    pub(crate) chain: Option<u64>,
    /// The block's number. Null for a tick.
    pub(crate) block: Option<u64>,
    /// The block's hash, in hexadecimal digits after 0x. Null for a tick.
    pub(crate) hash: Option<String>,
    /// `block`, `logs` or `tick`.
    pub(crate) kind: String,
    /// The arrival of the block. Null for a tick, and for a block that nexum replayed.
    pub(crate) seen_ms: Option<u64>,
    /// The start of the first attempt that the ledger has.
    pub(crate) begun_ms: u64,
    /// The end of the last attempt.
    pub(crate) ended_ms: u64,
    /// The time after which the changes are durable. Null if there was nothing to commit, or if a later event's commit
    /// has the changes.
    pub(crate) committed_ms: Option<u64>,
    pub(crate) outcome: Outcome,
    /// The reason of the last failure. It can contain text of the module, and have several lines.
    pub(crate) error: Option<String>,
    /// The number of the last attempt.
    pub(crate) attempts: u32,
    /// The duration of the last handler call.
    pub(crate) took_us: u64,
    /// The time from the arrival to the start of the first attempt.
    pub(crate) waited_us: Option<u64>,
    /// The fuel of the last attempt.
    pub(crate) fuel: u64,
    /// The part of the fuel limit that the last attempt used, from 0 to 1.
    pub(crate) fuel_share: f64,
    /// The number of changed keys.
    pub(crate) writes: u64,
    /// The number of requests that changed something outside nexum.
    pub(crate) effects: u64,
}

/// The state of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HandlingOutcome)]
pub(crate) enum Outcome {
    /// The handler returned ok, and its changes are kept.
    Handled,
    /// The handler failed, and nexum retries the event.
    Retrying,
    /// The handler failed at every attempt. The event is a dead letter.
    DeadLetter,
    /// The operator dropped the dead letter.
    Dropped,
    /// The handler failed, and the module died.
    Died,
    /// The state store failed, and nexum handles the event again.
    StoreFailed,
    /// A reorganisation removed the block, and nexum reverted the changes.
    Reverted,
}

/// The answer to a question about an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Explanation {
    /// The question.
    pub(crate) of: String,
    pub(crate) answer: Answer,
    /// The answer in one sentence.
    pub(crate) summary: String,
    /// The handlings of the event, oldest first. A block can have an event of its logs and one of its own, and a
    /// reorganisation can bring an event again.
    pub(crate) handlings: Vec<Explained>,
    /// The log of the block that is most similar to a subscription, if no log matched one.
    pub(crate) nearest_miss: Option<NearestMiss>,
    /// Known causes that show, each in a sentence.
    pub(crate) hints: Vec<String>,
    /// The time of the oldest entry of the ledger.
    pub(crate) begins_ms: Option<u64>,
    /// The entries that the ledger lacks.
    pub(crate) missing: Vec<Missing>,
}

/// The kind of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExplanationAnswer)]
pub(crate) enum Answer {
    /// The ledger has attempts at the event: the outcome of the newest one.
    Attempted,
    /// No log of the block matched a subscription.
    NotMatched,
    /// The module has not reached the block yet.
    NotReached,
    /// The block is before the first one of the module's subscriptions.
    BeforeStart,
    /// The module gets only the newest block of those that it has missed.
    Skipped,
    /// There is no such module.
    UnknownModule,
    /// The event is older than the ledger.
    BeforeLedger,
    /// The ledger lacks entries, and the one about the event is among them or there was none.
    Lost,
    /// The ledger has no attempt, and only the running daemon knows more.
    NotInLedger,
}

/// The work of a module on an event, in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedHandling)]
pub(crate) struct Explained {
    #[serde(flatten)]
    pub(crate) handling: Handling,
    /// The author's version of the module.
    pub(crate) version: Option<String>,
    /// The component's SHA-256.
    pub(crate) digest: String,
    /// The manifest's SHA-256.
    pub(crate) manifest: Option<String>,
    /// The revision of its configuration: equal for equal manifests, `[modules.config]`, limits and subscriptions. `null` for
    /// an entry of an older nexum.
    pub(crate) revision: Option<String>,
    /// The time at which nexum loaded the module with its files and its configuration.
    pub(crate) configured_ms: u64,
    /// The endpoint from which the block came: scheme, host and port.
    pub(crate) endpoint: Option<String>,
    /// Whether the endpoint pushed its heads. Otherwise nexum polled.
    pub(crate) pushed: bool,
    /// The subscriptions that matched.
    pub(crate) matched: Vec<String>,
    /// The parts of the wait, the longest first.
    pub(crate) waits: Vec<Wait>,
    /// The attempts, oldest first.
    pub(crate) runs: Vec<Run>,
    pub(crate) commit: Option<CommitPart>,
    /// The time at which nexum reverted the changes.
    pub(crate) reverted_ms: Option<u64>,
    /// Whether no reorganisation can revert the event any more. Null if nexum does not know.
    pub(crate) settled: Option<bool>,
}

/// A part of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Wait {
    /// The cause of the wait.
    #[serde(rename = "for")]
    pub(crate) cause: String,
    pub(crate) took_us: u64,
}

/// An attempt at an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Attempted)]
pub(crate) struct Run {
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) begun_ms: u64,
    pub(crate) took_us: u64,
    /// The reason of the failure. Null if the handler returned ok.
    pub(crate) error: Option<String>,
    /// The exceeded limit.
    pub(crate) exceeded: Option<String>,
    /// The pause before the next attempt, in milliseconds.
    pub(crate) pause_ms: Option<u64>,
    /// Whether the ledger has the host calls and log records of the attempt.
    pub(crate) is_detailed: bool,
    pub(crate) calls: Vec<Call>,
    /// The number of host calls after the last one of the list.
    pub(crate) calls_left_out: u32,
    /// Where the time of the handler call went, the largest part first.
    pub(crate) time: Vec<TimePart>,
    /// The limits that were used.
    pub(crate) limits: Vec<LimitPart>,
    /// The last log records of the module.
    pub(crate) records: Vec<String>,
    /// The first changed keys. They are kept if the attempt is the one that returned ok.
    pub(crate) writes: Vec<WritePart>,
    pub(crate) writes_left_out: u32,
    /// The values of the attempt. Null if the question did not ask for them, or if the ledger does not have them:
    /// `arguments = true` in `[ledger]` records them.
    pub(crate) values: Option<Values>,
    pub(crate) effects: Vec<EffectOfRun>,
}

/// A host call, or several equal ones that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedCall)]
pub(crate) struct Call {
    /// `chain`, `order book`, `http`, `store` or `other`.
    pub(crate) kind: String,
    pub(crate) method: String,
    /// The endpoint that the call waited for: scheme, host and port.
    pub(crate) endpoint: Option<String>,
    /// The start of the first call, from the start of the attempt.
    pub(crate) start_us: u64,
    /// The duration of all calls together.
    pub(crate) took_us: u64,
    /// The bytes of all answers.
    pub(crate) bytes: u64,
    /// The kind of the error that the module got, or `cut off`. Null for an answer.
    pub(crate) error: Option<String>,
    pub(crate) count: u32,
}

/// A use of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedTime)]
pub(crate) struct TimePart {
    /// `guest`, `chain`, `order book`, `http`, `store` or `other`.
    pub(crate) kind: String,
    pub(crate) took_us: u64,
    /// The part of the whole, from 0 to 1.
    pub(crate) share: f64,
}

/// The use of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedLimit)]
pub(crate) struct LimitPart {
    pub(crate) limit: String,
    pub(crate) used: u64,
    /// The largest allowed use.
    pub(crate) bound: Option<u64>,
}

/// A changed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedWrite)]
pub(crate) struct WritePart {
    /// The first bytes of the key.
    pub(crate) key: String,
    /// The bytes of the new value. Null for a removed key.
    pub(crate) bytes: Option<u64>,
}

/// The recorded values of an attempt. Bytes are text if all of them are text, and hexadecimal digits after 0x otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedValues)]
pub(crate) struct Values {
    /// The host calls that the ledger has, in their order: a word for the kind, and the first 1,024 bytes of each argument.
    pub(crate) asked: Vec<Vec<String>>,
    /// All changed keys.
    pub(crate) writes: Vec<ValuePart>,
}

/// A changed key with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedValue)]
pub(crate) struct ValuePart {
    pub(crate) key: String,
    /// The first 1,024 bytes of the new value. `..` at the end tells that there are more. Null for
    /// a removed key.
    pub(crate) value: Option<String>,
}

/// A request that changed something outside nexum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedEffect)]
pub(crate) struct EffectOfRun {
    pub(crate) kind: String,
    /// The receiver, without secrets.
    pub(crate) target: String,
    /// `intent`, `unknown`, `done` or `refused`.
    pub(crate) state: String,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainedCommit)]
pub(crate) struct CommitPart {
    pub(crate) at_ms: u64,
    pub(crate) took_us: u64,
    /// The number of commits, of all modules, in the transaction.
    pub(crate) group: u32,
}

/// A log that is similar to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct NearestMiss {
    /// The subscription.
    pub(crate) subscription: String,
    /// The log's contract, in hexadecimal digits after 0x.
    pub(crate) address: String,
    /// The log's topics, in hexadecimal digits after 0x.
    pub(crate) topics: Vec<String>,
    /// The difference, in a sentence.
    pub(crate) difference: String,
}

/// Entries that the ledger lacks, because they came faster than nexum could store them, or because the disk failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MissingEntries)]
pub(crate) struct Missing {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    pub(crate) entries: u64,
}
