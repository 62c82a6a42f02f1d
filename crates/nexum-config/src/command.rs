//! Command files: summarises what `nexum exec` runs, without compiling it.

use std::path::{Path, PathBuf};

use crate::component::{self, ComponentError, ComponentFile, Summary};
use crate::hint::Hint;
use crate::interface::{self, WASI};
use crate::masked_path::MaskedPath;
use crate::names::Digest;

/// The function that a preview 1 command exports: its entry point.
pub const START: &str = "_start";

/// The interface that a preview 2 command exports, without the patch release.
const RUN: &str = "wasi:cli/run@0.2";

/// The core module of which a preview 1 command imports functions.
const PREVIEW_1: &str = "wasi_snapshot_preview1::";

/// The kind of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// A component that exports `wasi:cli/run`, with WASI preview 2.
    Component,
    /// A core module that exports `_start`, with WASI preview 1.
    CoreModule,
}

/// A file that may be a command, and its summary.
#[derive(Clone, Debug)]
pub struct CommandFile {
    /// The kind of command that the file's format allows.
    pub kind: CommandKind,
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The SHA-256 of the content.
    pub digest: Digest,
    /// The interface and needs of the command.
    pub summary: Summary,
}

/// Why a file cannot run as a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The file has no export of a command.
    #[error("{} is not a command: it does not export {expected}", path.display())]
    NoEntry {
        /// The file.
        path: PathBuf,
        /// The export of a command of this kind.
        expected: &'static str,
    },
    /// The command imports interfaces or functions that commands do not have.
    #[error("{} imports {}, which commands do not have", path.display(), imports.join(", "))]
    Imports {
        /// The file.
        path: PathBuf,
        /// The imports.
        imports: Vec<String>,
    },
    /// The command defines or imports a memory that threads share. A sandbox has one thread.
    #[error("{} has shared memory, but a command runs in one thread", path.display())]
    SharedMemory {
        /// The file.
        path: PathBuf,
    },
}

impl Hint for CommandError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoEntry { .. } => {
                "build a command, not a library: a `main` for wasm32-wasip2 or wasm32-wasip1; to run a module, use `nexum run`"
            }
            Self::Imports { .. } => "a command can import WASI 0.2 or preview 1, and nothing else",
            Self::SharedMemory { .. } => "build the command without threads, for example for wasm32-wasip1",
        };
        Some(hint.to_owned())
    }
}

impl CommandKind {
    /// The export that a command of this kind has.
    pub fn entry(self) -> &'static str {
        match self {
            Self::Component => RUN,
            Self::CoreModule => START,
        }
    }
}

impl CommandFile {
    /// Reads a file. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Fails if the file is unreadable, is too large, or is not WebAssembly.
    pub fn read(path: &MaskedPath) -> Result<Self, ComponentError> {
        Self::parse(path.shown(), component::read(path)?)
    }

    /// Parses `bytes`, the content of the file at `path`. Only errors use `path`.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not WebAssembly.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, ComponentError> {
        if !component::is_core_module(&bytes) {
            let ComponentFile { bytes, digest, summary } = ComponentFile::parse(path, bytes)?;
            return Ok(Self {
                kind: CommandKind::Component,
                bytes,
                digest,
                summary,
            });
        }
        let summary = Summary::of_core_module(&bytes).map_err(|source| ComponentError::InvalidModule {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            kind: CommandKind::CoreModule,
            digest: Digest::of(&bytes),
            bytes,
            summary,
        })
    }

    /// Whether the file has the export of a command. A component that fits a world of modules is no
    /// command.
    pub fn is_command(&self) -> bool {
        self.has_entry() && (self.kind == CommandKind::CoreModule || self.summary.world().is_none())
    }

    /// Everything for which `nexum exec` refuses the file, apart from limits and types.
    pub fn errors(&self, path: &Path) -> Vec<CommandError> {
        let owned = || path.to_owned();
        let mut errors = Vec::new();
        if !self.has_entry() {
            errors.push(CommandError::NoEntry {
                path: owned(),
                expected: self.kind.entry(),
            });
        }
        if self.summary.has_shared_memory {
            errors.push(CommandError::SharedMemory { path: owned() });
        }
        let refused = |import: &&String| match self.kind {
            CommandKind::Component => !WASI.iter().any(|ours| interface::serves(ours, import)),
            CommandKind::CoreModule => !import.starts_with(PREVIEW_1),
        };
        let imports: Vec<_> = self.summary.imports.iter().filter(refused).cloned().collect();
        if !imports.is_empty() {
            errors.push(CommandError::Imports { path: owned(), imports });
        }
        errors
    }

    fn has_entry(&self) -> bool {
        let is_entry = |export: &String| match self.kind {
            CommandKind::Component => export.strip_prefix(RUN).is_some_and(|patch| patch.starts_with('.')),
            CommandKind::CoreModule => export == START,
        };
        self.summary.exports.iter().any(is_entry)
    }
}
