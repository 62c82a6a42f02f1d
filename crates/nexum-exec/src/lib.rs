//! Runs one WASI command in a sandbox: a component that exports `wasi:cli/run` (preview 2), or a
//! core module that exports `_start` (preview 1).
//!
//! # Life of a command
//!
//! 1. A [`Command`] names the file, and its access to the host.
//! 2. [`Command::load`] makes every check that needs no guest code: the file, its exports and
//!    imports, the directories, and the names of network destinations. Then it calls the function
//!    `weft_ready` of a core module that exports it.
//! 3. [`Ready::run`] starts the command. It returns the exit code, or why the command [`Stopped`].
//!
//! Between steps 2 and 3, the caller can announce that the command is ready. [`Command::check`] makes
//! only the checks of the file.
//!
//! # Access of a command
//!
//! A command has the arguments and variables of its [`Command`], the standard streams of the
//! process unless the caller [captures](Command::stdout) them, clocks and entropy, the [`Dir`]s, and outgoing TCP to the [`Destination`]s. It has
//! nothing else.
//!
//! # Assumptions
//!
//! - The file and the command's behaviour are hostile. The caller's [`Command`] is not.
//! - A command that uses the process's standard streams is the only one in the process: a blocked
//!   write holds a thread until the process ends.
//! - The crate runs on a multi-threaded tokio runtime with time and I/O enabled.
//!
//! # Invariants
//!
//! - No guest code runs before every check of [`Command::load`] has passed.
//! - The crate resolves a name once, before the command runs. A later change of the name has no
//!   effect on the permitted addresses.
//! - No socket listens, and no socket sends datagrams.

mod command;
mod destination;
mod dir;
mod error;
mod host;
mod limits;
mod lookup;
mod network;
mod ready;
mod stopped;

pub use nexum_config::command::{CommandError, CommandFile, CommandKind};
pub use nexum_core::Capture;

pub use command::{Command, PACKAGE_FILE};
pub use destination::{Destination, DestinationError};
pub use dir::{Dir, DirError};
pub use error::LoadError;
pub use limits::{Limits, MEMORY_BYTES_DEFAULT};
pub use network::{ADDRESSES_MAX, DESTINATIONS_MAX, NetworkError, RESOLVE_TIMEOUT};
pub use ready::Ready;
pub use stopped::{Reason, Stopped};
