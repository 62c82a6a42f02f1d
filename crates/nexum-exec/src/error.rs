//! Why nexum refuses a command.

use std::io;
use std::path::PathBuf;

use nexum_config::command::CommandError;
use nexum_config::component::ComponentError;
use nexum_config::hint::Hint;
use nexum_config::limits::Limit;
use nexum_core::engine::EngineError;

use crate::network::NetworkError;
use crate::stopped::Stopped;

/// Why a command cannot start. Apart from its `weft_ready`, none of its code has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The package does not exist or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file, or the package.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The path is not a regular file: a read might never end.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is not WebAssembly, or is too large.
    #[error(transparent)]
    File(#[from] ComponentError),
    /// The file is not valid, or uses a feature that the engine lacks.
    #[error("{} does not compile", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: wasmtime::Error,
    },
    /// The file is not a command, or not one that runs in a sandbox.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A core module exports `weft_ready` with another type.
    #[error("{} exports weft_ready, but not as a function without parameters and results", path.display())]
    ReadyType {
        /// The file.
        path: PathBuf,
    },
    /// The `weft_ready` of a core module did not return.
    #[error("weft_ready of {} failed", path.display())]
    NotReady {
        /// The package.
        path: PathBuf,
        /// The reason.
        #[source]
        stopped: Stopped,
    },
    /// The command exceeds a limit at its start.
    #[error("{} needs {needed} of {} at its start, and the limit is {bound}", path.display(), limit.name())]
    Needs {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: Limit,
        /// The amount at the start.
        needed: u64,
        /// The value of the limit.
        bound: u64,
    },
    /// The type of an import or export differs from the interfaces of commands.
    #[error("{} does not fit the interfaces of commands", path.display())]
    Link {
        /// The file.
        path: PathBuf,
        /// The error with the import or export.
        #[source]
        source: wasmtime::Error,
    },
    /// A directory cannot be opened.
    #[error("cannot open the directory {}", path.display())]
    Dir {
        /// The path on the host.
        path: PathBuf,
        /// The cause.
        #[source]
        source: wasmtime::Error,
    },
    /// Two directories have one path in the command.
    #[error("two directories have the path {guest} in the command")]
    SameDir {
        /// The path in the command.
        guest: String,
    },
    /// A destination is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The engine cannot be created.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The thread that reads or compiles the command panicked.
    #[error("the command could not be loaded")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Command(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Network(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            _ => None,
        }
    }
}
