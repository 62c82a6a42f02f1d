//! The events of modules and chains, as `nexum events` shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::conditions::ConditionKind;

/// Something that happened to a module or a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventRecord {
    /// The number in the sequence of all log records.
    pub(crate) seq: u64,
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) kind: EventKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    /// The id of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<u64>,
    /// The id of the event. A failed `init` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    /// The number of the failed attempt, or of all attempts at a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u64>,
    /// The most attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempts_max: Option<u64>,
    /// The duration of the handler, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) took_us: Option<u64>,
    /// The handler's use of fuel; 0 for a module with `metering = "epoch"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fuel: Option<u64>,
    /// The new stage of the module, as `nexum status --format json` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<String>,
    /// The time since which the module is in the stage, or the condition holds, in milliseconds since the Unix epoch: the
    /// outage of a chain begins before its endpoints have failed for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since_ms: Option<u64>,
    /// The kind of the condition that begins, lasts or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<ConditionKind>,
    /// The error, the reason or the command. It can contain text of modules and servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

/// A kind of event:
///
/// - `handled`: a module handled an event. nexum keeps these events only while a reader follows
///   them.
/// - `failed`: an attempt at an event or at `init` failed.
/// - `dead_letter`: an event used up its attempts, and the module continues without.
/// - `reverted`: nexum reverted the events of blocks that a reorganisation removed.
/// - `stage`: a module entered another stage.
/// - `condition_began`, `condition_lasts`, `condition_ended`: a condition that needs the operator,
///   such as the outage of a chain, began, has lasted for another hour, or ended.
/// - `command`: an operator changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    Handled,
    Failed,
    DeadLetter,
    Reverted,
    Stage,
    ConditionBegan,
    ConditionLasts,
    ConditionEnded,
    Command,
}
