//! Runs one WASI command in a sandbox: a component that exports `wasi:cli/run` (preview 2), or a core module that exports
//! `_start` (preview 1).
//!
//! # What happens to a command
//!
//! A [`Command`] says what to run and what it may touch. [`Command::load`] makes every check that can be made without running
//! any of it: the file, what it exports and imports, the directories, the names of the network. Then [`Ready::run`] enters it,
//! and returns its exit code or why it [`Stopped`]. Between the two, whoever waits for the command can be told that it is
//! ready.
//!
//! # What a command has
//!
//! The arguments and variables that the [`Command`] gives it; standard input, output and error of the process; clocks and
//! entropy; the [`Dir`]s; and outgoing TCP to the [`Destination`]s. Nothing else.
//!
//! # Assumptions
//!
//! - The file and all that the command does are hostile; what the caller puts into the [`Command`] is not.
//! - One process runs one command: it has the process's standard streams, and a write that blocks holds a thread until the
//!   process ends.
//! - A tokio runtime with several threads, time and I/O enabled drives it.
//!
//! # Invariants
//!
//! - No guest code runs before every check of [`Command::load`] has passed.
//! - A name is resolved once, before the command runs: what it means later makes no difference to where it may connect.
//! - No socket listens, and none sends datagrams.

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

pub use command::{Command, PACKAGE_FILE};
pub use destination::{Destination, DestinationError};
pub use dir::{Dir, DirError};
pub use error::LoadError;
pub use limits::{Limits, MEMORY_BYTES_DEFAULT};
pub use network::{ADDRESSES_MAX, DESTINATIONS_MAX, NetworkError, RESOLVE_TIMEOUT};
pub use ready::Ready;
pub use stopped::{Reason, Stopped};
