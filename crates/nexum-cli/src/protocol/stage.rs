//! The stages of a module.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The present activity of a module:
///
/// - `loading`: nexum compiles the module.
/// - `starting`: the first `init` has not returned yet.
/// - `waiting_for_chain`: a chain that the module needs cannot be read or followed now.
/// - `running`: the module handles events as they arrive.
/// - `behind`: the module handles events as they arrive, and is many blocks behind the head.
/// - `replaying`: the module handles events that it missed.
/// - `backoff`: the module failed, and nexum waits before the retry.
/// - `stalled`: the state store failed, and the module waits for it.
/// - `dead`: the module failed too often, or cannot continue.
/// - `stopped`: the operator stopped the module.
/// - `standby`: another node of the installation runs the module, or none does yet.
/// - `refused`: nexum refused the module.
/// - `removed`: the operator removed the module.
/// - `disabled`: the configuration disables the module.
/// - `serving`: the module answers queries.
/// - `suspended`: nexum refuses the queries of the module, because it failed in too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Loading,
    Starting,
    WaitingForChain,
    Running,
    Behind,
    Replaying,
    Backoff,
    Stalled,
    Dead,
    Stopped,
    Standby,
    Refused,
    Removed,
    Disabled,
    Serving,
    Suspended,
}

impl Stage {
    /// The stage for people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Starting => "starting",
            Self::WaitingForChain => "waiting for chain",
            Self::Running => "running",
            Self::Behind => "behind",
            Self::Replaying => "replaying",
            Self::Backoff => "backoff",
            Self::Stalled => "stalled",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
            Self::Standby => "standby",
            Self::Refused => "refused",
            Self::Removed => "removed",
            Self::Disabled => "disabled",
            Self::Serving => "serving",
            Self::Suspended => "suspended",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl From<nexum_core::Stage> for Stage {
    fn from(stage: nexum_core::Stage) -> Self {
        match stage {
            nexum_core::Stage::Starting => Self::Starting,
            nexum_core::Stage::WaitingForChain => Self::WaitingForChain,
            nexum_core::Stage::Running => Self::Running,
            nexum_core::Stage::Behind => Self::Behind,
            nexum_core::Stage::Replaying => Self::Replaying,
            nexum_core::Stage::Backoff => Self::Backoff,
            nexum_core::Stage::Stalled => Self::Stalled,
            nexum_core::Stage::Dead => Self::Dead,
            nexum_core::Stage::Stopped => Self::Stopped,
            nexum_core::Stage::Standby => Self::Standby,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_the_words_with_underscores() {
        for (stage, word) in [
            (Stage::WaitingForChain, "waiting_for_chain"),
            (Stage::Running, "running"),
        ] {
            assert_eq!(serde_json::to_value(stage).unwrap(), word);
            assert_eq!(stage.to_string(), word.replace('_', " "));
        }
    }
}
