//! The operator's wanted state of a module, and the duration of a command's effect.

use nexum_core::Lasts;
use nexum_core::state;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::causes;

/// The state of a module that the operator wants:
///
/// - `running`: the module runs.
/// - `stopped`: the module is loaded, and handles no events.
/// - `removed`: the configuration has the module, and nexum does not load it.
/// - `disabled`: the configuration disables the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wanted {
    Running,
    Stopped,
    Removed,
    Disabled,
}

impl Wanted {
    /// The word for people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
            Self::Disabled => "disabled",
        }
    }
}

impl From<state::Wanted> for Wanted {
    fn from(wanted: state::Wanted) -> Self {
        match wanted {
            state::Wanted::Running => Self::Running,
            state::Wanted::Stopped => Self::Stopped,
            state::Wanted::Removed => Self::Removed,
        }
    }
}

/// How long the effect of a command lasts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Effect {
    /// Whether the effect survives a restart of nexum.
    pub(crate) survives_restart: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

impl From<Lasts> for Effect {
    fn from(lasts: Lasts) -> Self {
        let why = match lasts {
            Lasts::AcrossRestarts => None,
            Lasts::UntilExit => Some("the state is in memory: [store] has `backend = \"memory\"`".to_owned()),
            Lasts::Unstored(error) => Some(causes(&error)),
        };
        Self {
            survives_restart: why.is_none(),
            why,
        }
    }
}
