//! Why nexum refuses a command.

use std::io;
use std::path::PathBuf;

use nexum_config::component::ComponentError;
use nexum_config::hint::Hint;
use nexum_config::limits::Limit;
use nexum_core::engine::EngineError;

use crate::network::NetworkError;

/// Why a command cannot start. None of its code has run.
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
    /// The file has no export of a command.
    #[error("{} is not a command: it does not export {expected}", path.display())]
    NoEntry {
        /// The file.
        path: PathBuf,
        /// The export of a command of this kind.
        expected: &'static str,
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
    /// The command imports an interface that commands do not have.
    #[error("{} imports an interface that commands do not have", path.display())]
    Link {
        /// The file.
        path: PathBuf,
        /// The error with the import.
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
            Self::NoEntry { .. } => Some(
                "build a command, not a library: a `main` for wasm32-wasip2 or wasm32-wasip1; to run a module, use `nexum run`"
                    .to_owned(),
            ),
            Self::Link { .. } => Some("a command can import WASI 0.2 or preview 1, and nothing else".to_owned()),
            Self::File(error) => error.hint(),
            Self::Network(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            _ => None,
        }
    }
}
