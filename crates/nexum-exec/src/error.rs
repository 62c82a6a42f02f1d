//! Why a command is not run.

use std::io;
use std::path::PathBuf;

use nexum_config::component::ComponentError;
use nexum_config::limits::Limit;
use nexum_core::engine::EngineError;

use crate::network::NetworkError;

/// Why a command cannot be entered. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The package is not there, or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file, or the package.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is something, but no file: reading it might never end.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// The file is not WebAssembly of a size that can be.
    #[error(transparent)]
    File(#[from] ComponentError),
    /// It is not valid, or uses what this engine does not offer.
    #[error("{} does not compile", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: wasmtime::Error,
    },
    /// It exports nothing that a command begins with.
    #[error("{} is no command: it does not export {expected}", path.display())]
    NoEntry {
        /// The file.
        path: PathBuf,
        /// What a command of this kind exports.
        expected: &'static str,
    },
    /// It needs more at its start than it may have.
    #[error("{} needs {needed} of {} at its start, and may have {bound}", path.display(), limit.name())]
    Needs {
        /// The file.
        path: PathBuf,
        /// Which limit.
        limit: Limit,
        /// What it needs.
        needed: u64,
        /// Its value.
        bound: u64,
    },
    /// It imports what a command is not given.
    #[error("{} imports what a command is not given", path.display())]
    Link {
        /// The file.
        path: PathBuf,
        /// Which import.
        #[source]
        source: wasmtime::Error,
    },
    /// A directory cannot be given.
    #[error("cannot open the directory {}", path.display())]
    Dir {
        /// On the host.
        path: PathBuf,
        /// Why.
        #[source]
        source: wasmtime::Error,
    },
    /// The command would see two directories at one place.
    #[error("two directories are given as {guest}")]
    SameDir {
        /// In the command.
        guest: String,
    },
    /// A destination is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A thread that was to read or compile panicked.
    #[error("the command could not be loaded")]
    Panicked(#[source] tokio::task::JoinError),
}

impl LoadError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoEntry { .. } => Some(
                "build it as a command, not as a library: a `main` for wasm32-wasip2 or wasm32-wasip1; modules are for `nexum run`"
                    .to_owned(),
            ),
            Self::Link { .. } => Some("a command has WASI 0.2 or preview 1, and nothing besides".to_owned()),
            Self::File(error) => error.hint().map(str::to_owned),
            Self::Network(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            _ => None,
        }
    }
}
