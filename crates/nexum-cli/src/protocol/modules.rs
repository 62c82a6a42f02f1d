//! The messages about modules.

mod describe;
mod load;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event_part::EventPart;
use super::lasting::{Effect, Wanted};
use super::stage::Stage;

pub(crate) use describe::why_loading;
pub(crate) use load::Load;

/// The current state of a module.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// The manifest's description.
    pub(crate) description: Option<String>,
    /// The manifest's authors.
    #[serde(default)]
    pub(crate) authors: Vec<String>,
    /// The component's file.
    #[schema(value_type = String)]
    pub(crate) path: PathBuf,
    /// The component's digest: `sha256:` and hexadecimal digits. Empty while it is unknown.
    pub(crate) digest: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) subscriptions: Vec<String>,
    /// The state that the operator wants.
    pub(crate) wanted: Wanted,
    /// Where the module comes from: the file and line of its `[[modules]]` table, `command line`, or
    /// `module load` with the time and the user.
    pub(crate) from: String,
    pub(crate) stage: Stage,
    /// The node that runs the module, in an installation of several processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The reason of the stage. It can contain text of the module, and have several lines.
    pub(crate) reason: Option<String>,
    /// The time since which the module is in the stage, in milliseconds since the Unix epoch.
    pub(crate) reason_since_ms: Option<u64>,
    /// Handled events. For a module that only answers queries, answered queries.
    pub(crate) handled: u64,
    /// Failed handler calls. For a module that only answers queries, failed queries.
    pub(crate) failed: u64,
    pub(crate) dead_letters: u64,
    /// Effects about which only the operator can say whether they happened.
    #[serde(default)]
    pub(crate) effects_in_doubt: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) catching_up: Vec<CatchingUp>,
    /// The work of a module that handles events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<EventPart>,
    /// The calls of a module that answers queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queries: Option<Queries>,
}

/// A module that nexum refused.
pub(crate) struct RefusedModule {
    /// The name. The file takes its place for a module of the configuration: its name may be unknown.
    pub(crate) name: String,
    /// The component's file.
    pub(crate) path: PathBuf,
    /// Where the module comes from.
    pub(crate) source: String,
    pub(crate) reason: String,
    /// The time of the refusal, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
}

/// Why nexum refuses the calls of a module, and for how long.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Suspension {
    /// The last failure.
    pub(crate) reason: String,
    /// The time of the suspension's begin, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
    /// The time until which it lasts at least, in milliseconds since the Unix epoch.
    pub(crate) until_ms: u64,
}

/// The calls of a module that answers queries.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Queries {
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    /// Instances that wait for a call.
    pub(crate) idle: usize,
    pub(crate) pool_size_max: u32,
    /// Why nexum refuses the calls for now, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspension: Option<Suspension>,
    /// Calls with an answer.
    #[serde(default)]
    pub(crate) answered: u64,
    /// Calls that an instance failed to answer.
    #[serde(default)]
    pub(crate) failed: u64,
    /// Calls that were refused.
    pub(crate) refused: u64,
}

/// A module after a command.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    #[serde(flatten)]
    pub(crate) module: Module,
    /// The stage before the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Stage>,
    pub(crate) effect: Effect,
}

/// A module after its reload.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Reloaded {
    #[serde(flatten)]
    pub(crate) module: Module,
    /// The message for the operator, if the module handles other kinds of calls than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
}

/// The progress of a module that catches up with missed events.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CatchingUp {
    /// The chain and its finality.
    pub(crate) chain: String,
    pub(crate) from: u64,
    pub(crate) at: u64,
    pub(crate) to: u64,
}
