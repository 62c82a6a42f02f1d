//! Why a host is not built, or not changed.

use std::path::PathBuf;

use nexum_config::hint::Hint;
use nexum_config::names::ModuleName;

use crate::engine::EngineError;
use crate::module::load_errors::LoadErrors;
use crate::store::StoreError;
use crate::supervisor::SteerError;

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Modules are refused.
    #[error(transparent)]
    Modules(#[from] LoadErrors),
    /// The engine cannot be set up for the modules.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A pool is requested for a module that answers no queries.
    #[error("the module {0} answers no queries")]
    NoQueries(ModuleName),
    /// Events are requested of a module that handles none.
    #[error("the module {0} handles no events")]
    NoEvents(ModuleName),
    /// The state store failed.
    #[error("the state store cannot be used")]
    Store(#[from] StoreError),
}

impl Hint for BuildError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Modules(errors) => errors.hint(),
            Self::Engine(error) => error.hint(),
            Self::NoQueries(_) => Some("export `evaluate`, or run the module in a host".to_owned()),
            Self::NoEvents(_) => Some("export `on-event`, or ask the module with `nexum query`".to_owned()),
            Self::Store(_) => None,
        }
    }
}

/// Why a module was not loaded or reloaded while the host runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The module is refused.
    #[error(transparent)]
    Module(#[from] LoadErrors),
    /// The files of a module are now those of a module with another name.
    #[error("{}: the module is called {found} now", path.display())]
    Renamed {
        /// The path of the component.
        path: PathBuf,
        /// The name in the files.
        found: ModuleName,
    },
    /// The operator removed the module during its load.
    #[error("the load of the module {0} is cancelled, because the module is removed")]
    Cancelled(ModuleName),
    /// A module does not take its part of a change of several modules.
    #[error("the module {module} refuses the change, and no module changes")]
    Refused {
        /// The module.
        module: ModuleName,
        /// The reason.
        #[source]
        error: SteerError,
    },
    /// The running host refuses the change.
    #[error(transparent)]
    Host(#[from] SteerError),
}

impl Hint for ChangeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Module(errors) => errors.hint(),
            Self::Renamed { .. } => {
                Some("remove the old one and load the new one: each has a state of its own".to_owned())
            }
            Self::Cancelled(_) => None,
            Self::Host(error) | Self::Refused { error, .. } => error.hint(),
        }
    }
}
