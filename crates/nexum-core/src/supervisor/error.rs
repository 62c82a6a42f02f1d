//! Errors of steering the modules of a run.

use nexum_config::hint::Hint;
use nexum_config::names::ModuleName;

use super::start::StartError;
use crate::runner::CommandError;
use crate::store::committer::CommitError;

/// An error of steering the modules of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError {
    /// A module of this name exists.
    #[error("the module {0} already exists")]
    Exists(ModuleName),
    /// A module of this name is being loaded.
    #[error("the module {0} is being loaded")]
    Loading(ModuleName),
    /// No module has this name.
    #[error("there is no module {0}")]
    NoModule(ModuleName),
    /// The operator has removed the module of this name.
    #[error("the module {0} is removed")]
    Removed(ModuleName),
    /// The configuration disables the module of this name.
    #[error("the module {0} is disabled in the configuration")]
    Disabled(ModuleName),
    /// The module of this name handles events, not queries.
    #[error("the module {0} answers no queries")]
    NoQueries(ModuleName),
    /// The module of this name answers queries and has no events.
    #[error("the module {0} answers queries and has no events")]
    NoEvents(ModuleName),
    /// This process has begun to run the module since the begin of the command.
    #[error("this node has just taken the module {0} over")]
    TakenOver(ModuleName),
    /// The module cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The module's runner did not apply the command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The state store failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Other processes of the installation may run modules on the same state.
    #[error("the other nodes of the installation may run modules on this state")]
    Shared,
    /// The run has ended, or has not started.
    #[error("nexum is not running")]
    NotRunning,
}

impl Hint for SteerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Removed(_) => {
                Some("load it with `nexum module load PATH`, with its path in `nexum module list`".to_owned())
            }
            Self::Shared => Some("stop nexum on all nodes, and repeat the command while no node runs".to_owned()),
            Self::TakenOver(_) => Some("repeat the command".to_owned()),
            Self::Loading(_) => Some("retry when `nexum status` shows another stage than `loading`".to_owned()),
            Self::Disabled(_) => Some("set `enabled = true` in its [[modules]] table, and restart nexum".to_owned()),
            _ => None,
        }
    }
}
