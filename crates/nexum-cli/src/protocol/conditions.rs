//! Conditions that need the operator, and the messages about them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kind of condition that needs the operator:
///
/// - `module_dead`: a module failed too often, or cannot continue.
/// - `dead_letters`: a module has dead letters, events that it failed to handle.
/// - `chain_outage`: nexum cannot follow a chain.
/// - `module_refused`: nexum refused a module at the start.
/// - `store_failure`: the state store failed, and modules wait for it.
/// - `account_halted`: nexum sends nothing from an account, because another program uses its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConditionKind {
    ModuleDead,
    DeadLetters,
    ChainOutage,
    ModuleRefused,
    StoreFailure,
    AccountHalted,
}

impl ConditionKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 6] = [
        Self::ModuleDead,
        Self::DeadLetters,
        Self::ChainOutage,
        Self::ModuleRefused,
        Self::StoreFailure,
        Self::AccountHalted,
    ];

    /// The kind, as programs read it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::ModuleDead => "module_dead",
            Self::DeadLetters => "dead_letters",
            Self::ChainOutage => "chain_outage",
            Self::ModuleRefused => "module_refused",
            Self::StoreFailure => "store_failure",
            Self::AccountHalted => "account_halted",
        }
    }
}

/// The part of its condition that a notification reports:
///
/// - `began`: the condition began.
/// - `lasts`: the condition has lasted for another hour.
/// - `ended`: the condition ended.
/// - `test`: there is no condition. `nexum notify test` sent the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Began,
    Lasts,
    Ended,
    Test,
}

/// A message for the webhook or the command of `[notify]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Notification {
    /// The kind of the condition. A test has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<ConditionKind>,
    pub(crate) phase: Phase,
    /// The module, or the file of a refused module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    /// The id of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<u64>,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The id of the last event that became a dead letter, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    /// The condition and its reason, in one line. It can contain text of modules and endpoints.
    pub(crate) text: String,
    /// The begin of the condition, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
    /// The next step, with a command of the command line.
    pub(crate) hint: String,
    /// The sender.
    pub(crate) nexum: Sender,
}

/// The daemon that sends a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NotificationSender)]
pub(crate) struct Sender {
    pub(crate) version: String,
    /// The name of the machine, if the system knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
}

/// The result of a test message at one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct NotifyResult {
    /// The webhook with scheme, host and port, or the program of the command.
    pub(crate) receiver: String,
    /// Why the message did not arrive. `null` if it arrived.
    pub(crate) error: Option<String>,
}
