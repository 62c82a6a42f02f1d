//! The messages about the health of the daemon.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether everything that should run runs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Health {
    /// Whether there is no problem.
    pub(crate) is_healthy: bool,
    pub(crate) problems: Vec<Problem>,
    /// The modules that do not run because the operator or the configuration wants so: removed, stopped and disabled ones.
    /// They are no problem.
    #[serde(default)]
    pub(crate) idle: Vec<Problem>,
    /// Facts that are no problem of health, and may need the operator: dead letters, effects in doubt, transactions
    /// that wait for a block for long, and endpoints that nexum cannot use while it uses another one.
    #[serde(default)]
    pub(crate) notes: Vec<Problem>,
    /// The number of loaded modules.
    pub(crate) modules: usize,
    /// The number of all modules: the loaded ones, those that are being loaded or are refused, and the configured ones that
    /// are not to run.
    #[serde(default)]
    pub(crate) modules_total: usize,
    /// The number of dead letters of the loaded modules.
    #[serde(default)]
    pub(crate) dead_letters: u64,
    /// The most blocks that a module has still to handle up to the head of one of its chains. Null if no module has a
    /// position, and if the number of one of them is unknown, such as while its chain has trouble.
    pub(crate) blocks_behind: Option<u64>,
    /// The age of the oldest head of a chain that modules use, by the head's own timestamp, in milliseconds. Null if no chain has a head.
    pub(crate) head_age_ms: Option<u64>,
}

/// A reason why something that should run does not, or another statement about a module, a chain or an account.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// The module, if the problem is one of a module. The path of its file, if its name is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    /// The chain, if the problem is one of a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<u64>,
    /// The account, if the problem is one of an account on a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    pub(crate) reason: String,
    /// The modules that wait for the chain, if the problem is one of a chain. They have no problem of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<String>,
    /// The time since which the problem exists, in milliseconds since the Unix epoch, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since_ms: Option<u64>,
    /// The time of the next attempt of nexum to end the problem, in milliseconds since the Unix epoch, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_try_ms: Option<u64>,
}
