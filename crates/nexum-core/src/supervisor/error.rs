//! Why the modules of a run were not changed.

use nexum_config::names::ModuleName;

use super::start::StartError;
use crate::runner::OrderError;
use crate::store::committer::CommitError;

/// Why the modules of a run were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError {
    /// There is a module of this name.
    #[error("there is a module {0} already")]
    Exists(ModuleName),
    /// There is none.
    #[error("there is no module {0}")]
    NoModule(ModuleName),
    /// There is one of this name, and it reacts to events.
    #[error("the module {0} answers no queries")]
    NoQueries(ModuleName),
    /// There is one of this name, and it answers queries.
    #[error("the module {0} answers queries, and has no events")]
    NoEvents(ModuleName),
    /// It cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The module's runner did not do it.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The state store failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The run has ended, or has not begun.
    #[error("nexum does not run")]
    NotRunning,
}
